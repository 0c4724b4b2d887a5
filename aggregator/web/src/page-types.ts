// Types of the page that the API's description does not name: parts of its types, and what the stream tells.
import type { CountRow, Line, NodeEntry } from "./types";

export type NodeState = NodeEntry["state"];
export type Direction = CountRow["direction"];
export type Anchor = NonNullable<Line["anchor"]>;
export type Point = [number, number];
export type Bucket = "minute" | "hour" | "day" | "week" | "month" | "year" | "all";

/** Any stored event in its readable form; which fields it has depends on `type`. */
export interface Fact {
  id: string;
  type: string;
  at: number;
  camera: string;
  node?: string;
  [field: string]: unknown;
}

/** track, x1, y1, x2, y2, class, score in percent */
export type LiveRow = [number, number, number, number, number, number, number];

export interface LiveFrame {
  node: string;
  camera: string;
  at: number;
  labels: string[];
  rows: LiveRow[];
}

/** A box's samples of a minute. */
export interface ResourceRow {
  at: number;
  cpu_percent: number;
  agent_cpu_percent: number;
  memory_bytes: number;
  memory_percent: number;
  disk_percent: number;
  temperature: number | null;
  /** Of the busiest one; null: there is none that tells. */
  gpu_percent?: number | null;
  /** What the board takes, or its processor alone; null: nothing tells. */
  watts?: number | null;
  power_of?: "board" | "processor" | null;
  /** Since the agent's start. */
  joules_per_count?: number | null;
  throttled?: boolean;
  fps: Record<string, number>;
}

/** Whether the centre makes progress, and what does not. */
export interface Health {
  ok: boolean;
  reasons: string[];
}
