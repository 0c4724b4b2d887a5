// Origin and destination objects went, as a matrix to look at: by the first and the last gate of each, or by any
// gate and a later one.
import { useState } from "preact/hooks";
import { api } from "./api";
import { Foot, Panel, Picker } from "./chart-panel";
import { breakdown } from "./counts";
import { count, NONE, seconds } from "./format";
import { gateName, gatesOf, matrix, type Cell } from "./gates";
import { useHistory } from "./history";
import type { TripRow } from "./types";

/** What is asked: any gate and a later one where either is named, else the ends of each object's way. */
interface Ends {
  origin: string;
  destination: string;
}

/** What exactly the numbers count, in a sentence. */
export function countedAs({ origin, destination }: Ends): string {
  const [from, to] = [gateName(origin), gateName(destination)];
  const broken = "Objects lost from sight in between are missing.";
  if (origin && destination)
    return `Objects that passed ${from} and later ${to}, each once, wherever else they went. ${broken}`;
  if (origin) return `Objects that passed ${from}, by each line and zone that they passed later. ${broken}`;
  if (destination)
    return `Objects that passed ${to}, by each line and zone that they passed before. ${broken}`;
  return "Each object once, by the first and the last line or zone that it passed.";
}

interface TripsProps {
  node: string;
  camera: string;
  lines: string[];
  zones: string[];
}

export function Trips({ node, camera, lines, zones }: TripsProps) {
  const [ends, setEnds] = useState<Ends>({ origin: "", destination: "" });
  const loaded = useHistory({
    node,
    camera,
    asked: `${ends.origin}\n${ends.destination}`,
    facts: ["tally"],
    read: async (bucket, range) => ({
      ends,
      trips: await api.rows("trips", node, camera, bucket, range, { ...ends }),
    }),
  });
  const rows = loaded?.rows.trips ?? [];
  const gates = gatesOf(lines, zones, rows);
  const gateCount = lines.length + zones.length;
  const asked = ends.origin !== "" || ends.destination !== "";
  if (!loaded || (gateCount < 2 && !rows.length && !asked)) return null;
  const tools = (
    <>
      <Picker
        label="From"
        none="from anywhere"
        names={gates}
        value={ends.origin}
        called={(gate) => `from ${gateName(gate)}`}
        onPick={(origin) => setEnds({ ...ends, origin })}
      />
      <Picker
        label="To"
        none="to anywhere"
        names={gates}
        value={ends.destination}
        called={(gate) => `to ${gateName(gate)}`}
        onPick={(destination) => setEnds({ ...ends, destination })}
      />
    </>
  );
  const shown = loaded.rows.ends;
  return (
    <Panel kind="trips" testid="trips" title="Origin and destination" tools={tools}>
      <p class="faint note" data-testid="trips-note">
        {countedAs(shown)}
      </p>
      {rows.length === 0 ? (
        <p>No objects took this way in the period shown.</p>
      ) : shown.origin && shown.destination ? (
        <Pair rows={rows} />
      ) : (
        <Matrix rows={rows} />
      )}
      <Foot csv={api.csv("trips", node, camera, loaded.view.bucket, loaded.range, { ...shown })} />
    </Panel>
  );
}

/** One pair of gates: how many, by label, and how long they took. */
function Pair({ rows }: { rows: TripRow[] }) {
  return (
    <table class="pair" data-testid="pair">
      <thead>
        <tr>
          <th />
          <th>Objects</th>
          <th>Median time</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.label}>
            <td>{row.label}</td>
            <td>
              <b>{count(row.count)}</b>
            </td>
            <td>{row.seconds_p50 == null ? NONE : seconds(row.seconds_p50)}</td>
          </tr>
        ))}
        {rows.length > 1 && (
          <tr class="sum">
            <td>together</td>
            <td>
              <b>{count(rows.reduce((sum, row) => sum + row.count, 0))}</b>
            </td>
            <td />
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Matrix({ rows }: { rows: TripRow[] }) {
  const { origins, destinations, cells, most } = matrix(rows);
  return (
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
  );
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
