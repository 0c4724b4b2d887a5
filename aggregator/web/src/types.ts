// What the API sends. Times are Unix milliseconds; coordinates are fractions of the frame.

export type NodeState = "online" | "offline" | "stale";
export type CameraStatus = "ok" | "absent" | "stalled" | "frozen" | "degraded" | "failed" | "ended";
export type Direction = "AB" | "BA";
export type Anchor = "bottom" | "center";
export type Point = [number, number];
export type Bucket = "minute" | "hour" | "day" | "week" | "month" | "year" | "all";

/** What ails a camera that shows something all the same. */
export interface Ailment {
  kind: string;
  since: number;
  text: string;
  amount?: number;
  shift?: [number, number];
  off?: string[];
}

export interface CameraEntry {
  camera: string;
  state: CameraStatus;
  fps: number | null;
  watched_seconds_today: number;
  blind_seconds_today: number;
  reason?: string;
  since?: number;
  labels?: string[];
  model?: string;
  size?: [number, number];
  preview?: boolean;
  objects_today?: Record<string, number>;
  p95_ms?: number | null;
  /** Regions that the second look took in the last minute. */
  looked_regions?: number | null;
  /** For how long the place that waits longest was not looked at again. */
  oldest_region_seconds?: number | null;
  /** As it was when the node was last heard. */
  last_known?: boolean;
  /** When it was first told of. */
  first_seen?: number | null;
  health?: Ailment[];
}

export interface CountToday {
  camera: string;
  line: string;
  direction: Direction;
  label: string;
  count: number;
}

export interface NodeEntry {
  node: string;
  state: NodeState;
  since: number | null;
  last_seen?: number | null;
  version?: string;
  cameras: CameraEntry[];
  cpu_percent: number | null;
  memory_bytes: number | null;
  memory_percent?: number | null;
  disk_percent?: number | null;
  temperature?: number | null;
  counts_today: CountToday[];
  warnings: string[];
  site?: string;
  groups?: string[];
  labels?: string[];
  title?: string;
  /** In which its days begin. */
  timezone?: string;
}

/** A node that was added and has not come yet; its line is good until then. */
export interface Waiting {
  node: string;
  until: number;
}

export interface Fleet {
  at: number;
  nodes: NodeEntry[];
  join?: string;
  waiting?: Waiting[];
  summary?: FleetSummary;
}

/** Of all nodes that fit the question, not of the page only. */
export interface FleetSummary {
  total: number;
  online: number;
  offline: number;
  stale: number;
  blind: number;
}

export interface Line {
  points: Point[];
  anchor?: Anchor;
  labels?: string[];
  version?: number;
}

/** A polygon whose last point is joined to its first. */
export type Zone = Line;

/** Four points round a patch of the road, and where they lie on it in metres. */
export interface Plane {
  points: Point[];
  metres: Point[];
}

export interface CameraSettings {
  confidence?: number;
  labels?: string[];
  lines?: Record<string, Line>;
  zones?: Record<string, Zone>;
  plane?: Plane | null;
}

export interface NodeConfig {
  wanted: number | null;
  applied: number | null;
  error: string | null;
  document: { version?: number; cameras?: Record<string, CameraSettings> } | null;
}

export interface CountRow {
  start: number;
  camera: string;
  line: string;
  version: number;
  direction: Direction;
  label: string;
  count: number;
  watched_seconds: number;
  blind_seconds?: number;
  rate?: number | null;
}

export interface TallyRow {
  start: number;
  camera: string;
  watched_seconds: number;
  blind: Record<string, number>;
  objects: Record<string, number>;
  captured: number;
  inferred: number;
  dropped: number;
  p50_ms: number | null;
  p95_ms: number | null;
  /** Spans in which nothing was seen. */
  unseen?: [number, number][];
}

/** A label's share of the objects whose label is known; that of "unknown" is of all. */
export interface ShareRow {
  start: number;
  camera: string;
  label: string;
  count: number;
  total: number;
  share: number | null;
  low: number | null;
  high: number | null;
}

export interface SpeedRow {
  camera: string;
  line: string;
  direction: Direction;
  label: string;
  count: number;
  mean: number;
  p50: number;
  p85: number;
}

export interface TripRow {
  camera: string;
  origin: string;
  destination: string;
  label: string;
  count: number;
  seconds_p50: number | null;
}

export interface ZoneRow {
  start: number;
  camera: string;
  zone: string;
  version: number;
  entered: number;
  left: number;
  occupancy_mean: number | null;
  occupancy_peak: number | null;
  queue_mean: number | null;
  queue_peak: number | null;
  stays: number;
  dwell_p50: number | null;
  watched_seconds: number;
}

export interface ResourceRow {
  at: number;
  cpu_percent: number;
  agent_cpu_percent: number;
  memory_bytes: number;
  memory_percent: number;
  disk_percent: number;
  temperature: number | null;
  throttled?: boolean;
  fps: Record<string, number>;
}

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

export interface Me {
  user: string;
  role: "viewer" | "operator" | "admin";
  site?: { timezone?: string };
  /** To which nodes that is limited; none of both: all. */
  sites?: string[];
  groups?: string[];
  /** Nobody has a name and a password yet, and this one may make the first administrator. */
  first?: boolean;
}

/** Whether the centre makes progress, and what does not. */
export interface Health {
  ok: boolean;
  reasons: string[];
}
