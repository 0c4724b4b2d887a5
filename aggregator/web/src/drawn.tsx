// What is drawn on a camera's picture, as lists beside it: lines with their counts, zones, the road plane.
import { useState } from "preact/hooks";
import { api, type Drawn } from "./api";
import { byLine, type LineSum } from "./counts";
import { draftOf, draftOfPlane, newDraft, newPlane, type Draft } from "./draft";
import { LineCounts } from "./parts";
import type { CameraEntry, CameraSettings, Line, ConfigState, NodeEntry } from "./types";

/** Which version of the lines runs on the node, or why the newest does not. */
export function NodeConfig({
  node,
  config,
  saved,
}: {
  node: NodeEntry;
  config: ConfigState | undefined;
  saved: number;
}) {
  if (!config) return <p class="config-state" data-testid="config-state" />;
  const wanted = Math.max(config.wanted ?? 0, saved);
  const applied = config.applied ?? 0;
  const waits = wanted > applied;
  let text =
    wanted || applied
      ? `The node runs version ${applied}.`
      : "Drawn in the node’s own agent.toml; nothing has been changed here yet.";
  if (config.error)
    text = `The node refused version ${wanted}: ${config.error}. It goes on with ${applied ? `version ${applied}` : "what its own agent.toml says"}.`;
  else if (waits && node.state !== "online")
    text = `Version ${wanted} is saved. The node is ${node.state} and takes it when it is back.`;
  else if (waits) text = `Version ${wanted} is saved. The node still runs version ${applied}.`;
  const mood = config.error ? "bad" : waits ? "wait" : "ok";
  return (
    <p
      class="config-state"
      data-mood={mood}
      data-testid="config-state"
      data-wanted={wanted}
      data-applied={applied}
      role="status"
    >
      {text}
    </p>
  );
}

interface ItemProps {
  node: string;
  camera: CameraEntry;
  what: Drawn;
  /** "line gate", as people say it. */
  called: string;
  /** What stays when it is deleted. */
  kept: string;
  editable: boolean;
  onMove: () => void;
  onDeleted: (version: number) => void;
}

/** Move and Delete for one thing that is drawn; deleting is asked for twice. */
function useTools({ node, camera, what, called, kept, editable, onMove, onDeleted }: ItemProps) {
  const [asking, setAsking] = useState(false);
  const [refused, setRefused] = useState("");
  const remove = async () => {
    try {
      const { version } = await api.remove(node, camera.camera, what);
      setAsking(false);
      onDeleted(version);
    } catch (error) {
      setRefused((error as Error).message);
    }
  };
  const tools = editable && !asking && (
    <span class="tools">
      <button class="quiet" type="button" aria-label={`Move ${called}`} onClick={onMove}>
        Move
      </button>
      <button class="quiet" type="button" aria-label={`Delete ${called}`} onClick={() => setAsking(true)}>
        Delete
      </button>
    </span>
  );
  const asked = (
    <>
      {asking && (
        <div class="confirm" role="alertdialog" aria-label={`Delete ${called}?`}>
          <span>
            Delete {called}? {kept}
          </span>
          <span class="tools">
            <button class="danger" type="button" data-testid="confirm-delete" onClick={() => void remove()}>
              Delete
            </button>
            <button type="button" autofocus onClick={() => setAsking(false)}>
              Keep
            </button>
          </span>
        </div>
      )}
      {refused && (
        <p class="problem" role="alert">
          {refused}
        </p>
      )}
    </>
  );
  return { tools, asked };
}

function Only({ labels }: { labels: string[] | undefined }) {
  return labels?.length ? <span class="faint">only {labels.join(", ")}</span> : null;
}

interface LineItemProps extends Omit<ItemProps, "what" | "called" | "kept"> {
  name: string;
  line: Line | undefined;
  sum: LineSum;
}

function LineItem({ name, line, sum, ...rest }: LineItemProps) {
  const kept = "Its past counts are kept.";
  const { tools, asked } = useTools({ ...rest, what: `lines/${name}`, called: `line ${name}`, kept });
  return (
    <li class={line ? "line-item" : "line-item gone"} data-testid="line-item" data-line={name}>
      <div class="row">
        <h3>{name}</h3>
        {!line && <span class="faint">deleted, counts kept</span>}
        <Only labels={line?.labels} />
        <span class="grow" />
        {line && tools}
      </div>
      <LineCounts sum={sum} line={line} size={rest.camera.size} />
      {asked}
    </li>
  );
}

function ShapeItem({ text, ...rest }: ItemProps & { text: string }) {
  const { tools, asked } = useTools(rest);
  return (
    <li class="line-item" data-testid="shape-item" data-what={rest.what}>
      <div class="row">
        <h3>{rest.what === "plane" ? "Road plane" : rest.called.replace(/^zone /, "")}</h3>
        <span class="faint">{text}</span>
        <span class="grow" />
        {tools}
      </div>
      {asked}
    </li>
  );
}

interface DrawnProps {
  node: NodeEntry;
  camera: CameraEntry;
  /** Not known at first: until then nobody can say what is drawn already, and nothing is begun. */
  config: ConfigState | undefined;
  settings: CameraSettings;
  editable: boolean;
  draft: Draft | null;
  saved: number;
  onDraft: (draft: Draft | null) => void;
  onSaved: (version: number) => void;
}

export function Lines(props: DrawnProps) {
  const { node, camera, config, settings, editable, draft, saved, onDraft, onSaved } = props;
  const lines = settings.lines ?? {};
  const counted = byLine(node.counts_today.filter((row) => row.camera === camera.camera));
  const names = [...new Set([...Object.keys(lines), ...counted.map((sum) => sum.line)])];
  const nothing = (line: string): LineSum => ({
    camera: camera.camera,
    line,
    AB: 0,
    BA: 0,
    labels: { AB: {}, BA: {} },
  });
  return (
    <section class="panel lines">
      <header class="row">
        <h2>Lines today</h2>
        <span class="grow" />
        {editable && (
          <button
            class="primary"
            type="button"
            data-testid="draw-line"
            disabled={!config || draft !== null}
            onClick={() => onDraft(newDraft("line", Object.keys(lines)))}
          >
            Draw a line
          </button>
        )}
      </header>
      {config && names.length === 0 && (
        <p class="faint">No line yet. Draw one across the path of what you want to count.</p>
      )}
      <ul>
        {names.map((name) => (
          <LineItem
            key={name}
            node={node.node}
            camera={camera}
            name={name}
            line={lines[name]}
            sum={counted.find((sum) => sum.line === name) ?? nothing(name)}
            editable={editable && draft === null}
            onMove={() => lines[name] && onDraft(draftOf("line", name, lines[name]))}
            onDeleted={onSaved}
          />
        ))}
      </ul>
      <NodeConfig node={node} config={config} saved={saved} />
    </section>
  );
}

export function Shapes({ node, camera, config, settings, editable, draft, onDraft, onSaved }: DrawnProps) {
  const { zones = {}, plane } = settings;
  const names = Object.keys(zones).sort();
  if (!editable && !names.length && !plane) return null;
  const item = { node: node.node, camera, editable: editable && draft === null, onDeleted: onSaved };
  const sides = plane ? draftOfPlane(plane, config?.wanted) : null;
  return (
    <section class="panel lines shapes">
      <header class="row wrap">
        <h2>Zones and road</h2>
        <span class="grow" />
        {editable && (
          <span class="tools">
            <button
              type="button"
              data-testid="draw-zone"
              disabled={!config || draft !== null}
              onClick={() => onDraft(newDraft("zone", names))}
            >
              Draw a zone
            </button>
            {!plane && (
              <button
                type="button"
                data-testid="draw-plane"
                disabled={!config || draft !== null}
                onClick={() => onDraft(newPlane(config?.wanted))}
              >
                Measure the road
              </button>
            )}
          </span>
        )}
      </header>
      {config && names.length === 0 && !plane && (
        <p class="faint">
          A zone shows how many objects are in an area. With the road plane set, crossings have speeds.
        </p>
      )}
      <ul>
        {names.map((name) => (
          <ShapeItem
            key={name}
            {...item}
            what={`zones/${name}`}
            called={`zone ${name}`}
            kept="Its past figures are kept."
            text={zones[name]!.labels?.length ? `only ${zones[name]!.labels!.join(", ")}` : ""}
            onMove={() => onDraft(draftOf("zone", name, zones[name]!))}
          />
        ))}
        {plane && sides && (
          <ShapeItem
            {...item}
            what="plane"
            called="the road plane"
            kept="Crossings will then have no speed."
            text={`${sides.width} × ${sides.length} m`}
            onMove={() => onDraft(sides)}
          />
        )}
      </ul>
    </section>
  );
}
