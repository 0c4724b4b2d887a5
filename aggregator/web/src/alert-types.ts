// What the API of alerts takes and gives. Times are Unix milliseconds.

export type AlertState = "open" | "acknowledged" | "snoozed" | "closed";
export type Severity = "info" | "warning" | "critical";

/** A condition: its kind, and what that takes. */
export interface Condition {
  kind: string;
  [field: string]: unknown;
}

export const SCOPES = ["nodes", "cameras", "lines", "zones", "sites", "groups", "labels"] as const;
export type Scope = Partial<Record<(typeof SCOPES)[number], string[]>>;

export interface RuleBody {
  name: string;
  condition: Condition;
  scope: Scope;
  severity: Severity;
  outlets: string[];
  hold_seconds: number | null;
  tell_closed: boolean;
  enabled: boolean;
}

export interface Rule extends RuleBody {
  id: string;
  version: number;
}

export type Outlet =
  | { kind: "webhook"; url: string; secret?: string }
  | { kind: "mail"; to: string[] }
  | { kind: "mqtt"; topic: string };

export interface NamedOutlet {
  id: string;
  outlet: Outlet;
}

export interface AlertPart {
  node: string;
  camera: string;
  gate: string;
  text: string;
  since: number;
  until: number;
}

/** A message of an alert: waiting, sent or given up. */
export interface AlertMessage {
  what: string;
  outlet: string;
  state: string;
  at: number;
  attempts: number;
  error: string;
}

export interface Alert {
  id: string;
  rule: string;
  name: string;
  severity: Severity;
  state: AlertState;
  opened: number;
  closed: number | null;
  title: string;
  count: number;
  standing: number;
  parts: AlertPart[];
  snoozed_until: number | null;
  changed_by: string;
  why: string;
  messages: AlertMessage[];
}

export interface Sent {
  outlet: string;
  ok: boolean;
  error: string;
}

export interface Tested {
  matches: { node: string; text: string }[];
  unknown: number;
  sent: Sent[];
}

export interface AlertBrief {
  id: string;
  severity: Severity;
  state: AlertState;
  title: string;
}

/** The alerts that are not closed: how many nobody has taken on, and the newest. */
export interface Board {
  open: number;
  alerts: AlertBrief[];
}
