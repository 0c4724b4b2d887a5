// What all nodes, or one, counted between any two days: a table to read and a CSV to keep.
import { useEffect, useMemo, useState } from "preact/hooks";
import { type ApiError, request, ROOT } from "./api";
import { useCell } from "./cell";
import { CountsBars } from "./counts-bars";
import { dayAfter, fitting } from "./days";
import { Clock, count, NONE, span } from "./format";
import { useClock } from "./history";
import { nodes, watch } from "./session";
import type { Bucket } from "./page-types";
import type { FleetCountRow, FleetCounts, NodeEntry } from "./types";

const SHOWN = 500;
const BUCKETS: Bucket[] = ["hour", "day", "week", "month", "year", "all"];

const labelsOf = ({ cameras }: NodeEntry): string[] => cameras.flatMap((camera) => camera.labels ?? []);

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

export function CountsPage() {
  const [zone, setZone] = useState<string | undefined>();
  const centre = useClock();
  const clock = useMemo(() => (zone ? new Clock(zone) : centre), [zone, centre]);
  const known = useCell(nodes);
  const [from, setFrom] = useState(dayAfter(today(), -29));
  const [to, setTo] = useState(today());
  const [chosen, setChosen] = useState<Bucket | "">("");
  const [node, setNode] = useState("");
  const [apart, setApart] = useState(false);
  const [rows, setRows] = useState<FleetCountRow[] | null>(null);
  const [problem, setProblem] = useState("");
  const bucket = chosen || fitting(from, to);
  const valid = Boolean(from && to) && from <= to;
  const query = new URLSearchParams({ from, to: valid ? dayAfter(to, 1) : to, bucket, nodes: node });
  if (apart) query.set("by", "node");
  const path = `/fleet/counts?${query}`;
  useEffect(() => watch(), []);
  useEffect(() => {
    document.title = "Counts · GB-Fleet";
  }, []);
  useEffect(() => {
    if (!valid) return setProblem("The first day is after the last one.");
    let gone = false;
    setProblem("");
    request<FleetCounts>("GET", path).then(
      (found) => {
        if (gone) return;
        setRows(found.rows);
        setZone(found.timezone);
      },
      (error: ApiError) => !gone && setProblem(error.message),
    );
    return () => void (gone = true);
  }, [path, valid]);
  const start = (at: number): string =>
    bucket === "hour" ? `${clock.date(at)} ${clock.minute(at)}` : `${clock.date(at)} ${clock.year(at)}`;
  const labels = [...new Set([...(known?.values() ?? [])].flatMap(labelsOf))];
  const sum = (rows ?? []).reduce((all, row) => all + row.count, 0);
  return (
    <main class="page" data-testid="counts-page">
      <h1>Counts</h1>
      <form class="counts-form" onSubmit={(event) => event.preventDefault()}>
        <label>
          From <input type="date" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label>
          To <input type="date" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <label>
          By{" "}
          <select value={bucket} onChange={(event) => setChosen(event.currentTarget.value as Bucket)}>
            {BUCKETS.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          Node{" "}
          <select value={node} onChange={(event) => setNode(event.currentTarget.value)}>
            <option value="">all</option>
            {[...(known?.keys() ?? [])].sort().map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          <input
            type="checkbox"
            checked={apart}
            onChange={(event) => setApart(event.currentTarget.checked)}
          />{" "}
          each node for itself
        </label>
        {valid && (
          <a href={`${ROOT}${path}&format=csv`} download={`counts-${from}-${to}.csv`} data-outside>
            CSV
          </a>
        )}
      </form>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {rows && !problem && (
        <>
          <p>
            {count(sum)} crossings in {count(rows.length)} rows
            {rows.length > SHOWN && `; the first ${SHOWN} are shown, the CSV has all`}
          </p>
          <CountsBars rows={rows} bucket={bucket} from={from} to={to} clock={clock} known={labels} />
          <section class="panel counts-table">
            <table class="manage-table">
              <thead>
                <tr>
                  <th>Start</th>
                  {apart && <th>Node</th>}
                  <th>Line</th>
                  <th>Direction</th>
                  <th>Label</th>
                  <th class="number">Count</th>
                  <th class="number">Watched, all cameras</th>
                </tr>
              </thead>
              <tbody>
                {rows.slice(0, SHOWN).map((row) => (
                  <tr
                    key={`${row.start} ${row.node} ${row.camera} ${row.line} ${row.version} ${row.direction} ${row.label}`}
                  >
                    <td>{start(row.start)}</td>
                    {apart && <td>{row.node}</td>}
                    <td>{row.line}</td>
                    <td>{row.direction}</td>
                    <td>{row.label}</td>
                    <td class="number">{count(row.count)}</td>
                    <td class="number">{row.watched_seconds ? span(row.watched_seconds * 1000) : NONE}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        </>
      )}
    </main>
  );
}
