// Alerts: what stands and what was, the rules that find them, and where messages go.
import { useEffect, useState } from "preact/hooks";
import { alertApi } from "./alert-api";
import { Outlets } from "./alert-outlets";
import { Rules } from "./alert-rules";
import type { AlertState } from "./alert-types";
import type { AlertRow } from "./types";
import type { ApiError } from "./api";
import { useCell } from "./cell";
import { ago, span } from "./format";
import { nodeHref } from "./router";
import { board, login, mayEdit, now, watch } from "./session";

const HISTORY = 50;
const PARTS = 8;
const AGAIN_MS = 5000;
const STANDING = "open,acknowledged,snoozed";

function Parts({ alert }: { alert: AlertRow }) {
  const [all, setAll] = useState(false);
  const shown = all ? alert.parts : alert.parts.slice(0, PARTS);
  const more = alert.count - shown.length;
  return (
    <ul class="alert-parts">
      {shown.map((part) => (
        <li key={`${part.node} ${part.camera} ${part.gate}`} class={part.until ? "faint" : ""}>
          {part.node ? <a href={nodeHref(part.node, part.camera || undefined)}>{part.text}</a> : part.text}
          {part.until > 0 && " (over)"}
        </li>
      ))}
      {more > 0 && (
        <li class="faint">
          and {more} more{" "}
          {!all && alert.parts.length > PARTS && (
            <button class="link" type="button" onClick={() => setAll(true)}>
              Show
            </button>
          )}
        </li>
      )}
    </ul>
  );
}

function Messages({ alert }: { alert: AlertRow }) {
  if (!alert.messages.length) return null;
  return (
    <p class="faint note">
      {alert.messages.map((message, i) => (
        <span key={i} class={message.state === "given up" ? "problem" : ""}>
          {i > 0 && " · "}
          {message.outlet}: {message.what} {message.state}
          {message.error && ` (${message.error})`}
        </span>
      ))}
    </p>
  );
}

function Actions({ alert, onDone }: { alert: AlertRow; onDone: () => void }) {
  const [problem, setProblem] = useState("");
  const say = (state: AlertState, minutes?: number) =>
    alertApi.say(alert.id, state, minutes).then(onDone, (error: ApiError) => setProblem(error.message));
  return (
    <div class="actions">
      {alert.state !== "acknowledged" && (
        <button type="button" onClick={() => void say("acknowledged")} data-testid="acknowledge">
          Acknowledge
        </button>
      )}
      {alert.state === "open" && (
        <button type="button" onClick={() => void say("snoozed", 60)}>
          Snooze for an hour
        </button>
      )}
      {alert.state !== "open" && (
        <button type="button" onClick={() => void say("open")}>
          Open again
        </button>
      )}
      <button type="button" onClick={() => void say("closed")}>
        Close
      </button>
      {problem && (
        <span class="problem" role="alert">
          {problem}
        </span>
      )}
    </div>
  );
}

function stateOf(alert: AlertRow, at: number): string {
  if (alert.state === "closed") return `closed ${ago(alert.closed, at)}: ${alert.why}`;
  if (alert.state === "snoozed" && alert.snoozed_until)
    return `snoozed for ${span(alert.snoozed_until - at)} by ${alert.changed_by}`;
  if (alert.state === "acknowledged") return `acknowledged by ${alert.changed_by}`;
  return `open for ${span(at - alert.opened)}`;
}

function AlertItem({ alert, onDone }: { alert: AlertRow; onDone: () => void }) {
  const at = useCell(now);
  const may = mayEdit(useCell(login));
  return (
    <li class="alert-item" data-testid="alert" data-state={alert.state} data-severity={alert.severity}>
      <div class="row wrap">
        <h3>{alert.title}</h3>
        <span class="grow" />
        <span class="faint">{stateOf(alert, at)}</span>
      </div>
      {alert.count > 1 && <Parts alert={alert} />}
      <Messages alert={alert} />
      {may && alert.state !== "closed" && <Actions alert={alert} onDone={onDone} />}
    </li>
  );
}

function List({
  title,
  none,
  rows,
  onDone,
}: {
  title: string;
  none: string;
  rows: AlertRow[];
  onDone: () => void;
}) {
  return (
    <section class="panel alerts">
      <h2>{title}</h2>
      <ul>
        {rows.map((alert) => (
          <AlertItem key={alert.id} alert={alert} onDone={onDone} />
        ))}
        {rows.length === 0 && <li class="faint">{none}</li>}
      </ul>
    </section>
  );
}

export function AlertsPage() {
  const [standing, setStanding] = useState<AlertRow[] | null>(null);
  const [past, setPast] = useState<AlertRow[]>([]);
  const [problem, setProblem] = useState("");
  const [turn, setTurn] = useState(0);
  const changed = useCell(board);
  const beat = Math.floor(useCell(now) / AGAIN_MS); // what became of messages is not on the board
  const who = useCell(login);
  useEffect(() => watch(), []);
  useEffect(() => {
    document.title = "Alerts · GB-Fleet";
  }, []);
  useEffect(() => {
    if (document.hidden) return;
    let gone = false;
    Promise.all([alertApi.history(STANDING, 500), alertApi.history("closed", HISTORY)]).then(
      ([open, closed]) => {
        if (gone) return;
        setStanding(open);
        setPast(closed);
        setProblem("");
      },
      (error: ApiError) => !gone && setProblem(error.message),
    );
    return () => {
      gone = true;
    };
  }, [changed, turn, beat]);
  const again = () => setTurn((old) => old + 1);
  return (
    <div class="alerts-page">
      <h1>Alerts</h1>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {standing && <List title="Now" none="No open alerts." rows={standing} onDone={again} />}
      <Rules />
      {mayEdit(who) && <Outlets />}
      <List title="Before" none="Nothing yet." rows={past} onDone={again} />
    </div>
  );
}
