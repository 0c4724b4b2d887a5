// The form under the picture while something is drawn or moved on it.
import { useEffect, useRef, useState } from "preact/hooks";
import { api, ApiError } from "./api";
import { hintOf, POINTS, problemOf, rectangle, seenOf, type Draft } from "./draft";
import type { Anchor } from "./page-types";
import type { CameraEntry } from "./types";

const AGAIN = ". Save again to put yours in its place, or cancel to see it.";

interface DraftFormProps {
  node: string;
  camera: CameraEntry;
  draft: Draft;
  /** Names of its kind that are there already. */
  taken: string[];
  onDraft: (draft: Draft | null) => void;
  onSaved: (version: number) => void;
}

async function send(node: string, camera: string, draft: Draft): Promise<number> {
  const { points, anchor, labels } = draft;
  const { version } =
    draft.kind === "plane"
      ? await api.put(node, camera, "plane", { points, metres: rectangle(draft) }, seenOf(draft))
      : await api.put(
          node,
          camera,
          `${draft.kind}s/${draft.name}`,
          { points, anchor, labels },
          seenOf(draft),
        );
  return version;
}

export function DraftForm({ node, camera, draft, taken, onDraft, onSaved }: DraftFormProps) {
  const [refused, setRefused] = useState("");
  const first = useRef<HTMLInputElement>(null);
  const { least, most } = POINTS[draft.kind];
  const ready = draft.points.length >= least && (draft.kind === "line" || !draft.placing);
  useEffect(() => {
    if (ready && draft.original === null && !matchMedia("(pointer: coarse)").matches) first.current?.select();
  }, [ready]);

  if (!ready) return <Hint draft={draft} onDraft={onDraft} />;

  const problem = draft.sent ? "" : problemOf(draft, taken);
  const untouched = draft.kind === "plane" && (draft.width === "" || draft.length === "");
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    if (problem) return;
    setRefused("");
    onDraft({ ...draft, sent: true });
    try {
      onSaved(await send(node, camera.camera, draft));
    } catch (error) {
      const changed = error instanceof ApiError && error.code === "changed";
      setRefused(`${(error as Error).message}${changed ? AGAIN : ""}`);
      const { seen: _, ...anyway } = draft;
      onDraft(changed ? anyway : draft);
    }
  };
  return (
    <form
      class="draft"
      onSubmit={(event) => void save(event)}
      onKeyDown={(event) => event.key === "Escape" && onDraft(null)}
    >
      {draft.kind === "plane" ? (
        <PlaneFields draft={draft} first={first} onDraft={onDraft} />
      ) : (
        <NamedFields draft={draft} first={first} known={camera.labels ?? []} onDraft={onDraft} />
      )}
      <p class="problem" role="alert">
        {untouched ? "" : problem || refused}
      </p>
      <div class="actions">
        <button
          class="primary"
          type="submit"
          data-testid={`save-${draft.kind}`}
          disabled={draft.sent || problem !== ""}
        >
          Save
        </button>
        {draft.kind === "line" && (
          <button type="button" onClick={() => onDraft({ ...draft, points: [...draft.points].reverse() })}>
            Swap A and B
          </button>
        )}
        {draft.kind !== "plane" && (
          <button
            type="button"
            disabled={draft.points.length >= most || draft.placing}
            onClick={() => onDraft({ ...draft, placing: true })}
          >
            Add a point
          </button>
        )}
        <button type="button" onClick={() => onDraft(null)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function Hint({ draft, onDraft }: { draft: Draft; onDraft: (draft: Draft | null) => void }) {
  return (
    <div class="draft hint" role="status">
      <span>{hintOf(draft)}</span>
      <span class="grow" />
      {draft.kind === "zone" && draft.points.length >= 3 && (
        <button
          class="primary"
          type="button"
          data-testid="close-zone"
          onClick={() => onDraft({ ...draft, placing: false })}
        >
          Close it
        </button>
      )}
      <button type="button" onClick={() => onDraft(null)}>
        Cancel
      </button>
    </div>
  );
}

interface FieldsProps {
  draft: Draft;
  first: { current: HTMLInputElement | null };
  onDraft: (draft: Draft) => void;
}

function NamedFields({ draft, first, known, onDraft }: FieldsProps & { known: string[] }) {
  const toggle = (label: string) => {
    const labels = draft.labels.includes(label)
      ? draft.labels.filter((l) => l !== label)
      : [...draft.labels, label];
    onDraft({ ...draft, labels });
  };
  return (
    <>
      <div class="fields">
        <label>
          Name
          <input
            ref={first}
            data-testid={`${draft.kind}-name`}
            value={draft.name}
            disabled={draft.original !== null}
            maxLength={48}
            spellcheck={false}
            onInput={(event) => onDraft({ ...draft, name: event.currentTarget.value })}
          />
        </label>
        <label>
          {draft.kind === "line" ? "Counts an object by its" : "An object is where it has its"}
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
    </>
  );
}

function PlaneFields({ draft, first, onDraft }: FieldsProps) {
  return (
    <>
      <div class="fields">
        <label>
          Width, in metres (the near side)
          <input
            ref={first}
            data-testid="plane-width"
            inputMode="decimal"
            placeholder="3.5"
            value={draft.width}
            onInput={(event) => onDraft({ ...draft, width: event.currentTarget.value })}
          />
        </label>
        <label>
          Length, in metres (along the road)
          <input
            data-testid="plane-length"
            inputMode="decimal"
            placeholder="20"
            value={draft.length}
            onInput={(event) => onDraft({ ...draft, length: event.currentTarget.value })}
          />
        </label>
      </div>
      <p class="faint note">
        Speeds are only as accurate as these two numbers: measure them, or count lane markings.
      </p>
    </>
  );
}
