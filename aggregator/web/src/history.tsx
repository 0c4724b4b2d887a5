// The time that a camera's charts show: one choice for all of them, one way to load, one way to draw time that
// nobody saw.
import { useEffect, useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Range } from "./api";
import { Cell, useCell } from "./cell";
import { Clock } from "./format";
import { axis, colour } from "./plot";
import { login, onFact, returns, serverNow } from "./session";
import { bucketStarts, slots, type Slot } from "./slots";
import type { Bucket, CountRow, TallyRow } from "./types";

const HOUR = 3_600_000;

export interface View {
  bucket: Bucket;
  name: string;
  reach: number;
  step: number;
  /** Load again at the latest after so long, and so soon after a fact: a longer time costs the centre more. */
  refresh: number;
  soon: number;
}

export const VIEWS: [View, ...View[]] = [
  { bucket: "minute", name: "Hour", reach: HOUR, step: 60_000, refresh: 15_000, soon: 700 },
  { bucket: "hour", name: "Day", reach: 24 * HOUR, step: HOUR, refresh: 60_000, soon: 5_000 },
  { bucket: "day", name: "Month", reach: 30 * 24 * HOUR, step: 24 * HOUR, refresh: 300_000, soon: 60_000 },
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

export function useClock(): Clock {
  const who = useCell(login);
  return useMemo(() => new Clock(typeof who === "object" ? who.site?.timezone : undefined), [who]);
}

export interface Loaded<T> {
  rows: T;
  range: Range & { to: number };
  view: View;
}

/** Load something over the time that is shown: now, soon after each of these facts, and now and then. */
export function useHistory<T>(
  node: string,
  camera: string,
  facts: readonly string[],
  read: (bucket: Bucket, range: Range) => Promise<T>,
): Loaded<T> | null {
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
        if (!gone) setLoaded({ rows, range, view: chosen });
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
  }, [node, camera, chosen, turn]);
  return loaded;
}

/** The slots that a chart shows, none of them cut: those that the rows name, and equal steps between. */
export function slotsOf(
  { range, view: { step } }: Loaded<unknown>,
  counts: CountRow[],
  tallies: TallyRow[],
): Slot[] {
  const known = [...new Set([...counts, ...tallies].map((row) => row.start))];
  const starts = bucketStarts(known, range.from, range.to, step).filter((start) => start >= range.from);
  return slots(counts, tallies, starts, step, range.to);
}

function hatch(pen: CanvasRenderingContext2D): CanvasPattern | null {
  const ratio = window.devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  const side = Math.round(7 * ratio);
  tile.width = tile.height = side;
  const ink = tile.getContext("2d")!;
  ink.strokeStyle = colour("--hatch");
  ink.lineWidth = 1.4 * ratio;
  ink.beginPath();
  for (const shift of [-side, 0, side]) {
    ink.moveTo(shift - 1, side + 1);
    ink.lineTo(shift + side + 1, -1);
  }
  ink.stroke();
  return pen.createPattern(tile, "repeat");
}

/** Where somebody watched, draw the line of zero: nothing counted is something seen. */
function drawZero(plot: uPlot, made: Slot[]): void {
  const pen = plot.ctx;
  const at = (time: number): number => Math.round(plot.valToPos(time, "x", true));
  const zero = Math.round(plot.valToPos(0, "y", true));
  pen.save();
  pen.fillStyle = colour("--edge");
  for (const slot of made)
    if (slot.watched > 0)
      pen.fillRect(at(slot.start), zero, at(slot.end) - at(slot.start), window.devicePixelRatio || 1);
  pen.restore();
}

/** Hatch the time that nobody saw, over the full height and over the bars. */
function drawUnseen(plot: uPlot, made: Slot[]): void {
  const pen = plot.ctx;
  const pattern = hatch(pen);
  if (!pattern) return;
  const { left, top, width, height } = plot.bbox;
  const at = (time: number): number => Math.round(plot.valToPos(time, "x", true));
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.fillStyle = pattern;
  for (const slot of made)
    for (const [from, to] of slot.unseen) pen.fillRect(at(from), top, Math.max(1, at(to) - at(from)), height);
  pen.restore();
}

/** What all charts over time share; each adds its series, and may `draw` over them, under the hatching. */
export function timeChart(
  made: Slot[],
  { view: { bucket } }: Loaded<unknown>,
  clock: Clock,
  onSlot: (index: number | null) => void,
  draw: (plot: uPlot) => void = () => undefined,
): Omit<uPlot.Options, "width" | "height" | "series"> & { axes: uPlot.Axis[]; hooks: uPlot.Hooks.Arrays } {
  const [first, last] = [made[0]?.start ?? 0, made[made.length - 1]?.end ?? 0];
  return {
    ms: 1,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: [first, last] } },
    axes: [
      axis({
        size: 26,
        values: (_plot, ticks) => ticks.map((at) => (bucket === "day" ? clock.date(at) : clock.minute(at))),
      }),
    ],
    hooks: {
      drawClear: [(plot) => drawZero(plot, made)],
      draw: [draw, (plot) => drawUnseen(plot, made)],
      setCursor: [
        (plot) => {
          const { left } = plot.cursor;
          if (left == null || left < 0) return onSlot(null);
          const at = plot.posToVal(left, "x");
          const index = made.findIndex((slot) => at >= slot.start && at < slot.end);
          onSlot(index < 0 ? null : index);
        },
      ],
    },
  };
}

/** The name of a slot: its day, or from when to when. */
export function when(slot: Slot | undefined, { view: { bucket } }: Loaded<unknown>, clock: Clock): string {
  if (!slot) return "All shown";
  return bucket === "day" ? clock.date(slot.start) : `${clock.minute(slot.start)}–${clock.minute(slot.end)}`;
}
