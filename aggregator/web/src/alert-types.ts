// What the alerts' page uses of the API's types, and what the forms make of them.
import type { AlertRow, NamedOutlet, Rule as RuleRow, RuleBody as RuleWanted, Scope as Where } from "./types";

export type AlertState = AlertRow["state"];
export type Severity = AlertRow["severity"];
export type Outlet = NamedOutlet["outlet"];

/** A condition as a form makes it: its kind, and what that takes. */
export interface Condition {
  kind: string;
  [field: string]: unknown;
}

export const SCOPES = ["nodes", "cameras", "lines", "zones", "sites", "groups", "labels"] as const;
export type Scope = Pick<Where, (typeof SCOPES)[number]>;

export type RuleBody = Omit<Required<RuleWanted>, "condition" | "scope"> & {
  condition: Condition;
  scope: Scope;
};
export type Rule = RuleBody & Pick<RuleRow, "id" | "version">;

export type AlertBrief = Pick<AlertRow, "id" | "severity" | "state" | "title">;

/** The alerts that are not closed: how many nobody has taken on, and the newest. */
export interface Board {
  open: number;
  alerts: AlertBrief[];
}
