// Sums over the rows that the API sends.
import type { Direction } from "./page-types";
import type { CameraEntry, CountRow, CountToday, NodeEntry, ShareRow } from "./types";

export const DIRECTIONS: readonly Direction[] = ["AB", "BA"];

export interface LineSum {
  camera: string;
  line: string;
  AB: number;
  BA: number;
  labels: Record<Direction, Record<string, number>>;
}

/** One entry per camera and line, over all labels, in the order of their names. */
export function byLine(rows: readonly (CountToday | CountRow)[]): LineSum[] {
  const sums = new Map<string, LineSum>();
  for (const row of rows) {
    const key = `${row.camera}\n${row.line}`;
    const sum = sums.get(key) ?? {
      camera: row.camera,
      line: row.line,
      AB: 0,
      BA: 0,
      labels: { AB: {}, BA: {} },
    };
    sums.set(key, sum);
    if (row.direction !== "AB" && row.direction !== "BA") continue;
    sum[row.direction] += row.count;
    const labels = sum.labels[row.direction];
    labels[row.label] = (labels[row.label] ?? 0) + row.count;
  }
  return [...sums.values()].sort((a, b) => a.camera.localeCompare(b.camera) || a.line.localeCompare(b.line));
}

/** "12 car, 3 bus", the most frequent first. */
export function breakdown(labels: Record<string, number>): string {
  return Object.entries(labels)
    .filter(([, count]) => count > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([label, count]) => `${count} ${label}`)
    .join(", ");
}

export function blindCameras(node: NodeEntry): number {
  return node.cameras.filter((camera) => node.state !== "online" || camera.state !== "ok").length;
}

/** How long a camera was blind today, in ms, if that is long enough to tell. */
export function blindToday(camera: CameraEntry): number {
  return camera.blind_seconds_today >= 30 ? camera.blind_seconds_today * 1000 : 0;
}

/** 0 = something is broken, 1 = something wants a look, 2 = all is well. */
export function urgency(node: NodeEntry): number {
  if (node.state !== "online" || node.cameras.some((camera) => camera.state !== "ok")) return 0;
  return node.warnings.length ? 1 : 2;
}

export function worstFirst(nodes: Iterable<NodeEntry>): NodeEntry[] {
  return [...nodes].sort((a, b) => urgency(a) - urgency(b) || a.node.localeCompare(b.node));
}

export interface MaskShare {
  with: number;
  without: number;
  unknown: number;
}

/** Objects by mask state, or null where the camera does not look for masks. */
export function masks(known: readonly string[], objects: Record<string, number>): MaskShare | null {
  const labels = new Set([...known, ...Object.keys(objects)]);
  if (!labels.has("with_mask") && !labels.has("without_mask")) return null;
  const seen = (label: string): number => objects[label] ?? 0;
  const other = Object.keys(objects).filter((label) => /mask|unknown|unsure|face/.test(label));
  const judged = seen("with_mask") + seen("without_mask");
  return {
    with: seen("with_mask"),
    without: seen("without_mask"),
    unknown: other.reduce((sum, label) => sum + seen(label), 0) - judged,
  };
}

const NORMAL = 1.959964;

export type Part = Pick<ShareRow, "count" | "total" | "share" | "low" | "high">;

/** A share with its 95 % interval after Wilson, as the centre computes it. */
export function part(count: number, total: number): Part {
  if (!total) return { count, total, share: null, low: null, high: null };
  const share = count / total;
  const square = NORMAL ** 2;
  const middle = (share + square / (2 * total)) / (1 + square / total);
  const root = Math.sqrt((share * (1 - share)) / total + square / (4 * total * total));
  const half = (NORMAL / (1 + square / total)) * root;
  return { count, total, share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}
