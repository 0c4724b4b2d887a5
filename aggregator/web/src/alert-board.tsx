// The alerts that stand, wherever one is on the page: the link with its number, and a toast for a new one.
import { useEffect, useRef, useState } from "preact/hooks";
import type { AlertBrief } from "./alert-types";
import { useCell } from "./cell";
import { HOME } from "./home";
import { board } from "./session";

const SHOWN_MS = 15_000;

export function AlertsLink() {
  const open = useCell(board)?.open ?? 0;
  return (
    <a class="alerts-link" href={`${HOME}alerts`} data-testid="alerts-link">
      Alerts
      {open > 0 && (
        <b class="count" data-testid="alerts-badge" aria-label={`${open} open`}>
          {open}
        </b>
      )}
    </a>
  );
}

/** Shows what was not there before, for a while; what stood already when the page was opened is no news. */
export function Toasts() {
  const current = useCell(board);
  const seen = useRef<Set<string> | null>(null);
  const [shown, setShown] = useState<readonly AlertBrief[]>([]);
  const drop = (id: string) => setShown((old) => old.filter((one) => one.id !== id));
  useEffect(() => {
    if (!current) return;
    const known = seen.current;
    seen.current = new Set([...(known ?? []), ...current.alerts.map(({ id }) => id)]);
    if (!known) return;
    const fresh = current.alerts.filter(({ id, state }) => state === "open" && !known.has(id));
    if (!fresh.length) return;
    setShown((old) => [...fresh, ...old].slice(0, 4));
    for (const { id } of fresh) window.setTimeout(() => drop(id), SHOWN_MS);
  }, [current]);
  return (
    <div class="toasts" role="status">
      {shown.map((alert) => (
        <div key={alert.id} class="toast" data-severity={alert.severity} data-testid="toast">
          <a href={`${HOME}alerts`} onClick={() => drop(alert.id)}>
            {alert.title}
          </a>
          <button class="quiet" type="button" onClick={() => drop(alert.id)} aria-label="Dismiss">
            ×
          </button>
        </div>
      ))}
    </div>
  );
}
