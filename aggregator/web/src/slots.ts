// Buckets of time, with what was counted in them and how much of them somebody watched.
import type { CountRow, TallyRow } from "./types";

const HOUR = 3_600_000;
/** A minute's tally comes with the node's next batch: until then its watched time is not known. */
export const LATE_MS = 150_000;

export interface Slot {
  start: number;
  end: number;
  AB: number;
  BA: number;
  watched: number;
  blind: Record<string, number>;
  /** The share of the slot, as far as it is known, in which nobody watched. */
  unwatched: number;
  /** Whether the node said anything about this slot. */
  told: boolean;
  /** The spans in which nothing was seen, blind or never told of. */
  unseen: [number, number][];
  /** How many seconds of it could have been watched, as far as that is known. */
  due: number;
}

/** Lay counts and tallies on one row of equal slots; a slot that nobody reported is unwatched, unless it
 *  lies before the camera was there (`first`). */
export function slots(
  counts: CountRow[],
  tallies: TallyRow[],
  starts: number[],
  step: number,
  now: number,
  first = 0,
): Slot[] {
  const made = starts.map((start): Slot => ({
    start,
    end: start + step,
    AB: 0,
    BA: 0,
    watched: 0,
    blind: {},
    unwatched: 0,
    told: false,
    unseen: [],
    due: 0,
  }));
  const at = new Map(made.map((slot) => [slot.start, slot]));
  for (const row of counts) {
    const slot = at.get(row.start);
    if (!slot) continue;
    slot.told = true;
    slot[row.direction] += row.count;
  }
  for (const row of tallies) {
    const slot = at.get(row.start);
    if (!slot) continue;
    slot.told = true;
    slot.watched += row.watched_seconds;
    slot.unseen.push(...(row.unseen ?? []));
    for (const [why, seconds] of Object.entries(row.blind))
      slot.blind[why] = (slot.blind[why] ?? 0) + seconds;
  }
  for (const slot of made) {
    const begun = Math.max(slot.start, first);
    const known = (Math.min(slot.end, now - LATE_MS) - begun) / 1000;
    const blind = Object.values(slot.blind).reduce((sum, seconds) => sum + seconds, 0);
    slot.due = Math.min(Math.max(known, slot.watched + blind), (slot.end - slot.start) / 1000);
    slot.unwatched = slot.due > 0 ? Math.max(0, 1 - slot.watched / slot.due) : 0;
    const silent = slot.watched === 0 && blind === 0;
    if (silent && known > 0) slot.unseen = [[begun, begun + known * 1000]];
  }
  return made;
}

/** The starts of the buckets from `from` to `to`: those that the rows name, and equal steps between. */
export function bucketStarts(known: number[], from: number, to: number, step: number): number[] {
  const base = known.length ? Math.min(...known) : Math.floor(from / step) * step;
  const first = base - Math.floor((base - from) / step) * step;
  const starts = new Set(known);
  for (let at = first; at <= to; at += step) {
    if (![-1, 0, 1].some((hour) => starts.has(at + hour * (step > HOUR ? HOUR : 0)))) starts.add(at);
  }
  return [...starts].filter((at) => at > from - step && at <= to).sort((a, b) => a - b);
}

const UNITS: [seconds: number, name: string][] = [
  [HOUR / 1000, "h"],
  [60, "min"],
  [1, "s"],
];

/** "watched 42 of 60 min, blind: absent 18 min": how much of a slot was seen, and why not the rest. */
export function watchedText(slot: Slot): string {
  if (slot.due < 1) return "not reported yet";
  const [unit, name] = UNITS.find(([seconds]) => slot.due > 2 * seconds) ?? [1, "s"];
  const parts = name === "h" ? 10 : 1;
  const whole = (seconds: number): number => Math.round((parts * seconds) / unit) / parts;
  const known = Object.values(slot.blind).reduce((sum, seconds) => sum + seconds, 0);
  const silent = slot.due - slot.watched - known;
  const why = Object.entries(slot.blind).filter(([, seconds]) => seconds >= unit / 2);
  if (silent >= unit / 2) why.push(["nothing heard", silent]);
  const reasons = why.map(([reason, seconds]) => `${reason} ${whole(seconds)} ${name}`).join(", ");
  return `watched ${whole(slot.watched)} of ${whole(slot.due)} ${name}${reasons ? `, blind: ${reasons}` : ""}`;
}

/** How often per watched hour; null where too little was watched to say. */
export function perHour(value: number, slot: Slot): number | null {
  const enough = Math.min(60, (0.05 * (slot.end - slot.start)) / 1000);
  return slot.watched >= enough ? (value * 3600) / slot.watched : null;
}

/** Several slots as one: what was counted, and the time in which it was. */
export function joinSlots(made: readonly Slot[]): Slot {
  const sum = (read: (slot: Slot) => number) => made.reduce((all, slot) => all + read(slot), 0);
  const blind: Record<string, number> = {};
  for (const slot of made)
    for (const [why, seconds] of Object.entries(slot.blind)) blind[why] = (blind[why] ?? 0) + seconds;
  const [watched, due] = [sum((slot) => slot.watched), sum((slot) => slot.due)];
  return {
    start: made[0]?.start ?? 0,
    end: made[made.length - 1]?.end ?? 0,
    AB: sum((slot) => slot.AB),
    BA: sum((slot) => slot.BA),
    watched,
    due,
    blind,
    unwatched: due > 0 ? Math.max(0, 1 - watched / due) : 0,
    told: made.some((slot) => slot.told),
    unseen: made.flatMap((slot) => slot.unseen),
  };
}

/** Slots in groups that start at whole multiples of `length` ms. */
export function groups(made: readonly Slot[], length: number): Slot[][] {
  const found = new Map<number, Slot[]>();
  for (const slot of made) {
    const key = Math.floor(slot.start / length);
    found.set(key, [...(found.get(key) ?? []), slot]);
  }
  return [...found.values()];
}
