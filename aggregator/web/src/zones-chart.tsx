// How full a zone was over time: the mean of the watched time, the part of it that stood in a queue, and the peak.
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { bars, ChartPanel, Picker, unseenSeries, type TimeChart } from "./chart-panel";
import { count, NONE, seconds } from "./format";
import { slotsOf, type Loaded } from "./history";
import { colour } from "./plot";
import type { Slot } from "./slots";
import type { TallyRow, ZoneRow } from "./types";

type Whole = Omit<ZoneRow, "start" | "camera" | "zone" | "version">;

/** Join rows of one zone (versions, or slots): sums, means over the watched time, the highest peaks. */
export function joined(rows: ZoneRow[]): Whole | null {
  if (!rows.length) return null;
  const watched = rows.reduce((sum, row) => sum + row.watched_seconds, 0);
  const sum = (read: (row: ZoneRow) => number) => rows.reduce((total, row) => total + read(row), 0);
  const mean = (read: (row: ZoneRow) => number | null) =>
    watched ? sum((row) => (read(row) ?? 0) * row.watched_seconds) / watched : null;
  const highest = (read: (row: ZoneRow) => number | null) =>
    watched ? Math.max(...rows.map((row) => read(row) ?? 0)) : null;
  const stays = sum((row) => row.stays);
  const [only] = rows.filter((row) => row.stays);
  return {
    entered: sum((row) => row.entered),
    left: sum((row) => row.left),
    occupancy_mean: mean((row) => row.occupancy_mean),
    occupancy_peak: highest((row) => row.occupancy_peak),
    queue_mean: mean((row) => row.queue_mean),
    queue_peak: highest((row) => row.queue_peak),
    stays,
    // Medians do not add up: where several rows have stays, theirs is not known.
    dwell_p50: only && only.stays === stays ? only.dwell_p50 : null,
    watched_seconds: watched,
  };
}

const number = (value: number | null | undefined): string =>
  value == null ? NONE : value.toFixed(value < 10 ? 1 : 0);
const peak = (value: number | null | undefined): string => (value == null ? NONE : count(value));
const dwell = (row: Whole): string => (row.dwell_p50 == null ? NONE : seconds(row.dwell_p50));

/** A short line at each slot's peak. */
function drawPeaks(plot: uPlot, made: Slot[], peaks: (number | null)[]): void {
  const pen = plot.ctx;
  const ratio = window.devicePixelRatio || 1;
  pen.save();
  pen.fillStyle = colour("--faint");
  made.forEach((slot, i) => {
    const peak = peaks[i];
    if (peak == null) return;
    const [left, right] = [plot.valToPos(slot.start, "x", true), plot.valToPos(slot.end, "x", true)];
    const wide = Math.min(0.72 * (right - left), 36 * ratio);
    pen.fillRect(left, plot.valToPos(peak, "y", true) - ratio, wide, 2 * ratio);
  });
  pen.restore();
}

function chartOf(made: Slot[], slots: (Whole | null)[]): TimeChart {
  const each = (read: (row: Whole) => number | null) => slots.map((row) => (row && read(row)) || null);
  const peaks = each((row) => row.occupancy_peak);
  return {
    made,
    values: [each((row) => row.occupancy_mean), each((row) => row.queue_mean), peaks],
    series: [bars("There", "--ba"), bars("Queue", "--ab"), unseenSeries],
    range: [0, Math.max(2, ...peaks.map((peak) => peak ?? 0)) * 1.12],
    axis: { values: (_plot, ticks) => ticks.map((value) => count(value)) },
    draw: (plot) => drawPeaks(plot, made, peaks),
  };
}

interface ZonesProps {
  node: string;
  camera: string;
  zones: string[];
  loaded: Loaded<{ zones: ZoneRow[]; zonesWhole: ZoneRow[] }> | null;
  tallies: TallyRow[];
}

export function ZonesChart({ node, camera, zones, loaded, tallies }: ZonesProps) {
  const [chosen, setChosen] = useState("");
  const names = [...new Set([...zones, ...(loaded?.rows.zones ?? []).map((row) => row.zone)])].sort();
  const zone = names.includes(chosen) ? chosen : (names[0] ?? "");
  const shown = useMemo(() => {
    if (!loaded) return null;
    const made = slotsOf(loaded, [], tallies);
    const rows = loaded.rows.zones.filter((row) => row.zone === zone && row.start >= loaded.range.from);
    const slots = made.map((slot) => joined(rows.filter((row) => row.start === slot.start)));
    const whole = joined(loaded.rows.zonesWhole.filter((row) => row.zone === zone));
    return { slots, whole, chart: chartOf(made, slots) };
  }, [loaded, tallies, zone]);
  if (!names.length || !loaded || !shown) return null;
  const rowOf = (row: Whole | null | undefined): string[] | null =>
    row
      ? [
          number(row.occupancy_mean),
          peak(row.occupancy_peak),
          number(row.queue_mean),
          peak(row.queue_peak),
          count(row.entered),
          count(row.left),
          count(row.stays),
          dwell(row),
        ]
      : null;
  return (
    <ChartPanel
      testid="zone-occupancy"
      title={names.length === 1 ? `Zone ${zone}` : "Zone"}
      note="objects in it, and how many of them stand still"
      tools={<Picker label="Zone" names={names} value={zone} onPick={setChosen} />}
      loaded={loaded}
      chart={shown.chart}
      label={`Objects in zone ${zone} of ${camera} over time; hatched: time not watched`}
      readout={(index) => <Readout row={index == null ? shown.whole : shown.slots[index]} />}
      head={["There", "Peak", "Queue", "Peak", "Came", "Left", "Stays", "Median stay"]}
      row={(index) => rowOf(shown.slots[index])}
      csv={api.csv("zones", node, camera, loaded.view.bucket, loaded.range)}
    />
  );
}

function Readout({ row }: { row: Whole | null | undefined }) {
  return (
    <>
      <span class="key" data-key="ba">
        there <b>{number(row?.occupancy_mean)}</b>
        <span class="rate">at most {peak(row?.occupancy_peak)}</span>
      </span>
      <span class="key" data-key="ab">
        queue <b>{number(row?.queue_mean)}</b>
        <span class="rate">at most {peak(row?.queue_peak)}</span>
      </span>
      <span>
        came <b>{count(row?.entered ?? 0)}</b>, left <b>{count(row?.left ?? 0)}</b>
      </span>
      <span>
        stays <b>{count(row?.stays ?? 0)}</b>
        {row?.dwell_p50 != null && <span class="rate">median {dwell(row)}</span>}
      </span>
    </>
  );
}
