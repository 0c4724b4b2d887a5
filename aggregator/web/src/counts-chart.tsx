// Crossings over time: A to B above the axis, B to A below it. Time in which nobody watched is hatched:
// no count is not the same as nothing to count.
import { useEffect, useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api, type Range } from "./api";
import { useCell } from "./cell";
import { byLine } from "./counts";
import { Clock, count, span } from "./format";
import { axis, colour, Plot } from "./plot";
import { login, onFact, returns, serverNow } from "./session";
import { bucketStarts, slots, type Slot } from "./slots";
import type { Bucket, CountRow, TallyRow } from "./types";

const HOUR = 3_600_000;
const VIEWS: { bucket: Bucket; name: string; reach: number; step: number }[] = [
  { bucket: "minute", name: "Hour", reach: HOUR, step: 60_000 },
  { bucket: "hour", name: "Day", reach: 24 * HOUR, step: HOUR },
  { bucket: "day", name: "Month", reach: 30 * 24 * HOUR, step: 24 * HOUR },
];
const REFRESH_MS = 15_000;
const SOON_MS = 700;

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

function drawUnwatched(plot: uPlot, made: Slot[]): void {
  const pen = plot.ctx;
  const pattern = hatch(pen);
  if (!pattern) return;
  const { left, top, width, height } = plot.bbox;
  pen.save();
  pen.beginPath();
  pen.rect(left, top, width, height);
  pen.clip();
  pen.fillStyle = pattern;
  for (const slot of made) {
    if (slot.unwatched < 0.02) continue;
    const from = Math.round(plot.valToPos(slot.start, "x", true));
    const to = Math.round(plot.valToPos(slot.end, "x", true));
    pen.globalAlpha = slot.told ? 0.35 + 0.65 * slot.unwatched : 0.5;
    pen.fillRect(from, top, to - from, height);
  }
  pen.restore();
}

function chartOptions(
  made: Slot[],
  from: number,
  to: number,
  clock: Clock,
  onSlot: (at: number | null) => void,
  day: boolean,
) {
  const bars = uPlot.paths.bars!({ size: [0.72, 36], align: 1, radius: 0.15 });
  const series = (name: string, ink: string): uPlot.Series => ({
    label: name,
    paths: bars,
    fill: () => colour(ink),
    width: 0,
    points: { show: false },
  });
  const highest = made.reduce((top, slot) => Math.max(top, slot.AB), 3);
  const lowest = made.reduce((low, slot) => Math.max(low, slot.BA), 3);
  const options: Omit<uPlot.Options, "width" | "height"> = {
    ms: 1,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: [from, to] }, y: { range: [-lowest * 1.12, highest * 1.12] } },
    axes: [
      axis({
        size: 26,
        values: (_plot, ticks) => ticks.map((at) => (day ? clock.date(at) : clock.minute(at))),
      }),
      axis({
        size: 40,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000],
        values: (_plot, ticks) => ticks.map((value) => count(Math.abs(value))),
      }),
    ],
    series: [{}, series("A→B", "--ab"), series("B→A", "--ba")],
    hooks: {
      drawClear: [(plot) => drawUnwatched(plot, made)],
      setCursor: [
        (plot) =>
          onSlot(plot.cursor.left != null && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null),
      ],
    },
  };
  return options;
}

function Readout({
  slot,
  made,
  clock,
  bucket,
}: {
  slot: Slot | undefined;
  made: Slot[];
  clock: Clock;
  bucket: Bucket;
}) {
  const sum = (direction: "AB" | "BA") => made.reduce((total, one) => total + one[direction], 0);
  const when = slot
    ? bucket === "day"
      ? clock.date(slot.start)
      : `${clock.minute(slot.start)}–${clock.minute(slot.end)}`
    : "All shown";
  const blind = slot
    ? Object.entries(slot.blind)
        .filter(([, seconds]) => seconds >= 1)
        .map(([why, seconds]) => `${why} ${span(seconds * 1000)}`)
        .join(", ")
    : "";
  return (
    <p class="readout">
      <span class="when">{when}</span>
      <span class="key" data-key="ab">
        A→B <b>{count(slot ? slot.AB : sum("AB"))}</b>
      </span>
      <span class="key" data-key="ba">
        B→A <b>{count(slot ? slot.BA : sum("BA"))}</b>
      </span>
      {slot && slot.unwatched >= 0.02 ? (
        <span class="key" data-key="hatch">
          watched {span(slot.watched * 1000)}
          {blind && `, blind: ${blind}`}
        </span>
      ) : (
        <span class="key" data-key="hatch">
          not watched
        </span>
      )}
    </p>
  );
}

interface Loaded {
  counts: CountRow[];
  tallies: TallyRow[];
  range: Range & { to: number };
  bucket: Bucket;
}

function useCounts(node: string, camera: string, view: (typeof VIEWS)[number]): Loaded | null {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const turn = useCell(returns);
  useEffect(() => {
    let gone = false;
    let timer: number | undefined;
    const load = async () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void load(), REFRESH_MS);
      const to = serverNow();
      const range = { from: Math.floor((to - view.reach) / 60_000) * 60_000, to };
      try {
        const [{ rows: counts }, { rows: tallies }] = await Promise.all([
          api.counts(node, camera, view.bucket, range),
          api.tallies(node, camera, view.bucket, range),
        ]);
        if (!gone) setLoaded({ counts, tallies, range, bucket: view.bucket });
      } catch {
        // The banner says when the centre is away; the chart keeps what it has until the next try.
      }
    };
    const soon = onFact((fact) => {
      if (fact.camera !== camera || (fact.type !== "crossing" && fact.type !== "tally")) return;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => void load(), SOON_MS);
    });
    void load();
    return () => {
      gone = true;
      soon();
      window.clearTimeout(timer);
    };
  }, [node, camera, view, turn]);
  return loaded;
}

export function CountsChart({ node, camera, lines }: { node: string; camera: string; lines: string[] }) {
  const [view, setView] = useState(VIEWS[0]!);
  const [line, setLine] = useState("");
  const [hovered, setHovered] = useState<number | null>(null);
  const who = useCell(login);
  const clock = useMemo(() => new Clock(typeof who === "object" ? who.site?.timezone : undefined), [who]);
  const loaded = useCounts(node, camera, view);
  const shown = useMemo(() => {
    if (!loaded) return null;
    const step = VIEWS.find((one) => one.bucket === loaded.bucket)!.step;
    const rows = loaded.counts.filter((row) => row.camera === camera && (!line || row.line === line));
    const tallies = loaded.tallies.filter((row) => row.camera === camera);
    const known = [...new Set([...rows, ...tallies].map((row) => row.start))];
    const starts = bucketStarts(known, loaded.range.from, loaded.range.to, step);
    const made = slots(rows, tallies, starts, step, loaded.range.to);
    const edge = starts[starts.length - 1] ?? loaded.range.to;
    const options = chartOptions(
      made,
      starts[0] ?? loaded.range.from,
      edge + step,
      clock,
      setHovered,
      loaded.bucket === "day",
    );
    const data: uPlot.AlignedData = [
      starts,
      made.map((slot) => slot.AB || null),
      made.map((slot) => -slot.BA || null),
    ];
    return { made, options, data, bucket: loaded.bucket, range: loaded.range };
  }, [loaded, line, clock]);
  const names = [...new Set([...lines, ...(loaded ? byLine(loaded.counts).map((sum) => sum.line) : [])])];
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
        <div class="segments" role="group" aria-label="Time shown">
          {VIEWS.map((one) => (
            <button key={one.bucket} type="button" aria-pressed={one === view} onClick={() => setView(one)}>
              {one.name}
            </button>
          ))}
        </div>
      </header>
      {shown ? (
        <>
          <Readout
            slot={hovered == null ? undefined : shown.made[hovered]}
            made={shown.made}
            clock={clock}
            bucket={shown.bucket}
          />
          <Plot
            options={shown.options}
            data={shown.data}
            height={220}
            label={`Crossings of ${camera} over time`}
          />
          <CountsTable
            made={shown.made}
            clock={clock}
            bucket={shown.bucket}
            csv={api.countsCsv(node, camera, view.bucket, shown.range)}
          />
        </>
      ) : (
        <div class="chart-room" />
      )}
    </section>
  );
}

function CountsTable({
  made,
  clock,
  bucket,
  csv,
}: {
  made: Slot[];
  clock: Clock;
  bucket: Bucket;
  csv: string;
}) {
  const rows = made.filter((slot) => slot.AB || slot.BA || slot.unwatched >= 0.02).reverse();
  return (
    <details class="table">
      <summary>As a table</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>From</th>
              <th>A→B</th>
              <th>B→A</th>
              <th>Watched</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((slot) => (
              <tr key={slot.start}>
                <td>{bucket === "day" ? clock.date(slot.start) : clock.minute(slot.start)}</td>
                <td>{count(slot.AB)}</td>
                <td>{count(slot.BA)}</td>
                <td>{span(slot.watched * 1000)}</td>
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
