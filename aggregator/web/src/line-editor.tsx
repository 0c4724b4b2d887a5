// The form under the picture while a line is drawn or moved, and the list of lines beside it.
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./api";
import type { LineSum } from "./counts";
import { degenerate } from "./geometry";
import { LineCounts } from "./parts";
import { MAX_POINTS, type Draft } from "./picture";
import type { Anchor, CameraEntry, Line, NodeConfig, NodeEntry } from "./types";

const NAME = /^[A-Za-z0-9][A-Za-z0-9 _.-]{0,47}$/;

export function freshName(taken: readonly string[]): string {
  if (!taken.includes("main")) return "main";
  for (let i = 2; ; i++) if (!taken.includes(`line-${i}`)) return `line-${i}`;
}

export function newDraft(lines: Record<string, Line>): Draft {
  return {
    name: freshName(Object.keys(lines)),
    original: null,
    points: [],
    anchor: "bottom",
    labels: [],
    placing: true,
  };
}

export function draftOf(name: string, line: Line): Draft {
  return {
    name,
    original: name,
    points: line.points,
    anchor: line.anchor ?? "bottom",
    labels: line.labels ?? [],
    placing: false,
  };
}

function problemOf(draft: Draft, taken: readonly string[]): string {
  if (draft.original === null && !NAME.test(draft.name))
    return "A name starts with a letter or digit and has at most 48 letters, digits, spaces, dots, _ or -.";
  if (draft.original === null && taken.includes(draft.name)) return "There is a line of that name already.";
  if (degenerate(draft.points)) return "Two neighbouring points lie on the same spot. Drag them apart.";
  return "";
}

interface DraftFormProps {
  node: string;
  camera: CameraEntry;
  draft: Draft;
  taken: string[];
  onDraft: (draft: Draft | null) => void;
  onSaved: (version: number) => void;
}

export function DraftForm({ node, camera, draft, taken, onDraft, onSaved }: DraftFormProps) {
  const [refused, setRefused] = useState("");
  const [busy, setBusy] = useState(false);
  const name = useRef<HTMLInputElement>(null);
  const ready = draft.points.length >= 2;
  useEffect(() => {
    if (ready && draft.original === null && !matchMedia("(pointer: coarse)").matches) name.current?.select();
  }, [ready]);

  if (!ready)
    return (
      <div class="draft hint" role="status">
        <span>{draft.points.length === 0 ? "Click where the line starts." : "Click where it ends."}</span>
        <span class="grow" />
        <button type="button" onClick={() => onDraft(null)}>
          Cancel
        </button>
      </div>
    );

  const problem = problemOf(draft, taken);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    if (problem) return;
    setBusy(true);
    setRefused("");
    try {
      const body = { points: draft.points, anchor: draft.anchor, labels: draft.labels };
      const { version } = await api.putLine(node, camera.camera, draft.name, body);
      onSaved(version);
    } catch (error) {
      setRefused((error as Error).message);
      setBusy(false);
    }
  };
  const known = camera.labels ?? [];
  const toggle = (label: string) => {
    const labels = draft.labels.includes(label)
      ? draft.labels.filter((l) => l !== label)
      : [...draft.labels, label];
    onDraft({ ...draft, labels });
  };
  return (
    <form
      class="draft"
      onSubmit={(event) => void save(event)}
      onKeyDown={(event) => event.key === "Escape" && onDraft(null)}
    >
      <div class="fields">
        <label>
          Name
          <input
            ref={name}
            data-testid="line-name"
            value={draft.name}
            disabled={draft.original !== null}
            maxLength={48}
            spellcheck={false}
            onInput={(event) => onDraft({ ...draft, name: event.currentTarget.value })}
          />
        </label>
        <label>
          Counts an object by its
          <select
            value={draft.anchor}
            onChange={(event) => onDraft({ ...draft, anchor: event.currentTarget.value as Anchor })}
          >
            <option value="bottom">feet or wheels</option>
            <option value="center">centre</option>
          </select>
        </label>
      </div>
      {known.length > 1 && (
        <fieldset class="labels">
          <legend>Counts {draft.labels.length ? "only" : "everything"}</legend>
          {known.map((label) => (
            <label key={label} class="chip">
              <input type="checkbox" checked={draft.labels.includes(label)} onChange={() => toggle(label)} />
              {label}
            </label>
          ))}
        </fieldset>
      )}
      <p class="problem" role="alert">
        {problem || refused}
      </p>
      <div class="actions">
        <button class="primary" type="submit" data-testid="save-line" disabled={busy || problem !== ""}>
          Save
        </button>
        <button type="button" onClick={() => onDraft({ ...draft, points: [...draft.points].reverse() })}>
          Swap A and B
        </button>
        <button
          type="button"
          disabled={draft.points.length >= MAX_POINTS || draft.placing}
          onClick={() => onDraft({ ...draft, placing: true })}
        >
          Add a point
        </button>
        <button type="button" onClick={() => onDraft(null)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** Which version of the lines runs on the node, or why the newest does not. */
export function ConfigState({
  node,
  config,
  saved,
}: {
  node: NodeEntry;
  config: NodeConfig | undefined;
  saved: number;
}) {
  if (!config) return <p class="config-state" data-testid="config-state" />;
  const wanted = Math.max(config.wanted ?? 0, saved);
  const applied = config.applied ?? 0;
  const waits = wanted > applied;
  let text =
    wanted || applied ? `The node runs version ${applied}.` : "The node runs the lines of its own file.";
  if (config.error)
    text = `The node refused version ${wanted}: ${config.error}. It goes on with version ${applied}.`;
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

interface LineItemProps {
  node: string;
  camera: CameraEntry;
  name: string;
  line: Line | undefined;
  sum: LineSum;
  editable: boolean;
  onMove: () => void;
  onDeleted: (version: number) => void;
}

export function LineItem({ node, camera, name, line, sum, editable, onMove, onDeleted }: LineItemProps) {
  const [asking, setAsking] = useState(false);
  const [refused, setRefused] = useState("");
  const remove = async () => {
    try {
      const { version } = await api.deleteLine(node, camera.camera, name);
      setAsking(false);
      onDeleted(version);
    } catch (error) {
      setRefused((error as Error).message);
    }
  };
  return (
    <li class={line ? "line-item" : "line-item gone"} data-testid="line-item" data-line={name}>
      <div class="row">
        <h3>{name}</h3>
        {!line && <span class="faint">deleted, counts kept</span>}
        {line?.labels?.length ? <span class="faint">only {line.labels.join(", ")}</span> : null}
        <span class="grow" />
        {line && editable && !asking && (
          <span class="tools">
            <button class="quiet" type="button" aria-label={`Move line ${name}`} onClick={onMove}>
              Move
            </button>
            <button
              class="quiet"
              type="button"
              aria-label={`Delete line ${name}`}
              onClick={() => setAsking(true)}
            >
              Delete
            </button>
          </span>
        )}
      </div>
      <LineCounts sum={sum} line={line} size={camera.size} />
      {asking && (
        <div class="confirm" role="alertdialog" aria-label={`Delete line ${name}?`}>
          <span>Delete this line? What it counted is kept.</span>
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
    </li>
  );
}
