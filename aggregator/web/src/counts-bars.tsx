// The counts of a time as bars, one for each bucket in which something was counted, each label a part of it.
import { useMemo } from "preact/hooks";
import type uPlot from "uplot";
import { colourOf } from "./boxes";
import { unseenSeries } from "./chart-panel";
import { count, type Clock } from "./format";
import type { Bucket } from "./page-types";
import { axis, Plot } from "./plot";
import type { FleetCountRow } from "./types";

const HOUR_MS = 3_600_000;
/** As wide as the shortest of its kind: a day may have 23 hours. */
const WIDTH_MS: Partial<Record<Bucket, number>> = {
  hour: HOUR_MS,
  day: 23 * HOUR_MS,
  week: 7 * 23 * HOUR_MS,
  month: 27 * 24 * HOUR_MS,
  year: 360 * 24 * HOUR_MS,
};
const HEADROOM = 1.08;

/** Under each start, how many of each label. */
function byStart(rows: FleetCountRow[]): Map<number, Map<string, number>> {
  const sums = new Map<number, Map<string, number>>();
  for (const row of rows) {
    const mine = sums.get(row.start) ?? new Map<string, number>();
    mine.set(row.label, (mine.get(row.label) ?? 0) + row.count);
    sums.set(row.start, mine);
  }
  return sums;
}

interface BarsProps {
  rows: FleetCountRow[];
  bucket: Bucket;
  /** The first and the last day that were asked for, as YYYY-MM-DD. */
  from: string;
  to: string;
  clock: Clock;
  /** All labels in the order of their colours. */
  known: string[];
}

export function CountsBars({ rows, bucket, from, to, clock, known }: BarsProps) {
  const sums = useMemo(() => byStart(rows), [rows]);
  const totals = new Map<string, number>();
  for (const row of rows) totals.set(row.label, (totals.get(row.label) ?? 0) + row.count);
  const labels = [...totals.keys()].sort((a, b) => totals.get(b)! - totals.get(a)!);
  const inkOf = (label: string) => colourOf(label, Math.max(0, known.indexOf(label)));
  const width = WIDTH_MS[bucket];
  const starts = [...sums.keys()].sort((a, b) => a - b);
  const options = useMemo(() => {
    if (!width || !starts.length) return null;
    const highest = Math.max(...[...sums.values()].map((part) => [...part.values()].reduce((a, b) => a + b)));
    const first = Math.min(starts[0]!, Date.parse(from));
    const last = Math.max(starts[starts.length - 1]! + width, Date.parse(to) + 24 * HOUR_MS);
    return optionsOf(
      [first, last],
      [0, Math.max(1, highest) * HEADROOM],
      (at) => (last - first > 48 * HOUR_MS ? clock.date(at) : clock.minute(at)),
      (plot) => drawBars(plot, sums, labels, inkOf, width),
    );
  }, [sums, bucket, from, to, clock, known.join()]);
  const data = useMemo((): uPlot.AlignedData => [starts, starts.map(() => null)], [sums]);
  if (!options) return null;
  return (
    <section class="panel chart" data-testid="counts-bars">
      <p class="readout">
        {labels.map((label) => (
          <span key={label} class="key">
            <i style={{ background: inkOf(label) }} />
            {label} <b>{count(totals.get(label)!)}</b>
          </span>
        ))}
      </p>
      <Plot options={options} data={data} height={200} label={`Crossings by ${bucket}, by label`} />
      <p class="faint note">
        Where no bar is, nothing was counted or nobody watched; the page of a node tells these apart.
      </p>
    </section>
  );
}

function drawBars(
  plot: uPlot,
  sums: Map<number, Map<string, number>>,
  labels: string[],
  inkOf: (label: string) => string,
  width: number,
): void {
  const pen = plot.ctx;
  pen.save();
  for (const [start, part] of sums) {
    const left = plot.valToPos(start, "x", true);
    const right = plot.valToPos(start + width, "x", true);
    const gap = Math.min(6, 0.14 * (right - left));
    let reached = 0;
    for (const label of labels) {
      const more = reached + (part.get(label) ?? 0);
      const low = plot.valToPos(reached, "y", true);
      const high = plot.valToPos(more, "y", true);
      pen.fillStyle = inkOf(label);
      pen.fillRect(left + gap, high, Math.max(1, right - left - 2 * gap), low - high);
      reached = more;
    }
  }
  pen.restore();
}

function optionsOf(
  time: [number, number],
  range: [number, number],
  name: (at: number) => string,
  draw: (plot: uPlot) => void,
): Omit<uPlot.Options, "width" | "height"> {
  return {
    ms: 1,
    padding: [8, 28, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: true, range: time }, y: { range } },
    axes: [
      axis({ size: 26, values: (_plot, ticks) => ticks.map(name) }),
      axis({ size: 46, values: (_plot, ticks) => ticks.map((tick) => (tick % 1 ? "" : count(tick))) }),
    ],
    series: [{}, unseenSeries],
    hooks: { draw: [draw] },
  };
}
