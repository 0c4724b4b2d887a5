// What the objects of a camera were, over time. Where labels are states (masks): the share that wears one, with
// its 95 % interval, and beside it who could not be judged. Else: the mix of labels.
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { colourOf } from "./boxes";
import { part, type Part } from "./counts";
import { count, NONE } from "./format";
import { slotsOf, timeChart, useClock, when, type Loaded } from "./history";
import { axis, colour, Plot } from "./plot";
import { groups, joinSlots, watchedText, type Slot } from "./slots";
import type { ShareRow, TallyRow } from "./types";

const UNKNOWN = "unknown";
const STATE = "with_mask";

const percent = (share: number | null): string =>
  share == null ? NONE : `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;

/** A minute has too few objects to say anything of their shares: they are joined to so many. */
const FEW_MS = 300_000;

type BySlot = Map<number, Map<string, Part>>;

/** Each label's part of each group of slots, under the start of the group. */
function bySlot(rows: ShareRow[], grouped: Slot[][], labels: string[]): BySlot {
  return new Map(
    grouped.map((group) => {
      const starts = new Set(group.map((slot) => slot.start));
      const mine = rows.filter((row) => starts.has(row.start));
      return [group[0]!.start, new Map(labels.map((label) => [label, partOf(mine, label)]))];
    }),
  );
}

function partOf(rows: ShareRow[], label: string): Part {
  const mine = rows.filter((row) => row.label === label);
  const sum = (read: (row: ShareRow) => number) => mine.reduce((all, row) => all + read(row), 0);
  return part(
    sum((row) => row.count),
    sum((row) => row.total),
  );
}

/** Draw one label's share in each slot: its interval as a band, the share itself as a line across it. */
function drawBand(plot: uPlot, made: Slot[], shares: BySlot, label: string, ink: string): void {
  const pen = plot.ctx;
  const ratio = window.devicePixelRatio || 1;
  const place = (value: number): number => plot.valToPos(100 * value, "y", true);
  let before: { x: number; y: number } | null = null;
  pen.save();
  pen.fillStyle = pen.strokeStyle = colour(ink);
  for (const slot of made) {
    const row = shares.get(slot.start)?.get(label);
    const [left, right] = [plot.valToPos(slot.start, "x", true), plot.valToPos(slot.end, "x", true)];
    if (row?.share == null || row.low == null || row.high == null) {
      before = null;
      continue;
    }
    pen.globalAlpha = label === UNKNOWN ? 0.16 : 0.26;
    pen.fillRect(left, place(row.high), right - left, place(row.low) - place(row.high));
    pen.globalAlpha = 1;
    pen.lineWidth = 2 * ratio;
    pen.beginPath();
    if (before) pen.moveTo(before.x, before.y);
    const y = place(row.share);
    if (before) pen.lineTo(left, y);
    else pen.moveTo(left, y);
    pen.lineTo(right, y);
    pen.stroke();
    before = { x: right, y };
  }
  pen.restore();
}

/** Draw the mix of labels in each slot as one bar of 100 %. */
function drawMix(plot: uPlot, made: Slot[], shares: BySlot, labels: string[], inks: string[]): void {
  const pen = plot.ctx;
  pen.save();
  for (const slot of made) {
    const [left, right] = [plot.valToPos(slot.start, "x", true), plot.valToPos(slot.end, "x", true)];
    const gap = Math.min(6, 0.14 * (right - left));
    let reached = 0;
    labels.forEach((label, i) => {
      const part = shares.get(slot.start)?.get(label)?.share ?? 0;
      const [low, high] = [
        plot.valToPos(100 * reached, "y", true),
        plot.valToPos(100 * (reached + part), "y", true),
      ];
      pen.fillStyle = inks[i]!;
      pen.fillRect(left + gap, high, right - left - 2 * gap, low - high);
      reached += part;
    });
  }
  pen.restore();
}

interface ShareProps {
  node: string;
  camera: string;
  known: string[];
  loaded: Loaded<{ shares: ShareRow[] }> | null;
  tallies: TallyRow[];
}

export function ShareChart({ node, camera, known, loaded, tallies }: ShareProps) {
  const [hovered, setHovered] = useState<number | null>(null);
  const clock = useClock();
  const rows = useMemo(() => loaded?.rows.shares.filter((row) => row.start >= loaded.range.from), [loaded]);
  const labels = useMemo(() => {
    const seen = new Set(rows?.filter((row) => row.count > 0).map((row) => row.label));
    return [...known, ...[...seen].filter((label) => !known.includes(label))].filter((label) =>
      seen.has(label),
    );
  }, [rows, known]);
  const states = known.includes(STATE) || labels.includes(STATE);
  const shown = useMemo(() => {
    if (!loaded || !rows) return null;
    const grouped = groups(slotsOf(loaded, [], tallies), Math.max(FEW_MS, loaded.view.step));
    const made = grouped.map(joinSlots);
    const shares = bySlot(rows, grouped, labels);
    const judged = labels.filter((label) => label !== UNKNOWN);
    const inks = judged.map((label) => colourOf(label, known.indexOf(label) < 0 ? 7 : known.indexOf(label)));
    const draw = (plot: uPlot) => {
      if (!states) return drawMix(plot, made, shares, judged, inks);
      drawBand(plot, made, shares, UNKNOWN, "--unsure");
      drawBand(plot, made, shares, STATE, "--ab");
    };
    const base = timeChart(made, loaded, clock, setHovered, draw);
    const options: Omit<uPlot.Options, "width" | "height"> = {
      ...base,
      scales: { ...base.scales, y: { range: [0, 100] } },
      axes: [...base.axes, axis({ size: 46, values: (_plot, ticks) => ticks.map((value) => `${value} %`) })],
      series: [{}, { paths: () => null, points: { show: false } }],
    };
    const data: uPlot.AlignedData = [made.map((slot) => slot.start), made.map(() => null)];
    return { made, shares, options, data };
  }, [loaded, tallies, labels, states, clock]);
  const slot = hovered == null ? undefined : shown?.made[hovered];
  if (!loaded || !shown || !labels.length) return null;
  return (
    <section class="panel chart" data-testid="share">
      <header class="row wrap">
        <h2>{states ? "Share wearing a mask" : "Mix of objects"}</h2>
        <span class="faint">{states ? "with its 95 % interval" : "shares by label"}</span>
        <span class="grow" />
        <a href={api.csv("shares", node, camera, loaded.view.bucket, loaded.range)} data-outside download>
          CSV
        </a>
      </header>
      <p class="readout">
        <span class="when">{when(slot, loaded, clock)}</span>
        {(states ? [STATE, UNKNOWN] : labels.filter((label) => label !== UNKNOWN)).map((label) => (
          <ShareText
            key={label}
            label={label}
            ink={states ? "" : colourOf(label, known.indexOf(label) < 0 ? 7 : known.indexOf(label))}
            part={slot ? shown.shares.get(slot.start)?.get(label) : partOf(rows!, label)}
          />
        ))}
        {slot && (
          <span class="key" data-key="hatch">
            {watchedText(slot)}
          </span>
        )}
      </p>
      <Plot
        options={shown.options}
        data={shown.data}
        height={190}
        label={`${states ? "Share wearing a mask" : "Mix of objects"} of ${camera} over time`}
      />
    </section>
  );
}

const NAMES: Record<string, string> = { with_mask: "with a mask", unknown: "could not be judged" };

function ShareText({ label, ink, part }: { label: string; ink: string; part: Part | undefined }) {
  const { count: seen = 0, total = 0, share = null, low = null, high = null } = part ?? {};
  return (
    <span class="key" data-key={ink ? undefined : label === UNKNOWN ? "unsure" : "ab"} data-label={label}>
      {ink && <i style={{ background: ink }} />}
      {NAMES[label] ?? label} <b>{percent(share)}</b>
      <span class="rate">
        {low != null && `${percent(low)} to ${percent(high)}, `}
        {count(seen)} of {count(total)}
      </span>
    </span>
  );
}
