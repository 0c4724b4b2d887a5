// From where to where objects went, as a matrix to look at; and how fast they crossed the lines.
import { api } from "./api";
import { breakdown } from "./counts";
import { count, span } from "./format";
import type { Loaded } from "./history";
import type { SpeedRow, TripRow } from "./types";

/** "main:AB" as people read it. */
export function gateName(gate: string): string {
  const match = /^(.+):(AB|BA)$/.exec(gate);
  return match ? `${match[1]} ${match[2] === "AB" ? "A→B" : "B→A"}` : gate;
}

interface Cell {
  total: number;
  labels: Record<string, number>;
  seconds: string[];
}

/** The trips of each pair of gates, over all labels; gates by how much goes through them. */
export function matrix(rows: readonly TripRow[]): {
  origins: string[];
  destinations: string[];
  cells: Map<string, Cell>;
  most: number;
} {
  const cells = new Map<string, Cell>();
  const ends: [Map<string, number>, Map<string, number>] = [new Map(), new Map()];
  for (const row of rows) {
    const key = `${row.origin}\n${row.destination}`;
    const cell = cells.get(key) ?? { total: 0, labels: {}, seconds: [] };
    cell.total += row.count;
    cell.labels[row.label] = (cell.labels[row.label] ?? 0) + row.count;
    if (row.seconds_p50 != null) cell.seconds.push(`${row.label} ${span(row.seconds_p50 * 1000)}`);
    cells.set(key, cell);
    ends[0].set(row.origin, (ends[0].get(row.origin) ?? 0) + row.count);
    ends[1].set(row.destination, (ends[1].get(row.destination) ?? 0) + row.count);
  }
  const [origins, destinations] = ends.map((end) =>
    [...end].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([gate]) => gate),
  ) as [string[], string[]];
  return {
    origins,
    destinations,
    cells,
    most: Math.max(1, ...[...cells.values()].map((cell) => cell.total)),
  };
}

function TripCell({ cell, most, title }: { cell: Cell | undefined; most: number; title: string }) {
  if (!cell) return <td class="none">·</td>;
  const share = cell.total / most;
  const detail = `${title}: ${breakdown(cell.labels)}${cell.seconds.length ? `; median ${cell.seconds.join(", ")}` : ""}`;
  return (
    <td
      title={detail}
      aria-label={detail}
      data-strong={share > 0.55}
      style={{ background: `color-mix(in srgb, var(--ab) ${Math.round(8 + 92 * share)}%, var(--panel))` }}
    >
      {count(cell.total)}
    </td>
  );
}

interface TripsProps {
  node: string;
  camera: string;
  loaded: Loaded<{ trips: TripRow[] }> | null;
  /** How many lines and zones there are. */
  gates: number;
}

export function Trips({ node, camera, loaded, gates }: TripsProps) {
  if (!loaded || (gates < 2 && !loaded.rows.trips.length)) return null;
  const { origins, destinations, cells, most } = matrix(loaded.rows.trips);
  return (
    <section class="panel trips" data-testid="trips">
      <header class="row wrap">
        <h2>From where to where</h2>
        <span class="faint">first and last line or zone of each object</span>
        <span class="grow" />
        <a href={api.csv("trips", node, camera, loaded.view.bucket, loaded.range)} data-outside download>
          CSV
        </a>
      </header>
      {origins.length === 0 ? (
        <p class="faint">Nothing has passed two of the lines and zones yet in this time.</p>
      ) : (
        <div class="scroll" tabIndex={0} aria-label="Trips; scrolls sideways">
          <table class="matrix">
            <thead>
              <tr>
                <th>from ↓ to →</th>
                {destinations.map((gate) => (
                  <th key={gate}>{gateName(gate)}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {origins.map((from) => (
                <tr key={from}>
                  <th>{gateName(from)}</th>
                  {destinations.map((to) => (
                    <TripCell
                      key={to}
                      cell={cells.get(`${from}\n${to}`)}
                      most={most}
                      title={`${gateName(from)} to ${gateName(to)}`}
                    />
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface SpeedsProps {
  node: string;
  camera: string;
  loaded: Loaded<{ speeds: SpeedRow[] }> | null;
}

export function Speeds({ node, camera, loaded }: SpeedsProps) {
  const rows = loaded?.rows.speeds ?? [];
  if (!loaded || !rows.length) return null;
  const most = Math.max(...rows.map((row) => row.p85)) * 1.1 || 1;
  return (
    <section class="panel speeds" data-testid="speeds">
      <header class="row wrap">
        <h2>Speeds</h2>
        <span class="faint">median, in km/h</span>
        <span class="grow" />
        <a href={api.csv("speeds", node, camera, loaded.view.bucket, loaded.range)} data-outside download>
          CSV
        </a>
      </header>
      <ul class="speed-rows">
        {rows.map((row) => (
          <li key={`${row.line}\n${row.direction}\n${row.label}`}>
            <span class="name">
              {gateName(`${row.line}:${row.direction}`)} <span class="faint">{row.label}</span>
            </span>
            <span class="track" aria-hidden="true">
              <span
                class="range"
                style={{
                  left: `${(100 * row.p50) / most}%`,
                  width: `${Math.max(0.5, (100 * (row.p85 - row.p50)) / most)}%`,
                }}
              />
              <span class="mark" style={{ left: `${(100 * row.p50) / most}%` }} />
            </span>
            <b>{row.p50.toFixed(0)}</b>
            <span class="faint">
              85 % below {row.p85.toFixed(0)} <small>({count(row.count)})</small>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
