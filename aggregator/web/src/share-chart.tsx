// What the objects of a camera were, over time. Where labels are states (masks): the share that wears one, with
// its 95 % interval, and beside it who could not be judged. Else: the mix of labels.
import { useMemo } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { colourOf } from "./boxes";
import { ChartPanel, unseenSeries, type TimeChart } from "./chart-panel";
import { part, type Part } from "./counts";
import { count, NONE } from "./format";
import { slotsOf, type Loaded } from "./history";
import { colour } from "./plot";
import { groups, joinSlots, type Slot } from "./slots";
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

const NAMES: Record<string, string> = { with_mask: "with a mask", unknown: "could not be judged" };

interface ShareProps {
  node: string;
  camera: string;
  known: string[];
  loaded: Loaded<{ shares: ShareRow[] }> | null;
  tallies: TallyRow[];
}

export function ShareChart({ node, camera, known, loaded, tallies }: ShareProps) {
  const rows = useMemo(() => loaded?.rows.shares.filter((row) => row.start >= loaded.range.from), [loaded]);
  const labels = useMemo(() => {
    const seen = new Set(rows?.filter((row) => row.count > 0).map((row) => row.label));
    return [...known, ...[...seen].filter((label) => !known.includes(label))].filter((label) =>
      seen.has(label),
    );
  }, [rows, known]);
  const states = known.includes(STATE) || labels.includes(STATE);
  const told = states ? [STATE, UNKNOWN] : labels.filter((label) => label !== UNKNOWN);
  const inkOf = (label: string) =>
    states ? "" : colourOf(label, known.indexOf(label) < 0 ? 7 : known.indexOf(label));
  const shown = useMemo(() => {
    if (!loaded || !rows) return null;
    const grouped = groups(slotsOf(loaded, [], tallies), Math.max(FEW_MS, loaded.view.step));
    const made = grouped.map(joinSlots);
    const shares = bySlot(rows, grouped, labels);
    const draw = (plot: uPlot) => {
      if (!states) return drawMix(plot, made, shares, told, told.map(inkOf));
      drawBand(plot, made, shares, UNKNOWN, "--unsure");
      drawBand(plot, made, shares, STATE, "--ab");
    };
    const chart: TimeChart = {
      made,
      values: [made.map(() => null)],
      series: [unseenSeries],
      range: [0, 100],
      axis: { values: (_plot, ticks) => ticks.map((value) => `${value} %`) },
      draw,
    };
    return { shares, chart };
  }, [loaded, tallies, labels, states]);
  if (!loaded || !rows || !shown || !labels.length) return null;
  const partAt = (index: number | null, label: string) =>
    index == null ? partOf(rows, label) : shown.shares.get(shown.chart.made[index]!.start)?.get(label);
  const title = states ? "Share wearing a mask" : "Mix of objects";
  return (
    <ChartPanel
      testid="share"
      title={title}
      note={
        states
          ? "of the faces that could be judged, with its 95 % interval"
          : "each label’s share of all objects"
      }
      loaded={loaded}
      chart={shown.chart}
      label={`${title} of ${camera} over time; hatched: time not watched`}
      readout={(index) =>
        told.map((label) => (
          <ShareText key={label} label={label} ink={inkOf(label)} part={partAt(index, label)} />
        ))
      }
      head={told.flatMap((label) => [NAMES[label] ?? label, "of"])}
      row={(index) => rowOf(told.map((label) => partAt(index, label)))}
      csv={api.csv("shares", node, camera, loaded.view.bucket, loaded.range)}
    />
  );
}

/** Share and amount of each label; null where nothing was seen. */
function rowOf(parts: (Part | undefined)[]): string[] | null {
  if (!parts.some((one) => one?.total)) return null;
  return parts.flatMap((one) => [percent(one?.share ?? null), count(one?.total ?? 0)]);
}

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
