// All nodes at a glance, those with a problem first.
import { Component } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { BigFleet } from "./big-fleet";
import { useCell } from "./cell";
import { blindCameras, blindToday, byLine, urgency, worstFirst } from "./counts";
import { bytes, count, percent, rate, span } from "./format";
import { Age, CameraBadge, HealthBadges, isFresh, LineCounts, NodeBadge, Warnings } from "./parts";
import { nodeHref } from "./router";
import {
  amount,
  FEW,
  firstPage,
  joinLine,
  link,
  login,
  nodes,
  now,
  trouble,
  waiting,
  watch,
} from "./session";
import type { CameraEntry, FleetSummary, NodeEntry } from "./types";

const SEARCH_FROM = 9;

function CameraRow({ node, camera }: { node: NodeEntry; camera: CameraEntry }) {
  const sums = byLine(node.counts_today.filter((row) => row.camera === camera.camera));
  return (
    <li class="camera-row">
      <div class="row">
        <span class="camera-name">{camera.camera}</span>
        <CameraBadge node={node} camera={camera} />
        <HealthBadges node={node} camera={camera} />
        <span class="grow" />
        {blindToday(camera) > 0 && <span class="faint note">blind {span(blindToday(camera))} today</span>}
        <span class="figure">
          {rate(camera.fps)} <small>fps</small>
        </span>
      </div>
      {camera.state !== "ok" &&
        camera.reason &&
        !node.warnings.some((text) => text.includes(camera.reason!)) && <p class="reason">{camera.reason}</p>}
      {sums.length === 0 && <p class="faint">No crossings today.</p>}
      {sums.map((sum) => (
        <div class="row line-row" key={sum.line}>
          <span class="line-name">{sum.line}</span>
          <LineCounts sum={sum} />
        </div>
      ))}
    </li>
  );
}

/** What a node is found by: its name, its title, where it stands and what it belongs to. */
function placeWords(node: NodeEntry): string[] {
  return [node.node, node.title ?? "", node.site ?? "", ...(node.groups ?? []), ...(node.labels ?? [])];
}

/** A card is drawn again when its own node changes, not when any node of the fleet does. */
class NodeCard extends Component<{ node: NodeEntry }> {
  override shouldComponentUpdate(next: { node: NodeEntry }): boolean {
    return next.node !== this.props.node;
  }

  override render() {
    return <CardBody node={this.props.node} />;
  }
}

function CardBody({ node }: { node: NodeEntry }) {
  useCell(link);
  useCell(trouble);
  const named = new Set(node.cameras.map((camera) => camera.camera));
  const silent = byLine(node.counts_today.filter((row) => !named.has(row.camera)));
  return (
    <article
      class={isFresh(node) ? "panel card" : "panel card old"}
      data-testid="node-card"
      data-node={node.node}
      data-state={node.state}
    >
      <header class="row">
        <h2>
          <a href={nodeHref(node.node)}>{node.node}</a>
        </h2>
        <NodeBadge node={node} />
      </header>
      {placeWords(node).slice(1).some(Boolean) && (
        <p class="faint note" data-testid="node-place">
          {placeWords(node).slice(1).filter(Boolean).join(" · ")}
        </p>
      )}
      <Warnings items={node.warnings} />
      <ul class="cameras">
        {node.cameras.map((camera) => (
          <CameraRow key={camera.camera} node={node} camera={camera} />
        ))}
        {silent.map((sum) => (
          <li class="row line-row" key={`${sum.camera} ${sum.line}`}>
            <span class="line-name">
              {sum.camera} {sum.line}
            </span>
            <LineCounts sum={sum} />
          </li>
        ))}
        {node.cameras.length + silent.length === 0 && <li class="faint">No cameras reported yet.</li>}
      </ul>
      <footer class="row">
        <span class="figure">
          <small>CPU</small> {percent(node.cpu_percent)}
        </span>
        <span class="figure">
          <small>Memory</small> {bytes(node.memory_bytes)}
        </span>
        <span class="grow" />
        <Age node={node} />
      </footer>
    </article>
  );
}

/** The figures above a fleet that is shown page by page. */
function BigSummary({ of }: { of: FleetSummary | undefined }) {
  const wrong = useCell(trouble) !== "";
  const old = useCell(link).state === "lost" || wrong;
  if (!of) return <div class="head-room" />;
  return (
    <dl class={old ? "summary old" : "summary"} data-testid="summary">
      <div data-bad={of.online < of.total}>
        <dd>
          {count(of.online)}
          <small> of {count(of.total)}</small>
        </dd>
        <dt>nodes online</dt>
      </div>
      <div data-bad={of.blind > 0}>
        <dd>{count(of.blind)}</dd>
        <dt>{of.blind === 1 ? "camera blind" : "cameras blind"}</dt>
      </div>
    </dl>
  );
}

function BigFleetPage() {
  const [summary, setSummary] = useState<FleetSummary | null>(firstPage.value?.summary ?? null);
  const broken = summary ? summary.total - summary.online : 0;
  useEffect(() => {
    document.title = broken ? `(${broken}) GB-Fleet` : "GB-Fleet";
  }, [broken]);
  return (
    <>
      <div class="head">
        <h1 class="sr">Fleet</h1>
        <BigSummary of={summary ?? undefined} />
      </div>
      <WaitingNodes />
      <BigFleet onSummary={setSummary} />
      <JoinLine empty={false} />
    </>
  );
}

function Summary({ all }: { all: NodeEntry[] }) {
  const wrong = useCell(trouble) !== "";
  const old = useCell(link).state === "lost" || wrong;
  const online = all.filter((node) => node.state === "online").length;
  const blind = all.reduce((sum, node) => sum + blindCameras(node), 0);
  const crossings = all.flatMap((node) => node.counts_today).reduce((sum, row) => sum + row.count, 0);
  return (
    <dl class={old ? "summary old" : "summary"} data-testid="summary">
      <div data-bad={online < all.length}>
        <dd>
          {online}
          <small> of {all.length}</small>
        </dd>
        <dt>nodes online</dt>
      </div>
      <div data-bad={blind > 0}>
        <dd>{blind}</dd>
        <dt>{blind === 1 ? "camera blind" : "cameras blind"}</dt>
      </div>
      <div>
        <dd>{count(crossings)}</dd>
        <dt title="How often an object went over a line, in either direction">crossings today</dt>
      </div>
    </dl>
  );
}

function JoinLine({ empty }: { empty: boolean }) {
  const text = useCell(joinLine);
  const who = useCell(login);
  const [copied, setCopied] = useState(false);
  const code = useRef<HTMLElement>(null);
  const may = typeof who === "object" && who.role === "admin";
  if (!text || (!may && !empty)) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      window.setTimeout(() => setCopied(false), 2000);
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
    }
  };
  const body = (
    <div class="copy">
      <code ref={code} data-testid="join">
        {text}
      </code>
      <button type="button" onClick={() => void copy()}>
        {copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
  if (!empty)
    return (
      <details class="join">
        <summary>Add a node</summary>
        <p>Run this at the centre. It prints the command to run on the machine with the camera.</p>
        {body}
      </details>
    );
  return (
    <section class="panel empty">
      <h2>No node has joined yet</h2>
      {may ? (
        <>
          <p>Run this at the centre. It prints the command to run on the machine with the camera.</p>
          {body}
        </>
      ) : (
        <p>An administrator adds one.</p>
      )}
    </section>
  );
}

/** Who was added and has not come: until then nothing else tells that the line still has to be run. */
function WaitingNodes() {
  const rows = useCell(waiting);
  const at = useCell(now);
  const join = useCell(joinLine);
  const who = useCell(login);
  if (!rows.length) return null;
  const again = typeof who === "object" && who.role === "admin" && join.includes("add-node");
  return (
    <section class="panel waiting" data-testid="waiting">
      <h2>{rows.length === 1 ? "A node has not joined yet" : "Nodes that have not joined yet"}</h2>
      <ul>
        {rows.map(({ node, until }) => (
          <li key={node}>
            <b>{node}</b>{" "}
            {until > at
              ? `has not joined yet; its command is valid for ${span(until - at)}.`
              : "did not join in time: its command has expired."}{" "}
            {again && (
              <span class="faint">
                A new command: <code>{join.replace(/add-node.*/, `add-node ${node} --again`)}</code>
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Skeleton() {
  return (
    <div aria-hidden="true">
      <div class="head head-room" />
      <div class="cards">
        {[1, 2, 3].map((i) => (
          <div key={i} class="panel card skeleton" />
        ))}
      </div>
    </div>
  );
}

export function FleetPage() {
  const many = useCell(amount);
  const big = many > FEW;
  useEffect(() => (big ? undefined : watch()), [big]);
  if (many < 0) return <Skeleton />;
  if (big) return <BigFleetPage />;
  return <SmallFleetPage />;
}

function SmallFleetPage() {
  const known = useCell(nodes);
  const [search, setSearch] = useState("");
  const all = useMemo(() => worstFirst(known?.values() ?? []), [known]);
  const broken = all.filter((node) => urgency(node) === 0).length;
  useEffect(() => {
    document.title = broken ? `(${broken}) GB-Fleet` : "GB-Fleet";
  }, [broken]);
  const wanted = search.trim().toLowerCase();
  const shown = all.filter((node) => placeWords(node).some((word) => word.toLowerCase().includes(wanted)));
  if (!known) return <Skeleton />;
  return (
    <>
      <div class="head">
        <h1 class="sr">Fleet</h1>
        <Summary all={all} />
        {all.length >= SEARCH_FROM && (
          <input
            type="search"
            placeholder="Find a node"
            aria-label="Find a node"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        )}
      </div>
      {all.length === 0 && <JoinLine empty />}
      <WaitingNodes />
      <div class="cards">
        {shown.map((node) => (
          <NodeCard key={node.node} node={node} />
        ))}
      </div>
      {all.length > 0 && shown.length === 0 && <p class="faint">No node's name contains “{search}”.</p>}
      {all.length > 0 && <JoinLine empty={false} />}
    </>
  );
}
