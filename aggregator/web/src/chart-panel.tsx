// What all charts of a camera share: the panel round them, what is read off a slot, time that nobody saw, the
// rows as a table and as a file. Each chart says what its slots show, and may draw over them.
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Clock } from "./format";
import { useClock, type Loaded } from "./history";
import { axis, colour, Plot } from "./plot";
import { watchedText, type Slot } from "./slots";

/** A panel with its heading and its tools beside it. */
interface PanelProps {
  kind: "chart" | "trips" | "speeds";
  testid: string;
  title: string;
  note?: string;
  tools?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ kind, testid, title, note, tools, children }: PanelProps) {
  return (
    <section class={`panel ${kind}`} data-testid={testid}>
      <header class="row wrap">
        <h2>{title}</h2>
        {note && <span class="faint">{note}</span>}
        <span class="grow" />
        {tools}
      </header>
      {children}
    </section>
  );
}

/** What a panel's rows are to be had as: a file, and what else is put beside it. */
export function Foot({ csv, children }: { csv: string; children?: ComponentChildren }) {
  return (
    <footer class="row foot">
      {children}
      <a href={csv} data-outside download>
        Download as CSV
      </a>
    </footer>
  );
}

interface PickerProps {
  label: string;
  value: string;
  names: readonly string[];
  /** What stands for none of them; without it, a choice of one is no choice. */
  none?: string;
  called?: (name: string) => string;
  onPick: (name: string) => void;
}

export function Picker({ label, value, names, none, called = (name) => name, onPick }: PickerProps) {
  if (names.length < 2) return null;
  return (
    <select aria-label={label} value={value} onChange={(event) => onPick(event.currentTarget.value)}>
      {none && <option value="">{none}</option>}
      {names.map((name) => (
        <option key={name} value={name}>
          {called(name)}
        </option>
      ))}
    </select>
  );
}

/** What a chart over time shows: one value a slot and series, on one axis. */
export interface TimeChart {
  made: Slot[];
  values: (number | null)[][];
  series: uPlot.Series[];
  range: [low: number, high: number];
  axis: uPlot.Axis;
  draw?: (plot: uPlot) => void;
}

/** Bars from zero, as wide as a slot and never fat. */
export const bars = (label: string, ink: string): uPlot.Series => ({
  label,
  paths: uPlot.paths.bars!({ size: [0.72, 36], align: 1, radius: 0.15 }),
  fill: () => colour(ink),
  width: 0,
  points: { show: false },
});

/** A series that is drawn by hand. */
export const unseenSeries: uPlot.Series = { paths: () => null, points: { show: false } };

interface ChartPanelProps extends Omit<PanelProps, "kind" | "children"> {
  loaded: Loaded<unknown> | null;
  chart: TimeChart | null;
  label: string;
  /** What is read off one slot, or off all of them together. */
  readout: (index: number | null) => ComponentChildren;
  /** How much of it was watched is told of a slot; where this is given, of all of them too. */
  whole?: Slot | undefined;
  csv: string;
  head: string[];
  /** One slot as a row of the table, after its time; null where there is nothing to tell. */
  row: (index: number) => string[] | null;
}

export function ChartPanel(props: ChartPanelProps) {
  const { loaded, chart, label, readout, whole, head, row, csv, ...panel } = props;
  const [hovered, setHovered] = useState<number | null>(null);
  const clock = useClock();
  const options = useMemo(
    () => loaded && chart && optionsOf(chart, loaded, clock, setHovered),
    [loaded, chart, clock],
  );
  const data = useMemo(
    (): uPlot.AlignedData => (chart ? [chart.made.map((slot) => slot.start), ...chart.values] : [[]]),
    [chart],
  );
  if (!loaded || !chart || !options)
    return (
      <Panel kind="chart" {...panel}>
        <div class="chart-room" />
      </Panel>
    );
  const index = hovered != null && hovered < chart.made.length ? hovered : null;
  const slot = index == null ? whole : chart.made[index];
  return (
    <Panel kind="chart" {...panel}>
      <p class="readout" data-testid="readout">
        <span class="when">
          {index == null ? loaded.view.whole : when(chart.made[index]!, loaded, clock)}
        </span>
        {readout(index)}
        {slot && (
          <span class="key" data-key="hatch">
            {watchedText(slot)}
          </span>
        )}
      </p>
      <Plot options={options} data={data} height={200} label={label} />
      <Table csv={csv} head={head} made={chart.made} row={row} name={(one) => when(one, loaded, clock)} />
    </Panel>
  );
}

interface TableProps {
  csv: string;
  head: string[];
  made: Slot[];
  row: (index: number) => string[] | null;
  name: (slot: Slot) => string;
}

/** The slots as rows, the newest first; written out only while somebody has it open. */
function Table({ csv, head, made, row, name }: TableProps) {
  const [open, setOpen] = useState(false);
  const rows = open ? made.flatMap((slot, i) => (row(i) ? [{ slot, cells: row(i)! }] : [])).reverse() : [];
  return (
    <>
      <Foot csv={csv}>
        <button class="fold" type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
          As a table
        </button>
      </Foot>
      {open && (
        <div class="table scroll" tabIndex={0} aria-label="Table; scrolls">
          <table>
            <thead>
              <tr>
                {["From", ...head].map((text, i) => (
                  <th key={i}>{text}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ slot, cells }) => (
                <tr key={slot.start}>
                  <td>{name(slot)}</td>
                  {cells.map((text, i) => (
                    <td key={i}>{text}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          {rows.length === 0 && <p class="faint">Nothing yet.</p>}
        </div>
      )}
    </>
  );
}

/** The name of a slot: its day, or from when to when. */
function when(slot: Slot, { view: { bucket } }: Loaded<unknown>, clock: Clock): string {
  if (bucket === "week") return `week from ${clock.date(slot.start)}`;
  return bucket === "day" ? clock.date(slot.start) : `${clock.minute(slot.start)}–${clock.minute(slot.end)}`;
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

function optionsOf(
  { made, series, range, axis: upright, draw }: TimeChart,
  { view: { bucket } }: Loaded<unknown>,
  clock: Clock,
  onSlot: (index: number | null) => void,
): Omit<uPlot.Options, "width" | "height"> {
  const name = (at: number): string =>
    bucket === "day" || bucket === "week" ? clock.date(at) : clock.minute(at);
  const readSlot = (plot: uPlot): void => {
    const { left } = plot.cursor;
    if (left == null || left < 0) return onSlot(null);
    const at = plot.posToVal(left, "x");
    const index = made.findIndex((slot) => at >= slot.start && at < slot.end);
    onSlot(index < 0 ? null : index);
  };
  return {
    ms: 1,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: true, range: [made[0]?.start ?? 0, made[made.length - 1]?.end ?? 0] },
      y: { range },
    },
    axes: [axis({ size: 26, values: (_plot, ticks) => ticks.map(name) }), axis({ size: 46, ...upright })],
    series: [{}, ...series],
    hooks: {
      drawClear: [(plot) => drawZero(plot, made)],
      draw: [(plot) => draw?.(plot), (plot) => drawUnseen(plot, made)],
      setCursor: [readSlot],
    },
  };
}
