// What the managing pages have in common: reading a list, doing something about it, and saying what went wrong.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useId, useState } from "preact/hooks";
import type { ApiError } from "./api";

/** A list that is read when the page opens, and again with the second value; the third is what went wrong. */
export function useRead<T>(read: () => Promise<T>): [T | null, () => void, string] {
  const [found, setFound] = useState<T | null>(null);
  const [problem, setProblem] = useState("");
  const again = useCallback(() => {
    read().then(
      (rows) => {
        setFound(rows);
        setProblem("");
      },
      (error: ApiError) => setProblem(error.message),
    );
  }, []);
  useEffect(again, []);
  return [found, again, problem];
}

/** Do something and read again; what was refused is said. */
export function useDo(after: () => void): [(work: Promise<unknown>) => void, string] {
  const [problem, setProblem] = useState("");
  const act = (work: Promise<unknown>) => {
    setProblem("");
    work.then(after, (error: ApiError) => setProblem(error.message));
  };
  return [act, problem];
}

export function Problem({ text }: { text: string }) {
  return text ? (
    <p class="problem" role="alert">
      {text}
    </p>
  ) : null;
}

export function Part({ title, id, children }: { title: string; id: string; children: ComponentChildren }) {
  return (
    <section class="panel manage-part" data-testid={id}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** A form whose named fields are handed on as texts, and which is empty again after that. */
export function Form({
  button,
  id,
  children,
  send,
}: {
  button: string;
  id: string;
  children: ComponentChildren;
  send: (text: (name: string) => string) => void;
}) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    send((name) => String(data.get(name) ?? "").trim());
    form.reset();
  };
  return (
    <form class="manage-form" data-testid={id} onSubmit={submit}>
      {children}
      <button class="primary" type="submit">
        {button}
      </button>
    </form>
  );
}

export function Field({
  label,
  name,
  type = "text",
  required = false,
  value = "",
  hint = "",
  known = [],
}: {
  label: string;
  name: string;
  type?: "text" | "number" | "password" | "time";
  required?: boolean;
  value?: string;
  hint?: string;
  /** What is offered while somebody types. */
  known?: readonly string[];
}) {
  const list = useId();
  return (
    <label>
      {label}
      {known.length > 0 && (
        <datalist id={list}>
          {known.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
      <input
        name={name}
        list={known.length > 0 ? list : undefined}
        {...({ type } as { type: "text" })}
        required={required}
        defaultValue={value}
        placeholder={hint}
        step={type === "number" ? "any" : undefined}
        autocomplete={type === "password" ? "new-password" : "off"}
        spellcheck={false}
      />
    </label>
  );
}

export function Choose({
  label,
  name,
  options,
  value = "",
}: {
  label: string;
  name: string;
  options: readonly string[];
  value?: string;
}) {
  return (
    <label>
      {label}
      <select name={name} defaultValue={value}>
        {options.map((option) => (
          <option key={option} value={option} selected={option === value}>
            {option || "–"}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A button that asks once more before it does something that cannot be taken back. */
export function Sure({ text, ask, act }: { text: string; ask: string; act: () => void }) {
  const [asked, setAsked] = useState(false);
  if (!asked)
    return (
      <button type="button" class="quiet" onClick={() => setAsked(true)}>
        {text}
      </button>
    );
  return (
    <button type="button" class="danger" onClick={act} onBlur={() => setAsked(false)}>
      {ask}
    </button>
  );
}

export const words = (text: string): string[] =>
  text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
