// The form that makes and changes a rule.
import { useState } from "preact/hooks";
import { alertApi } from "./alert-api";
import { SCOPES, type Severity } from "./alert-types";
import type { NamedOutlet } from "./types";
import { bodyOf, emptyFields, KINDS, problemOf } from "./alert-words";
import type { Field, RuleDraft } from "./alert-words";

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];

function FieldInput({
  field,
  value,
  onValue,
}: {
  field: Field;
  value: string;
  onValue: (value: string) => void;
}) {
  if (field.kind === "check")
    return (
      <label class="chip">
        <input
          type="checkbox"
          checked={value === "yes"}
          onChange={() => onValue(value === "yes" ? "" : "yes")}
        />
        {field.label}
      </label>
    );
  return (
    <label>
      {field.label}
      {typeof field.kind === "string" ? (
        <input
          value={value}
          inputMode={field.kind === "number" ? "decimal" : "text"}
          placeholder={field.optional ? "any" : ""}
          data-field={field.name}
          spellcheck={false}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      ) : (
        <select
          value={value}
          data-field={field.name}
          onChange={(event) => onValue(event.currentTarget.value)}
        >
          {field.kind.map((one) => (
            <option key={one} value={one}>
              {one || "both"}
            </option>
          ))}
        </select>
      )}
    </label>
  );
}

interface FormProps {
  draft: RuleDraft;
  outlets: NamedOutlet[];
  onDraft: (draft: RuleDraft | null) => void;
  onSaved: () => void;
}

function Where({ draft, onDraft }: Pick<FormProps, "draft" | "onDraft">) {
  return (
    <details open={Object.values(draft.scope).some(Boolean)}>
      <summary>Only some of them</summary>
      <div class="fields">
        {SCOPES.map((name) => (
          <label key={name}>
            {name[0]!.toUpperCase() + name.slice(1)}
            <input
              value={draft.scope[name] ?? ""}
              placeholder="all"
              data-field={`scope-${name}`}
              spellcheck={false}
              onInput={(event) =>
                onDraft({ ...draft, scope: { ...draft.scope, [name]: event.currentTarget.value } })
              }
            />
          </label>
        ))}
      </div>
      <p class="faint note">Names separated by commas; * matches any characters.</p>
    </details>
  );
}

function Whom({ draft, outlets, onDraft }: Omit<FormProps, "onSaved">) {
  const toggle = (name: string) => {
    const left = draft.outlets.filter((one) => one !== name);
    onDraft({ ...draft, outlets: left.length < draft.outlets.length ? left : [...left, name] });
  };
  return (
    <fieldset class="labels">
      <legend>Also notify</legend>
      {outlets.map(({ id }) => (
        <label key={id} class="chip">
          <input type="checkbox" checked={draft.outlets.includes(id)} onChange={() => toggle(id)} />
          {id}
        </label>
      ))}
      {outlets.length === 0 && <span class="faint">No outlets yet. An administrator can add one below.</span>}
    </fieldset>
  );
}

export function RuleForm({ draft, outlets, onDraft, onSaved }: FormProps) {
  const [refused, setRefused] = useState("");
  const [tried, setTried] = useState(false);
  const problem = problemOf(draft);
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    if (problem) return;
    const { enabled, ...body } = bodyOf(draft);
    try {
      if (draft.id === null) await alertApi.add({ ...body, enabled });
      else await alertApi.change(draft.id, { ...body, version: draft.version });
      onSaved();
    } catch (error) {
      setRefused((error as Error).message);
    }
  };
  return (
    <form class="draft rule-form" data-testid="rule-form" onSubmit={(event) => void save(event)}>
      <div class="fields">
        <label>
          Name
          <input
            value={draft.name}
            maxLength={80}
            data-field="name"
            onInput={(event) => onDraft({ ...draft, name: event.currentTarget.value })}
          />
        </label>
        <label>
          When
          <select
            value={draft.kind}
            data-field="kind"
            onChange={(event) =>
              onDraft({
                ...draft,
                kind: event.currentTarget.value,
                fields: emptyFields(event.currentTarget.value),
              })
            }
          >
            {Object.entries(KINDS).map(([kind, { title }]) => (
              <option key={kind} value={kind}>
                {title}
              </option>
            ))}
          </select>
        </label>
        {(KINDS[draft.kind]?.fields ?? []).map((field) => (
          <FieldInput
            key={field.name}
            field={field}
            value={draft.fields[field.name] ?? ""}
            onValue={(value) => onDraft({ ...draft, fields: { ...draft.fields, [field.name]: value } })}
          />
        ))}
        <label>
          For at least seconds
          <input
            value={draft.hold}
            inputMode="numeric"
            placeholder="as usual"
            data-field="hold"
            onInput={(event) => onDraft({ ...draft, hold: event.currentTarget.value })}
          />
        </label>
        <label>
          Severity
          <select
            value={draft.severity}
            onChange={(event) => onDraft({ ...draft, severity: event.currentTarget.value as Severity })}
          >
            {SEVERITIES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <Where draft={draft} onDraft={onDraft} />
      <Whom draft={draft} outlets={outlets} onDraft={onDraft} />
      <label class="chip">
        <input
          type="checkbox"
          checked={draft.tellClosed}
          onChange={() => onDraft({ ...draft, tellClosed: !draft.tellClosed })}
        />
        Tell its end too
      </label>
      <p class="problem" role="alert">
        {refused || (tried ? problem : "")}
      </p>
      <div class="actions">
        <button class="primary" type="submit" data-testid="save-rule">
          Save
        </button>
        <button type="button" onClick={() => onDraft(null)}>
          Cancel
        </button>
      </div>
    </form>
  );
}
