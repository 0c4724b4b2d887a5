// Conditions in words, and as the fields of a form.
import { SCOPES, type Condition, type Rule, type RuleBody, type Scope, type Severity } from "./alert-types";

export interface Field {
  name: string;
  label: string;
  kind: "number" | "text" | "list" | "check" | readonly string[];
  value: string;
  /** May be left empty. */
  optional?: boolean;
}

const number = (name: string, label: string, value: number | "" = ""): Field => ({
  name,
  label,
  kind: "number",
  value: String(value),
  optional: value === "",
});
const limits = (unit: string): Field[] => [
  number("over", `More than${unit}`),
  number("under", `Less than${unit}`),
];
const minutes = number("minutes", "Within minutes", 60);
const weeks = number("weeks", "Weeks to compare with", 8);

interface Kind {
  title: string;
  fields: readonly Field[];
}

export const KINDS: Readonly<Record<string, Kind>> = {
  offline: { title: "A box is offline", fields: [] },
  camera: { title: "A camera gives no pictures", fields: [] },
  blind: {
    title: "A camera is blind too long",
    fields: [number("percent", "More than % of the time", 50), minutes],
  },
  count: {
    title: "Too many or too few crossings",
    fields: [
      ...limits(""),
      minutes,
      { name: "direction", label: "Direction", kind: ["", "AB", "BA"], value: "" },
      { name: "labels", label: "Only these labels", kind: "list", value: "", optional: true },
    ],
  },
  unusual: {
    title: "An hour differs from the usual",
    fields: [
      number("percent", "Differs by more than %", 50),
      { name: "side", label: "Which way", kind: ["both", "more", "fewer"], value: "both" },
      number("least", "Only where at least this many are usual", 20),
      weeks,
    ],
  },
  silent: {
    title: "No counts where there always are some",
    fields: [number("least", "Only where at least this many were always counted", 5), weeks],
  },
  occupancy: {
    title: "A zone is full or empty",
    fields: [
      ...limits(" in it"),
      { name: "measure", label: "Of a minute", kind: ["now", "mean", "peak"], value: "now" },
      { name: "queue", label: "Only those that stand still", kind: "check", value: "" },
    ],
  },
  share: {
    title: "A share is high or low",
    fields: [
      { name: "label", label: "Label", kind: "text", value: "with_mask" },
      ...limits(" %"),
      number("people", "Where there are at least", 20),
      minutes,
    ],
  },
  moved: { title: "A camera has moved", fields: [] },
  dark: { title: "A camera's picture is too dark", fields: [] },
  unfocused: { title: "A camera is out of focus", fields: [] },
  dirty: { title: "Something is on a camera's lens", fields: [] },
  flickering: { title: "A camera's picture flickers", fields: [] },
  frozen: { title: "A camera's picture is frozen", fields: [] },
  heat: { title: "A box is hot", fields: [number("degrees", "Hotter than °C", 80)] },
  disk: { title: "A disk is full", fields: [number("percent", "Fuller than %", 90)] },
  storage: { title: "The centre's disk is nearly full", fields: [] },
  drift: { title: "A box does not run its desired settings", fields: [] },
  clone: { title: "A box was copied", fields: [] },
};

/** A rule in the form: every field as the text that stands in it. */
export interface RuleDraft {
  id: string | null;
  version: number;
  name: string;
  kind: string;
  fields: Record<string, string>;
  scope: Record<string, string>;
  hold: string;
  severity: Severity;
  outlets: string[];
  tellClosed: boolean;
}

const listed = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

export function emptyFields(kind: string): Record<string, string> {
  return Object.fromEntries((KINDS[kind]?.fields ?? []).map(({ name, value }) => [name, value]));
}

export function newDraft(): RuleDraft {
  return {
    id: null,
    version: 0,
    name: "",
    kind: "offline",
    fields: {},
    scope: {},
    hold: "",
    severity: "warning",
    outlets: [],
    tellClosed: true,
  };
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "boolean") return value ? "yes" : "";
  return value == null ? "" : String(value);
}

export function draftOf(rule: Rule): RuleDraft {
  const { kind, ...given } = rule.condition;
  const fields = { ...emptyFields(kind) };
  for (const { name } of KINDS[kind]?.fields ?? []) if (name in given) fields[name] = shown(given[name]);
  return {
    id: rule.id,
    version: rule.version,
    name: rule.name,
    kind,
    fields,
    scope: Object.fromEntries(SCOPES.map((name) => [name, (rule.scope[name] ?? []).join(", ")])),
    hold: rule.hold_seconds == null ? "" : String(rule.hold_seconds),
    severity: rule.severity,
    outlets: rule.outlets,
    tellClosed: rule.tell_closed,
  };
}

function valueOf(field: Field, text: string): unknown {
  if (field.kind === "number") return Number(text.replace(",", "."));
  if (field.kind === "list") return listed(text);
  if (field.kind === "check") return text === "yes";
  return text;
}

export function conditionOf(draft: RuleDraft): Condition {
  const condition: Condition = { kind: draft.kind };
  for (const field of KINDS[draft.kind]?.fields ?? []) {
    const text = (draft.fields[field.name] ?? "").trim();
    if (text !== "") condition[field.name] = valueOf(field, text);
  }
  return condition;
}

/** What has to be mended before a draft can be saved; empty if nothing. */
export function problemOf(draft: RuleDraft): string {
  if (!draft.name.trim()) return "Give the rule a name.";
  for (const field of KINDS[draft.kind]?.fields ?? []) {
    const text = (draft.fields[field.name] ?? "").trim();
    if (text === "" && field.kind === "number" && !field.optional) return `${field.label}: a number, please.`;
    if (text !== "" && field.kind === "number" && !Number.isFinite(valueOf(field, text) as number))
      return `${field.label}: “${text}” is not a number.`;
  }
  const condition = conditionOf(draft);
  const limited = KINDS[draft.kind]?.fields.some(({ name }) => name === "over");
  if (limited && condition.over === undefined && condition.under === undefined)
    return "Give an upper or a lower limit.";
  if (draft.hold !== "" && !/^\d+$/.test(draft.hold.trim())) return "Seconds: a whole number, or nothing.";
  return "";
}

export function bodyOf(draft: RuleDraft): RuleBody {
  const scope: Scope = {};
  for (const name of SCOPES) {
    const names = listed(draft.scope[name] ?? "");
    if (names.length) scope[name] = names;
  }
  return {
    name: draft.name.trim(),
    condition: conditionOf(draft),
    scope,
    severity: draft.severity,
    outlets: draft.outlets,
    hold_seconds: draft.hold.trim() === "" ? null : Number(draft.hold),
    tell_closed: draft.tellClosed,
    enabled: true,
  };
}

/** A rule in a line: what, how much, where. */
export function describe(rule: Rule): string {
  const { kind, ...given } = rule.condition;
  const details = (KINDS[kind]?.fields ?? [])
    .filter(({ name }) => shown(given[name]) !== "")
    .map(({ name, label }) => `${label.toLowerCase()}: ${shown(given[name])}`);
  const where = SCOPES.flatMap((name) =>
    rule.scope[name]?.length ? [`${name}: ${shown(rule.scope[name])}`] : [],
  );
  return [KINDS[kind]?.title ?? kind, ...details, ...(where.length ? where : ["everywhere"])].join(" · ");
}
