// How full a zone was over time: the mean of the watched time, the part of it that stood in a queue, and the peak.
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { count, NONE, span } from "./format";
import { slotsOf, timeChart, useClock, when, type Loaded } from "./history";
import { axis, colour, Plot } from "./plot";
import { watchedText, type Slot } from "./slots";
import type { TallyRow, ZoneRow } from "./types";

type Whole = Omit<ZoneRow, "start" | "camera" | "zone" | "version">;

/** Join rows of one zone (versions, or slots): sums, means over the watched time, the highest peaks. */
export function joined(rows: ZoneRow[]): Whole | null {
  if (!rows.length) return null;
  const watched = rows.reduce((sum, row) => sum + row.watched_seconds, 0);
  const sum = (read: (row: ZoneRow) => number) => rows.reduce((total, row) => total + read(row), 0);
  const mean = (read: (row: ZoneRow) => number | null) =>
    watched ? sum((row) => (read(row) ?? 0) * row.watched_seconds) / watched : null;
  const peak = (read: (row: ZoneRow) => number | null) =>
    watched ? Math.max(...rows.map((row) => read(row) ?? 0)) : null;
  const stays = sum((row) => row.stays);
  const [only] = rows.filter((row) => row.stays);
  return {
    entered: sum((row) => row.entered),
    left: sum((row) => row.left),
    occupancy_mean: mean((row) => row.occupancy_mean),
    occupancy_peak: peak((row) => row.occupancy_peak),
    queue_mean: mean((row) => row.queue_mean),
    queue_peak: peak((row) => row.queue_peak),
    stays,
    // Medians do not add up: where several rows have stays, theirs is not known.
    dwell_p50: only && only.stays === stays ? only.dwell_p50 : null,
    watched_seconds: watched,
  };
}

const number = (value: number | null): string => (value == null ? NONE : value.toFixed(value < 10 ? 1 : 0));

function options(
  loaded: Loaded<unknown>,
  made: Slot[],
  highest: number,
  clock: ReturnType<typeof useClock>,
  onSlot: (index: number | null) => void,
): Omit<uPlot.Options, "width" | "height"> {
  const bars = uPlot.paths.bars!({ size: [0.72, 36], align: 1, radius: 0.15 });
  const base = timeChart(made, loaded, clock, onSlot, (plot) => drawPeaks(plot, made));
  const fill = (name: string, ink: string): uPlot.Series => ({
    label: name,
    paths: bars,
    fill: () => colour(ink),
    width: 0,
    points: { show: false },
  });
  return {
    ...base,
    scales: { ...base.scales, y: { range: [0, Math.max(2, highest) * 1.12] } },
    axes: [...base.axes, axis({ size: 40, values: (_plot, ticks) => ticks.map((value) => count(value)) })],
    series: [
      {},
      fill("There", "--ba"),
      fill("Queue", "--ab"),
      { label: "Peak", paths: () => null, points: { show: false } },
    ],
  };
}

/** A short line at each slot's peak. */
function drawPeaks(plot: uPlot, made: Slot[]): void {
  const pen = plot.ctx;
  const ratio = window.devicePixelRatio || 1;
  pen.save();
  pen.fillStyle = colour("--faint");
  made.forEach((slot, i) => {
    const peak = plot.data[3]?.[i];
    if (peak == null) return;
    const [left, right] = [plot.valToPos(slot.start, "x", true), plot.valToPos(slot.end, "x", true)];
    const wide = Math.min(0.72 * (right - left), 36 * ratio);
    pen.fillRect(left, plot.valToPos(peak, "y", true) - ratio, wide, 2 * ratio);
  });
  pen.restore();
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
  const [hovered, setHovered] = useState<number | null>(null);
  const clock = useClock();
  const names = [...new Set([...zones, ...(loaded?.rows.zones ?? []).map((row) => row.zone)])].sort();
  const zone = names.includes(chosen) ? chosen : (names[0] ?? "");
  const shown = useMemo(() => {
    if (!loaded) return null;
    const made = slotsOf(loaded, [], tallies);
    const rows = loaded.rows.zones.filter((row) => row.zone === zone && row.start >= loaded.range.from);
    const slots = made.map((slot) => joined(rows.filter((row) => row.start === slot.start)));
    const data: uPlot.AlignedData = [
      made.map((slot) => slot.start),
      slots.map((row) => row?.occupancy_mean || null),
      slots.map((row) => row?.queue_mean || null),
      slots.map((row) => row?.occupancy_peak || null),
    ];
    const highest = Math.max(0, ...slots.map((row) => row?.occupancy_peak ?? 0));
    const whole = joined(loaded.rows.zonesWhole.filter((row) => row.zone === zone));
    return { made, whole, slots, data, options: options(loaded, made, highest, clock, setHovered) };
  }, [loaded, tallies, zone, clock]);
  if (!names.length || !loaded || !shown) return null;
  const slot = hovered == null ? undefined : shown.made[hovered];
  const row = hovered == null ? shown.whole : shown.slots[hovered];
  return (
    <section class="panel chart" data-testid="zone-occupancy">
      <header class="row wrap">
        <h2>Zone {names.length === 1 && zone}</h2>
        {names.length > 1 && (
          <select aria-label="Zone" value={zone} onChange={(event) => setChosen(event.currentTarget.value)}>
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
        <span class="faint">objects in it, and those of them that stand</span>
      </header>
      <p class="readout">
        <span class="when">{when(slot, loaded, clock)}</span>
        <span class="key" data-key="ba">
          there <b>{number(row?.occupancy_mean ?? null)}</b>
          <span class="rate">at most {row?.occupancy_peak ?? NONE}</span>
        </span>
        <span class="key" data-key="ab">
          queue <b>{number(row?.queue_mean ?? null)}</b>
          <span class="rate">at most {row?.queue_peak ?? NONE}</span>
        </span>
        <span>
          came <b>{count(row?.entered ?? 0)}</b>, left <b>{count(row?.left ?? 0)}</b>
        </span>
        <span>
          stays <b>{count(row?.stays ?? 0)}</b>
          {row?.dwell_p50 != null && <span class="rate">median {span(row.dwell_p50 * 1000)}</span>}
        </span>
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
        label={`Objects in zone ${zone} of ${camera} over time; hatched: time that nobody watched`}
      />
      <ZoneTable
        shown={shown}
        loaded={loaded}
        clock={clock}
        csv={api.csv("zones", node, camera, loaded.view.bucket, loaded.range)}
      />
    </section>
  );
}

interface ZoneTableProps {
  shown: { made: Slot[]; slots: (Whole | null)[] };
  loaded: Loaded<unknown>;
  clock: ReturnType<typeof useClock>;
  csv: string;
}

function ZoneTable({ shown: { made, slots }, loaded, clock, csv }: ZoneTableProps) {
  const rows = made.flatMap((slot, i) => (slots[i] ? [{ slot, row: slots[i] }] : [])).reverse();
  return (
    <details class="table">
      <summary>As a table</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              {["From", "There", "Peak", "Queue", "Peak", "Came", "Left", "Stays", "Median stay"].map(
                (name) => (
                  <th key={name}>{name}</th>
                ),
              )}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ slot, row }) => (
              <tr key={slot.start}>
                <td>{when(slot, loaded, clock)}</td>
                <td>{number(row.occupancy_mean)}</td>
                <td>{row.occupancy_peak ?? NONE}</td>
                <td>{number(row.queue_mean)}</td>
                <td>{row.queue_peak ?? NONE}</td>
                <td>{count(row.entered)}</td>
                <td>{count(row.left)}</td>
                <td>{count(row.stays)}</td>
                <td>{row.dwell_p50 == null ? NONE : span(row.dwell_p50 * 1000)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <a href={csv} data-outside download>
        Download as CSV
      </a>
    </details>
  );
}
