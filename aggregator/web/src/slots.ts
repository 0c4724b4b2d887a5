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
}

/** Lay counts and tallies on one row of equal slots; a slot that nobody reported is unwatched. */
export function slots(
  counts: CountRow[],
  tallies: TallyRow[],
  starts: number[],
  step: number,
  now: number,
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
    for (const [why, seconds] of Object.entries(row.blind))
      slot.blind[why] = (slot.blind[why] ?? 0) + seconds;
  }
  for (const slot of made) {
    const known = (Math.min(slot.end, now - LATE_MS) - slot.start) / 1000;
    const blind = Object.values(slot.blind).reduce((sum, seconds) => sum + seconds, 0);
    const due = Math.max(known, slot.watched + blind);
    slot.unwatched = due > 0 ? Math.max(0, 1 - slot.watched / due) : 0;
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
