// Crossings over time: A to B above the axis, B to A below it. Time in which nobody watched is hatched:
// no count is not the same as nothing to count.
import { useMemo, useState } from "preact/hooks";
import { api } from "./api";
import { bars, ChartPanel, Picker, type TimeChart } from "./chart-panel";
import { byLine, DIRECTIONS } from "./counts";
import { count, NONE } from "./format";
import { slotsOf, ViewPicker, type Loaded } from "./history";
import { joinSlots, perHour, watchedText, type Slot } from "./slots";
import type { Direction } from "./page-types";
import type { CountRow, TallyRow } from "./types";

export type Crossings = Loaded<{ counts: CountRow[]; tallies: TallyRow[] }>;

const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000];

function chartOf(loaded: Crossings, line: string, hourly: boolean): TimeChart {
  const rows = loaded.rows.counts.filter((row) => !line || row.line === line);
  const made = slotsOf(loaded, rows, loaded.rows.tallies);
  const measure = (slot: Slot, way: Direction) => (hourly ? perHour(slot[way], slot) : slot[way]) || null;
  const most = (way: Direction) => made.reduce((top, slot) => Math.max(top, measure(slot, way) ?? 0), 3);
  const below = (slot: Slot) => {
    const value = measure(slot, "BA");
    return value && -value;
  };
  return {
    made,
    values: [made.map((slot) => measure(slot, "AB")), made.map(below)],
    series: [bars("A→B", "--ab"), bars("B→A", "--ba")],
    range: [-most("BA") * 1.12, most("AB") * 1.12],
    axis: { incrs: STEPS, values: (_plot, ticks) => ticks.map((value) => count(Math.abs(value))) },
  };
}

function rateText(value: number, slot: Slot): string {
  const rate = perHour(value, slot);
  return rate == null ? NONE : count(rate < 100 ? Math.round(rate * 10) / 10 : Math.round(rate));
}

function rowOf(slot: Slot): string[] | null {
  if (!slot.AB && !slot.BA && slot.unwatched < 0.02) return null;
  const cell = (value: number): string => (value || slot.watched ? count(value) : "not seen");
  const cells = DIRECTIONS.flatMap((way) => [cell(slot[way]), rateText(slot[way], slot)]);
  return [...cells, watchedText(slot)];
}

function MeasurePicker({ hourly, onPick }: { hourly: boolean; onPick: (hourly: boolean) => void }) {
  return (
    <div class="segments" role="group" aria-label="What bars show">
      <button type="button" aria-pressed={!hourly} onClick={() => onPick(false)}>
        Counts
      </button>
      <button
        type="button"
        aria-pressed={hourly}
        data-testid="per-hour"
        title="Crossings per watched hour, so that partly blind periods compare with the others"
        onClick={() => onPick(true)}
      >
        Per watched hour
      </button>
    </div>
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
  const chart = useMemo(() => loaded && chartOf(loaded, line, hourly), [loaded, line, hourly]);
  const whole = useMemo(() => chart && joinSlots(chart.made), [chart]);
  const counted = loaded ? byLine(loaded.rows.counts).map((sum) => sum.line) : [];
  const names = [...new Set([...lines, ...counted])];
  const tools = (
    <>
      <Picker label="Line" none="All lines" names={names} value={line} onPick={setLine} />
      <MeasurePicker hourly={hourly} onPick={setHourly} />
      <ViewPicker />
    </>
  );
  const readout = (index: number | null) => {
    const slot = index == null ? whole : chart?.made[index];
    if (!slot) return null;
    return DIRECTIONS.map((way) => (
      <span key={way} class="key" data-key={way.toLowerCase()}>
        {way[0]}→{way[1]} <b>{count(slot[way])}</b>
        <span class="rate" title="per watched hour">
          {rateText(slot[way], slot)} an hour
        </span>
      </span>
    ));
  };
  return (
    <ChartPanel
      testid="counts-chart"
      title="Crossings"
      tools={tools}
      loaded={loaded}
      chart={chart}
      whole={whole ?? undefined}
      label={`Crossings of ${camera} over time; hatched: time not watched`}
      readout={readout}
      head={["A→B", "an hour", "B→A", "an hour", "Seen"]}
      row={(index) => rowOf(chart!.made[index]!)}
      csv={loaded ? api.csv("counts", node, camera, loaded.view.bucket, loaded.range) : ""}
    />
  );
}
