// Gates: a line with a direction ("main:AB"), or a zone ("kerb"). Objects go from gate to gate.
import { seconds } from "./format";
import type { TripRow } from "./types";

/** "main:AB" as people read it. */
export function gateName(gate: string): string {
  const match = /^(.+):(AB|BA)$/.exec(gate);
  return match ? `${match[1]} ${match[2] === "AB" ? "A→B" : "B→A"}` : gate;
}

/** Every gate that there is: those that are drawn, and those that only the rows still know. */
export function gatesOf(
  lines: readonly string[],
  zones: readonly string[],
  rows: readonly TripRow[],
): string[] {
  const drawn = [...lines.flatMap((line) => [`${line}:AB`, `${line}:BA`]), ...zones];
  return [...new Set([...drawn, ...rows.flatMap((row) => [row.origin, row.destination])])];
}

export interface Cell {
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
    if (row.seconds_p50 != null) cell.seconds.push(`${row.label} ${seconds(row.seconds_p50)}`);
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
