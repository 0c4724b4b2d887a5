// Boxes that come and go: one, a dozen, in another's place, away.
import { useEffect, useState } from "preact/hooks";
import { useCell } from "./cell";
import { ago, span } from "./format";
import { manage } from "./manage-api";
import { Choose, Field, Form, Part, Problem, Sure, useDo, useRead, words } from "./manage-parts";
import { nodes, now } from "./session";

function Line({ text, what }: { text: string; what: string }) {
  return (
    <div class="notice">
      <p>{what}</p>
      <code data-testid="line">{text}</code>
    </div>
  );
}

function Invite() {
  const [invitations, again, unread] = useRead(manage.invitations);
  const [line, setLine] = useState("");
  const [act, problem] = useDo(again);
  const at = useCell(now);
  return (
    <Part title="Join several boxes" id="invite">
      <Problem text={unread || problem} />
      {line && <Line text={line} what="Shown once. Run it on each box, in a clone of the repository:" />}
      <Form
        button="Create a code"
        id="invite-form"
        send={(text) =>
          act(
            manage
              .invite({
                boxes: Number(text("boxes")),
                minutes: Math.round(Number(text("hours")) * 60),
                site: text("site"),
                groups: words(text("groups")),
                approval: text("approval") === "yes",
              })
              .then((made) => setLine(made.line)),
          )
        }
      >
        <Field label="Boxes" name="boxes" type="number" value="12" required />
        <Field label="Hours" name="hours" type="number" value="24" required />
        <Field label="Site" name="site" />
        <Field label="Groups" name="groups" />
        <Choose label="Approve each box" name="approval" options={["no", "yes"]} value="no" />
      </Form>
      <ul class="manage-list">
        {(invitations ?? []).map((row) => (
          <li key={row.id} class="row wrap" data-testid="invitation">
            <b>{row.id}</b>
            <span class="grow faint">
              {row.left} of {row.boxes} left,{" "}
              {row.until > at ? `valid for ${span(row.until - at)}` : "expired"}
            </span>
            <Sure text="Withdraw" ask={`Withdraw ${row.id}`} act={() => act(manage.withdraw(row.id))} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

function WaitingBoxes() {
  const [waiting, again] = useRead(manage.waiting);
  const [act, problem] = useDo(again);
  const at = useCell(now);
  if (!waiting?.length) return null;
  return (
    <Part title="Waiting for approval" id="waiting-boxes">
      <Problem text={problem} />
      <ul class="manage-list">
        {waiting.map((row) => (
          <li key={row.node} class="row wrap">
            <b>{row.node}</b>
            <span class="grow faint">{ago(row.since, at)}</span>
            <button type="button" onClick={() => act(manage.approve(row.node))}>
              Let in
            </button>
            <Sure text="Reject" ask={`Reject ${row.node}`} act={() => act(manage.refuse(row.node))} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

const RENAMES_MS = 2000;

/** Renames that are on their way, and those that a box refused. */
function Renames({ turn }: { turn: number }) {
  const [renames, again] = useRead(manage.renames);
  const going = renames?.some((row) => row.state !== "refused");
  useEffect(again, [turn]);
  useEffect(() => {
    if (!going) return;
    const timer = window.setInterval(again, RENAMES_MS);
    return () => window.clearInterval(timer);
  }, [going]);
  return (
    <ul class="manage-list">
      {(renames ?? []).map((row) => (
        <li key={row.node} class="row wrap" data-testid="rename" data-state={row.state}>
          <b>
            {row.was} → {row.node}
          </b>
          <span class="grow faint">
            {row.state === "refused" ? `refused: ${row.reason}` : "the box keeps its history"}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Nodes() {
  const known = useCell(nodes);
  const [line, setLine] = useState<[string, string]>(["", ""]);
  const [turn, setTurn] = useState(0);
  const [act, problem] = useDo(() => setTurn((before) => before + 1));
  const all = [...(known?.values() ?? [])].sort((one, two) => one.node.localeCompare(two.node));
  return (
    <Part title="Nodes" id="nodes">
      <Problem text={problem} />
      <p class="faint">
        A node is what the centre keeps of a box under one name: counts, settings, place. A box can be
        replaced; its node stays.
      </p>
      {line[1] && <Line text={line[1]} what={`Shown once. Run it on the box that becomes ${line[0]}:`} />}
      <Form
        button="Join one box"
        id="add-node"
        send={(text) => act(manage.addNode(text("node")).then((made) => setLine([made.node, made.line])))}
      >
        <Field label="Name of a new node" name="node" required hint="gate-07" />
      </Form>
      {all.length > 0 && (
        <Form button="Rename" id="rename-node" send={(text) => act(manage.rename(text("node"), text("to")))}>
          <Choose label="Node" name="node" options={all.map((node) => node.node)} value={all[0]!.node} />
          <Field label="Its new name" name="to" required hint="gate-08" />
        </Form>
      )}
      <Renames turn={turn} />
      <ul class="manage-list">
        {all.map((node) => (
          <li key={node.node} class="row wrap" data-testid="managed-node" data-node={node.node}>
            <b>{node.node}</b>
            <span class="grow faint">
              {[node.title, node.site, node.state, node.version].filter(Boolean).join(", ")}
            </span>
            <Sure
              text="Replace"
              ask={`Revoke ${node.node} and replace it`}
              act={() => act(manage.replace(node.node).then((made) => setLine([made.node, made.line])))}
            />
            <Sure text="Remove" ask={`Remove ${node.node}`} act={() => act(manage.removeNode(node.node))} />
          </li>
        ))}
      </ul>
    </Part>
  );
}

export function Boxes() {
  return (
    <>
      <WaitingBoxes />
      <Invite />
      <Nodes />
    </>
  );
}
