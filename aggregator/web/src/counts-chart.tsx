// Crossings over time: A to B above the axis, B to A below it. Time in which nobody watched is hatched:
// no count is not the same as nothing to count.
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { byLine } from "./counts";
import { type Clock, count, NONE } from "./format";
import { slotsOf, timeChart, useClock, ViewPicker, when, type Loaded } from "./history";
import { axis, colour, Plot } from "./plot";
import { joinSlots, perHour, watchedText, type Slot } from "./slots";
import type { CountRow, TallyRow } from "./types";

export type Crossings = Loaded<{ counts: CountRow[]; tallies: TallyRow[] }>;
type Measure = (value: number, slot: Slot) => number | null;

const bare: Measure = (value) => value;

function chartOptions(loaded: Crossings, made: Slot[], measure: Measure, clock: Clock, onSlot: SlotReader) {
  const bars = uPlot.paths.bars!({ size: [0.72, 36], align: 1, radius: 0.15 });
  const series = (name: string, ink: string): uPlot.Series => ({
    label: name,
    paths: bars,
    fill: () => colour(ink),
    width: 0,
    points: { show: false },
  });
  const most = (direction: "AB" | "BA") =>
    made.reduce((top, slot) => Math.max(top, measure(slot[direction], slot) ?? 0), 3);
  const base = timeChart(made, loaded, clock, onSlot);
  const options: Omit<uPlot.Options, "width" | "height"> = {
    ...base,
    scales: { ...base.scales, y: { range: [-most("BA") * 1.12, most("AB") * 1.12] } },
    axes: [
      ...base.axes,
      axis({
        size: 40,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000],
        values: (_plot, ticks) => ticks.map((value) => count(Math.abs(value))),
      }),
    ],
    series: [{}, series("A→B", "--ab"), series("B→A", "--ba")],
  };
  return options;
}

type SlotReader = (index: number | null) => void;

function rateText(value: number, slot: Slot): string {
  const rate = perHour(value, slot);
  return rate == null ? NONE : count(Math.round(rate * 10) / 10);
}

function Readout({ slot, made, title }: { slot: Slot | undefined; made: Slot[]; title: string }) {
  const shown = slot ?? joinSlots(made);
  return (
    <p class="readout" data-testid="readout">
      <span class="when">{title}</span>
      {(["AB", "BA"] as const).map((direction) => (
        <span key={direction} class="key" data-key={direction.toLowerCase()}>
          {direction[0]}→{direction[1]} <b>{count(shown[direction])}</b>
          <span class="rate" title="in an hour of watching">
            {rateText(shown[direction], shown)} an hour
          </span>
        </span>
      ))}
      <span class="key" data-key="hatch">
        {watchedText(shown)}
      </span>
    </p>
  );
}

interface CountsChartProps {
  node: string;
  camera: string;
  lines: string[];
  loaded: Crossings | null;
}

export function CountsChart({ node, camera, lines, loaded }: CountsChartProps) {
  const [line, setLine] = useState("");
  const [hourly, setHourly] = useState(false);
  const [hovered, setHovered] = useState<number | null>(null);
  const clock = useClock();
  const shown = useMemo(() => {
    if (!loaded) return null;
    const rows = loaded.rows.counts.filter((row) => !line || row.line === line);
    const made = slotsOf(loaded, rows, loaded.rows.tallies);
    const measure = hourly ? perHour : bare;
    const values = (sign: number, direction: "AB" | "BA") =>
      made.map((slot) => sign * (measure(slot[direction], slot) ?? 0) || null);
    const data: uPlot.AlignedData = [made.map((slot) => slot.start), values(1, "AB"), values(-1, "BA")];
    return { made, options: chartOptions(loaded, made, measure, clock, setHovered), data };
  }, [loaded, line, hourly, clock]);
  const names = [
    ...new Set([...lines, ...(loaded ? byLine(loaded.rows.counts).map((sum) => sum.line) : [])]),
  ];
  const slot = hovered == null ? undefined : shown?.made[hovered];
  return (
    <section class="panel chart" data-testid="counts-chart">
      <header class="row wrap">
        <h2>Crossings</h2>
        {names.length > 1 && (
          <select aria-label="Line" value={line} onChange={(event) => setLine(event.currentTarget.value)}>
            <option value="">All lines</option>
            {names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
        <span class="grow" />
        <div class="segments" role="group" aria-label="What bars show">
          <button type="button" aria-pressed={!hourly} onClick={() => setHourly(false)}>
            Counts
          </button>
          <button
            type="button"
            aria-pressed={hourly}
            data-testid="per-hour"
            title="How many in an hour of watching: buckets that were partly blind compare with the others"
            onClick={() => setHourly(true)}
          >
            Per watched hour
          </button>
        </div>
        <ViewPicker />
      </header>
      {loaded && shown ? (
        <>
          <Readout slot={slot} made={shown.made} title={when(slot, loaded, clock)} />
          <Plot
            options={shown.options}
            data={shown.data}
            height={220}
            label={`Crossings of ${camera} over time; hatched: time that nobody watched`}
          />
          <CountsTable
            made={shown.made}
            loaded={loaded}
            clock={clock}
            csv={api.csv("counts", node, camera, loaded.view.bucket, loaded.range)}
          />
        </>
      ) : (
        <div class="chart-room" />
      )}
    </section>
  );
}

interface CountsTableProps {
  made: Slot[];
  loaded: Crossings;
  clock: Clock;
  csv: string;
}

function CountsTable({ made, loaded, clock, csv }: CountsTableProps) {
  const rows = made.filter((slot) => slot.AB || slot.BA || slot.unwatched >= 0.02).reverse();
  const cell = (value: number, slot: Slot): string => (value || slot.watched ? count(value) : "not seen");
  return (
    <details class="table">
      <summary>As a table</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>From</th>
              <th>A→B</th>
              <th>an hour</th>
              <th>B→A</th>
              <th>an hour</th>
              <th>Seen</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((slot) => (
              <tr key={slot.start}>
                <td>{when(slot, loaded, clock)}</td>
                <td>{cell(slot.AB, slot)}</td>
                <td>{rateText(slot.AB, slot)}</td>
                <td>{cell(slot.BA, slot)}</td>
                <td>{rateText(slot.BA, slot)}</td>
                <td>{watchedText(slot)}</td>
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
