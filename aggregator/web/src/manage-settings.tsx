// Settings for several cameras at once, with what would change before it is sent; what drifts; profiles.
import { useState } from "preact/hooks";
import type { ApiError } from "./api";
import { useCell } from "./cell";
import { ago } from "./format";
import { manage, type Aim } from "./manage-api";
import { Field, Form, Part, Problem, Sure, useDo, useRead, words } from "./manage-parts";
import { nodeHref } from "./router";
import { nodes, now } from "./session";
import type { Point } from "./page-types";
import type { CameraSettings, ProfileRow, Sent } from "./types";

function aimOf(text: (name: string) => string): Aim {
  const aim = { site: text("site"), group: text("group"), nodes: words(text("nodes")) };
  return { ...aim, everywhere: !aim.site && !aim.group && !aim.nodes.length };
}

function AimFields() {
  const [sites] = useRead(manage.sites);
  const [groups] = useRead(manage.groups);
  const known = useCell(nodes);
  return (
    <>
      <Field label="Site" name="site" hint="all" known={sites?.map(({ site }) => site) ?? []} />
      <Field label="Group" name="group" hint="all" known={groups?.map(({ group }) => group) ?? []} />
      <Field label="Nodes" name="nodes" hint="all" known={[...(known?.keys() ?? [])].sort()} />
    </>
  );
}

/** A line written as `name: x,y x,y`, in fractions of the picture. */
function lineOf(text: string): CameraSettings["lines"] | undefined {
  const [name, rest] = text.split(":");
  if (!rest) return undefined;
  const points = rest
    .trim()
    .split(/\s+/)
    .map((pair) => pair.split(",").map(Number) as Point);
  return { [name!.trim()]: { points } };
}

function settingsOf(text: (name: string) => string): Partial<CameraSettings> {
  const lines = lineOf(text("line"));
  return {
    ...(text("confidence") && { confidence: Number(text("confidence")) }),
    ...(text("labels") && { labels: words(text("labels")) }),
    ...(lines && { lines }),
  };
}

function SettingFields() {
  return (
    <>
      <Field label="Confidence" name="confidence" type="number" />
      <Field label="Labels" name="labels" hint="car, bus" />
      <Field label="One line, replacing all others" name="line" hint="gate: 0,0.6 1,0.6" />
    </>
  );
}

function Rows({ rows }: { rows: Sent[] }) {
  const changed = rows.filter((row) => row.difference.length || row.refused);
  return (
    <ul class="manage-list" data-testid="difference">
      {!changed.length && <li class="faint">Nothing would change: {rows.length} cameras do this already.</li>}
      {changed.map((row) => (
        <li key={`${row.node} ${row.camera}`}>
          <b>
            {row.node} {row.camera}
          </b>{" "}
          {row.refused && <span class="problem">not sent: {row.refused}</span>}
          {row.difference.map((each) => (
            <span key={each.path} class="note manage-change">
              {each.path}: <del>{each.before || "–"}</del> <ins>{each.after || "–"}</ins>
            </span>
          ))}
        </li>
      ))}
    </ul>
  );
}

function Many({ sent }: { sent: () => void }) {
  const [shown, setShown] = useState<{ aim: Aim; settings: Partial<CameraSettings>; rows: Sent[] } | null>(
    null,
  );
  const [problem, setProblem] = useState("");
  const [done, setDone] = useState("");
  const [refused, setRefused] = useState<Sent[]>([]);
  const failed = (error: ApiError) => setProblem(error.message);
  const begin = () => {
    setProblem("");
    setDone("");
    setRefused([]);
  };
  const show = (aim: Aim, settings: Partial<CameraSettings>) => {
    begin();
    manage.showMany(aim, settings).then((rows) => setShown({ aim, settings, rows }), failed);
  };
  const send = (aim: Aim, settings: Partial<CameraSettings>, seen: Sent[]) => {
    begin();
    manage.sendMany(aim, settings, seen).then((rows) => {
      const not = rows.filter((row) => row.refused);
      setShown(null);
      setRefused(not);
      setDone(
        `Sent to ${rows.length - not.length} cameras${not.length ? `, refused by ${not.length}` : ""}.`,
      );
      sent();
    }, failed);
  };
  return (
    <Part title="Settings for several cameras" id="many">
      <Form
        button="Show what would change"
        id="many-form"
        send={(text) => show(aimOf(text), settingsOf(text))}
      >
        <AimFields />
        <SettingFields />
      </Form>
      <Problem text={problem} />
      {done && <p class="notice">{done}</p>}
      {refused.length > 0 && <Rows rows={refused} />}
      {shown && (
        <>
          <Rows rows={shown.rows} />
          <div class="actions">
            <button
              class="primary"
              type="button"
              data-testid="send"
              onClick={() => send(shown.aim, shown.settings, shown.rows)}
            >
              Send to {shown.rows.length} cameras
            </button>
            <button type="button" onClick={() => setShown(null)}>
              Do not
            </button>
          </div>
        </>
      )}
    </Part>
  );
}

function Drifts({
  rows,
  again,
  unread,
}: {
  rows: Awaited<ReturnType<typeof manage.drift>> | null;
  again: () => void;
  unread: string;
}) {
  const at = useCell(now);
  return (
    <Part title="Drift: settings not applied yet" id="drift">
      <Problem text={unread} />
      {rows?.length === 0 && <p class="faint">Every node runs its desired settings.</p>}
      <ul class="manage-list">
        {(rows ?? []).map((row) => (
          <li key={row.node} data-testid="drift-row" data-node={row.node}>
            <a href={nodeHref(row.node)}>{row.node}</a>{" "}
            {row.wanted !== row.applied && `should run version ${row.wanted}, runs ${row.applied}`}
            {row.since && row.wanted !== row.applied && (
              <span class="faint"> since {ago(row.since, at)}</span>
            )}
            {row.why && <span class="problem"> {row.why}</span>}
            {Object.entries(row.refused).map(([path, why]) => (
              <span key={path} class="note manage-change">
                {path} has no effect: {why}
              </span>
            ))}
            {row.defaults.length > 0 && (
              <span class="note manage-change">otherwise than its group: {row.defaults.join(", ")}</span>
            )}
          </li>
        ))}
      </ul>
      <button type="button" class="quiet" onClick={again}>
        Look again
      </button>
    </Part>
  );
}

function Profiles({ may }: { may: boolean }) {
  const [profiles, again, unread] = useRead(manage.profiles);
  const [act, problem] = useDo(() => window.setTimeout(again, 300));
  const when = (profile: ProfileRow) =>
    profile.hours
      .map((hours) => `${hours.from} to ${hours.to} ${(hours.days ?? []).join(" ")}`.trim())
      .join(", ");
  return (
    <Part title="Profiles" id="profiles">
      <Problem text={unread || problem} />
      <ul class="manage-list">
        {(profiles ?? []).map((profile) => (
          <li key={profile.profile} class="row wrap" data-testid="profile" data-profile={profile.profile}>
            <b>{profile.profile}</b>
            <span class="grow faint">
              {when(profile) || "by hand"}, sets {Object.keys(profile.settings).join(", ") || "nothing"}, runs
              on <span data-testid="running">{profile.running}</span>
            </span>
            {may && (
              <>
                <button
                  type="button"
                  onClick={() => act(manage.switchMany({ everywhere: true }, profile.profile, false))}
                >
                  Switch all to it
                </button>
                <Sure
                  text="Remove"
                  ask={`Remove ${profile.profile}`}
                  act={() => act(manage.removeProfile(profile.profile))}
                />
              </>
            )}
          </li>
        ))}
      </ul>
      {may && (
        <>
          <div class="actions">
            <button type="button" onClick={() => act(manage.switchMany({ everywhere: true }, "", true))}>
              Back to the clock
            </button>
          </div>
          <Form
            button="Save"
            id="put-profile"
            send={(text) =>
              act(
                manage.putProfile(text("profile"), {
                  settings: settingsOf(text),
                  hours: text("from") && text("to") ? [{ from: text("from"), to: text("to") }] : [],
                }),
              )
            }
          >
            <Field label="Profile" name="profile" required hint="night" />
            <SettingFields />
            <Field label="From" name="from" type="time" />
            <Field label="To" name="to" type="time" />
          </Form>
        </>
      )}
    </Part>
  );
}

export function Settings({ may }: { may: boolean }) {
  const [rows, again, unread] = useRead(manage.drift);
  return (
    <>
      {may && <Many sent={() => window.setTimeout(again, 1000)} />}
      <Drifts rows={rows} again={again} unread={unread} />
      <Profiles may={may} />
    </>
  );
}
