// The time that a camera's charts show: one choice for all of them, and one way to load what they show.
import { createContext } from "preact";
import { useContext, useEffect, useMemo, useState } from "preact/hooks";
import type { Range } from "./api";
import { Cell, useCell } from "./cell";
import { Clock } from "./format";
import { firstSeen, login, onFact, returns, serverNow } from "./session";
import { bucketStarts, slots, type Slot } from "./slots";
import type { Bucket } from "./page-types";
import type { CountRow, TallyRow } from "./types";

const HOUR = 3_600_000;

export interface View {
  bucket: Bucket;
  name: string;
  /** The whole of it, in words. */
  whole: string;
  reach: number;
  step: number;
  /** Load again at the latest after so long, and so soon after a fact: a longer time costs the centre more. */
  refresh: number;
  soon: number;
}

export const VIEWS: [View, ...View[]] = [
  {
    bucket: "minute",
    name: "Last hour",
    whole: "Last hour",
    reach: HOUR,
    step: 60_000,
    refresh: 15_000,
    soon: 700,
  },
  {
    bucket: "hour",
    name: "24 hours",
    whole: "Last 24 hours",
    reach: 24 * HOUR,
    step: HOUR,
    refresh: 60_000,
    soon: 5_000,
  },
  {
    bucket: "day",
    name: "30 days",
    whole: "Last 30 days",
    reach: 30 * 24 * HOUR,
    step: 24 * HOUR,
    refresh: 300_000,
    soon: 60_000,
  },
  {
    bucket: "week",
    name: "A year",
    whole: "Last 52 weeks",
    reach: 52 * 7 * 24 * HOUR,
    step: 7 * 24 * HOUR,
    refresh: 3_600_000,
    soon: 600_000,
  },
];

export const view = new Cell<View>(VIEWS[0]);

/** Choose the time that all charts of the page show. */
export function ViewPicker() {
  const chosen = useCell(view);
  return (
    <div class="segments" role="group" aria-label="Time shown">
      {VIEWS.map((one) => (
        <button key={one.bucket} type="button" aria-pressed={one === chosen} onClick={() => view.set(one)}>
          {one.name}
        </button>
      ))}
    </div>
  );
}

/** The time zone of the node that is shown; empty: the centre's. */
export const Zone = createContext("");

/** The clock of the node that is shown, or of the centre. */
export function useClock(): Clock {
  const who = useCell(login);
  const zone = useContext(Zone) || (typeof who === "object" ? who.site?.timezone : undefined);
  return useMemo(() => new Clock(zone), [zone]);
}

export interface Loaded<T> {
  rows: T;
  range: Range & { to: number };
  view: View;
  /** Since when the camera is there. */
  first: number;
}

interface Question<T> {
  node: string;
  camera: string;
  /** What else is asked: another value asks again at once. */
  asked?: string;
  /** Facts of these kinds make the answer old. */
  facts: readonly string[];
  read: (bucket: Bucket, range: Range) => Promise<T>;
}

/** Load something over the time that is shown: now, soon after each of its facts, and now and then. */
export function useHistory<T>({ node, camera, asked = "", facts, read }: Question<T>): Loaded<T> | null {
  const [loaded, setLoaded] = useState<Loaded<T> | null>(null);
  const turn = useCell(returns);
  const chosen = useCell(view);
  useEffect(() => {
    let gone = false;
    let timer: number | undefined;
    let due = 0;
    const after = (wait: number) => {
      window.clearTimeout(timer);
      due = Date.now() + wait;
      timer = window.setTimeout(() => void load(), wait);
    };
    const load = async () => {
      after(chosen.refresh);
      const to = serverNow();
      // One bucket more than is shown: the first one may be cut.
      const range = { from: Math.floor((to - chosen.reach - chosen.step) / 60_000) * 60_000, to };
      try {
        const rows = await read(chosen.bucket, range);
        if (!gone) setLoaded({ rows, range, view: chosen, first: firstSeen(node, camera) });
      } catch {
        // The banner says when the centre is away; the charts keep what they have until the next try.
      }
    };
    const stop = onFact((fact) => {
      if (fact.node !== node || fact.camera !== camera || !facts.includes(fact.type)) return;
      if (Date.now() + chosen.soon < due) after(chosen.soon);
    });
    void load();
    return () => {
      gone = true;
      stop();
      window.clearTimeout(timer);
    };
  }, [node, camera, asked, chosen, turn]);
  return loaded;
}

/** The slots that a chart shows, none of them cut: those that the rows name, and equal steps between. */
export function slotsOf(
  { range, view: { step }, first }: Loaded<unknown>,
  counts: CountRow[],
  tallies: TallyRow[],
): Slot[] {
  const known = [...new Set([...counts, ...tallies].map((row) => row.start))];
  const starts = bucketStarts(known, range.from, range.to, step).filter((start) => start >= range.from);
  return slots(counts, tallies, starts, step, range.to, first);
}
