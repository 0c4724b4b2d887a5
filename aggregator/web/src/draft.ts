// What is being drawn on the picture: a line, a zone, or where the road lies.
import { degenerate } from "./geometry";
import type { Anchor, Point } from "./page-types";
import type { Line, Plane, Zone } from "./types";

export type Kind = "line" | "zone" | "plane";

export interface Draft {
  kind: Kind;
  name: string;
  /** Null for something new, whose name is still open. */
  original: string | null;
  points: Point[];
  anchor: Anchor;
  labels: string[];
  /** Of the patch of road, in metres, as they are typed. */
  width: string;
  length: string;
  /** Whether the next click on the picture sets a point. */
  placing: boolean;
  /** The version that was seen of what is being changed, null for something new; undefined: whatever it is. */
  seen?: number | null | undefined;
  /** Whether it is on its way to the centre: from then on a saved drawing of its name is itself. */
  sent: boolean;
}

/** What the centre is told of what was seen, so that nobody else's drawing is overwritten unawares. */
export function seenOf({ seen }: Draft): Record<string, string> {
  if (seen === undefined) return {};
  return seen === null ? { "If-None-Match": "*" } : { "If-Match": `"${seen}"` };
}

/** Whether a saved drawing is the one that is in hand, so that it is not drawn a second time. */
export function inHand(draft: Draft | null, kind: Kind, name: string): boolean {
  return draft?.kind === kind && name === (draft.sent ? draft.name : draft.original);
}

/** How many points each may have, and from how many on it can be saved. */
export const POINTS: Record<Kind, { least: number; most: number }> = {
  line: { least: 2, most: 8 },
  zone: { least: 3, most: 16 },
  plane: { least: 4, most: 4 },
};

const NAME = /^[A-Za-z0-9][A-Za-z0-9 _.-]{0,47}$/;

export function freshName(kind: Kind, taken: readonly string[]): string {
  const [first, stem] = kind === "zone" ? ["zone", "zone"] : ["main", "line"];
  if (!taken.includes(first)) return first;
  for (let i = 2; ; i++) if (!taken.includes(`${stem}-${i}`)) return `${stem}-${i}`;
}

export function newDraft(kind: Kind, taken: readonly string[]): Draft {
  const rest = { original: null, points: [], anchor: "bottom" as const, labels: [], width: "", length: "" };
  return {
    kind,
    name: kind === "plane" ? "road" : freshName(kind, taken),
    ...rest,
    seen: null,
    placing: true,
    sent: false,
  };
}

/** The plane has no version of its own: `seen` is the document's in which it was, or was not. */
export function newPlane(seen: number | undefined): Draft {
  return { ...newDraft("plane", []), seen };
}

export function draftOf(kind: "line" | "zone", name: string, shape: Line | Zone): Draft {
  return {
    ...newDraft(kind, []),
    name,
    original: name,
    points: shape.points,
    anchor: shape.anchor ?? "bottom",
    labels: shape.labels ?? [],
    seen: shape.version ?? 0,
    placing: false,
  };
}

/** The draft of the road plane: its corners go round from near left, so its sides are width and length. */
export function draftOfPlane(plane: Plane, seen?: number): Draft {
  const side = (one: number, two: number): string => {
    const [from, to] = [plane.metres[one]!, plane.metres[two]!];
    return String(Math.round(Math.hypot(to[0] - from[0], to[1] - from[1]) * 100) / 100);
  };
  const sides = { width: side(0, 1), length: side(1, 2) };
  return { ...newPlane(seen), original: "road", points: plane.points, ...sides, placing: false };
}

/** The point where the next click closes the outline, or null. */
export function closing(draft: Draft): Point | null {
  return draft.kind === "zone" && draft.placing && draft.points.length >= 3 ? draft.points[0]! : null;
}

/** Set one more point. A line pauses at two; a zone goes on until it is closed; a plane has four. */
export function withPoint(draft: Draft, point: Point): Draft {
  const { most } = POINTS[draft.kind];
  if (draft.points.length >= most) return draft;
  const points = [...draft.points, point];
  const more = draft.kind === "line" ? points.length < 2 : points.length < most;
  return { ...draft, points, placing: more };
}

const metres = (text: string): number => Number(text.replace(",", "."));

/** The rectangle of the road in metres, its corners in the order in which the plane's are drawn. */
export function rectangle(draft: Draft): Point[] {
  const [wide, long] = [metres(draft.width), metres(draft.length)];
  return [
    [0, 0],
    [wide, 0],
    [wide, long],
    [0, long],
  ];
}

/** Why a draft cannot be saved; empty if it can. */
export function problemOf(draft: Draft, taken: readonly string[]): string {
  if (draft.kind === "plane") {
    const sides = [metres(draft.width), metres(draft.length)];
    if (!sides.every((side) => side >= 0.1 && side <= 1000)) return "Give width and length in metres.";
    return "";
  }
  if (draft.original === null && !NAME.test(draft.name))
    return "A name starts with a letter or digit and has at most 48 letters, digits, spaces, dots, _ or -.";
  if (draft.original === null && taken.includes(draft.name))
    return `There is a ${draft.kind} of that name already.`;
  if (degenerate(draft.points)) return "Two neighbouring points lie on the same spot. Drag them apart.";
  return "";
}

/** What to do next, while points are being set. */
export function hintOf({ kind, points }: Draft): string {
  if (kind === "line") return points.length === 0 ? "Click where the line starts." : "Click where it ends.";
  if (kind === "zone") {
    if (points.length === 0) return "Click the corners of the zone, one after the other.";
    return points.length < 3
      ? "Click the next corner."
      : "Click the next corner, or the first one to close it.";
  }
  const corner = ["near left", "near right", "far right", "far left"][points.length];
  return `Click four corners of a rectangle on the road, such as a lane between two marks. Now: ${corner}.`;
}
