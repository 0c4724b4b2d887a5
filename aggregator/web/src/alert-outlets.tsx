// Where messages go: webhooks, e-mail, MQTT; each with a test button. Only an administrator changes them.
import { useEffect, useState } from "preact/hooks";
import { alertApi } from "./alert-api";
import type { Outlet } from "./alert-types";
import type { NamedOutlet } from "./types";
import type { ApiError } from "./api";
import { Cell, useCell } from "./cell";
import { login } from "./session";

/** What the forms of rules offer. */
export const outletNames = new Cell<NamedOutlet[]>([]);

const KINDS = {
  webhook: { title: "Webhook", label: "Address", placeholder: "https://ops.example/hook" },
  mail: { title: "E-mail", label: "To", placeholder: "anna@example.com, duty@example.com" },
  mqtt: { title: "MQTT", label: "Topic", placeholder: "gb/alerts" },
} as const;
type Kind = keyof typeof KINDS;

function outletOf(kind: Kind, text: string): Outlet {
  if (kind === "webhook") return { kind, url: text.trim() };
  if (kind === "mqtt") return { kind, topic: text.trim() };
  return { kind, to: text.split(/[\s,;]+/).filter(Boolean) };
}

function address(outlet: Outlet): string {
  if (outlet.kind === "webhook") return outlet.url;
  return outlet.kind === "mqtt" ? (outlet.topic ?? "") : outlet.to.join(", ");
}

function OutletItem({ one, may, onDone }: { one: NamedOutlet; may: boolean; onDone: () => void }) {
  const [said, setSaid] = useState("");
  const [problem, setProblem] = useState("");
  const failed = (error: ApiError) => setProblem(error.message);
  const test = () => {
    setSaid("");
    setProblem("");
    alertApi
      .testOutlet(one.id)
      .then(({ ok, error }) => (ok ? setSaid("The test message was accepted.") : setProblem(error)), failed);
  };
  return (
    <li class="alert-item" data-testid="outlet">
      <div class="row wrap">
        <h3>{one.id}</h3>
        <span class="faint">
          {KINDS[one.outlet.kind].title}: {address(one.outlet)}
        </span>
      </div>
      <div class="actions">
        <button type="button" onClick={test}>
          Send a test
        </button>
        {may && (
          <button type="button" onClick={() => void alertApi.removeOutlet(one.id).then(onDone, failed)}>
            Delete
          </button>
        )}
        {said && <span role="status">{said}</span>}
        {problem && (
          <span class="problem" role="alert">
            {problem}
          </span>
        )}
      </div>
    </li>
  );
}

function OutletForm({ onDone }: { onDone: (secret: string) => void }) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState<Kind>("webhook");
  const [text, setText] = useState("");
  const [problem, setProblem] = useState("");
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      const made = await alertApi.putOutlet(name.trim(), outletOf(kind, text));
      onDone(made.outlet.kind === "webhook" ? (made.outlet.secret ?? "") : "");
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form class="draft" data-testid="outlet-form" onSubmit={(event) => void save(event)}>
      <div class="fields">
        <label>
          Name
          <input
            value={name}
            maxLength={32}
            data-field="outlet-name"
            placeholder="duty"
            spellcheck={false}
            required
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <label>
          How
          <select
            value={kind}
            data-field="outlet-kind"
            onChange={(event) => setKind(event.currentTarget.value as Kind)}
          >
            {Object.entries(KINDS).map(([one, { title }]) => (
              <option key={one} value={one}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label>
          {KINDS[kind].label}
          <input
            value={text}
            data-field="outlet-address"
            placeholder={KINDS[kind].placeholder}
            spellcheck={false}
            required
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
      <div class="actions">
        <button class="primary" type="submit" data-testid="save-outlet">
          Save
        </button>
        <button type="button" onClick={() => onDone("")}>
          Cancel
        </button>
      </div>
    </form>
  );
}

export function Outlets() {
  const rows = useCell(outletNames);
  const who = useCell(login);
  const may = typeof who === "object" && who.role === "admin";
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState("");
  const [hidden, setHidden] = useState(false);
  const load = () =>
    alertApi.outlets().then(
      (found) => outletNames.set(found),
      () => setHidden(true), // who does not see the whole fleet is shown no outlets
    );
  useEffect(() => void load(), []);
  if (hidden) return null;
  const done = (made: string) => {
    setAdding(false);
    setSecret(made);
    void load();
  };
  return (
    <section class="panel alerts">
      <header class="row wrap">
        <h2>Outlets</h2>
        <span class="grow" />
        {may && !adding && (
          <button type="button" onClick={() => setAdding(true)} data-testid="new-outlet">
            New outlet
          </button>
        )}
      </header>
      {adding && <OutletForm onDone={done} />}
      {secret && (
        <p class="note" role="status" data-testid="secret">
          Its secret, shown this once: <code>{secret}</code>
        </p>
      )}
      <ul>
        {rows.map((one) => (
          <OutletItem key={one.id} one={one} may={may} onDone={() => done("")} />
        ))}
        {rows.length === 0 && !adding && <li class="faint">Alerts are shown on this page only.</li>}
      </ul>
    </section>
  );
}
