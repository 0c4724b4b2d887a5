// How the node's machine is doing: small charts of the last hour.
import { useEffect, useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { api } from "./api";
import { useCell } from "./cell";
import { bytes, NONE, percent, rate, type Clock } from "./format";
import { useClock } from "./history";
import { axis, colour, Plot } from "./plot";
import { onFact, returns, serverNow } from "./session";
import type { Fact, ResourceRow } from "./page-types";

const REACH_MS = 3_600_000;
const MOST_ROWS = 1_000;
/** Samples come each 10 s; a longer gap is a gap, not a straight line. */
const GAP_MS = 45_000;

const NO_ROWS: ResourceRow[] = [];

interface Chart {
  title: string;
  read: ((row: ResourceRow) => number | null)[];
  show: (value: number | null) => string;
  range: uPlot.Range.MinMax | ((low: number, high: number) => uPlot.Range.MinMax);
  /** A line below it. */
  note?: string;
}

const GPU: Chart = {
  title: "GPU",
  read: [(row) => row.gpu_percent ?? null],
  show: percent,
  range: [0, 102],
};

/** Of the whole board, or of the processor alone, as the newest sample says. */
function power(newest: ResourceRow): Chart {
  const cost = newest.joules_per_count;
  return {
    title: newest.power_of === "processor" ? "Processor’s power" : "Power",
    read: [(row) => row.watts ?? null],
    show: (value) => (value == null ? NONE : `${value.toFixed(1)} W`),
    range: (_low, high) => [0, Math.max(5, high * 1.15)],
    note: cost == null ? "" : `${cost} J a count since the agent’s start`,
  };
}

function charts(cameras: string[], hasGpu: boolean, powered: ResourceRow | undefined): Chart[] {
  const upward =
    (least: number) =>
    (_low: number, high: number): uPlot.Range.MinMax => [0, Math.max(least, high * 1.15)];
  return [
    { title: "CPU", read: [(row) => row.cpu_percent], show: percent, range: [0, 102] },
    ...(hasGpu ? [GPU] : []),
    ...(powered ? [power(powered)] : []),
    { title: "Agent’s memory", read: [(row) => row.memory_bytes], show: bytes, range: upward(1e8) },
    {
      title: "Temperature",
      read: [(row) => row.temperature],
      show: (value) => (value == null ? NONE : `${Math.round(value)} °C`),
      range: (low, high) => [Math.min(20, low ?? 20), Math.max(80, high ?? 80)],
    },
    {
      title: "Frames a second",
      read: cameras.map((name) => (row: ResourceRow) => row.fps[name] ?? null),
      show: rate,
      range: upward(10),
    },
  ];
}

function toRow(fact: Fact): ResourceRow {
  return { fps: {}, ...fact } as unknown as ResourceRow;
}

/** The samples of the last hour; null until they are read. */
function useResources(node: string): ResourceRow[] | null {
  const [rows, setRows] = useState<ResourceRow[] | null>(null);
  const turn = useCell(returns);
  useEffect(() => {
    let gone = false;
    const join = (more: ResourceRow[]) =>
      setRows((old) => {
        const from = serverNow() - REACH_MS;
        const byTime = new Map([...(old ?? []), ...more].map((row) => [row.at, row]));
        return [...byTime.values()]
          .filter((row) => row.at > from)
          .sort((a, b) => a.at - b.at)
          .slice(-MOST_ROWS);
      });
    api.resources(node, { from: serverNow() - REACH_MS }).then(
      ({ rows: more }) => !gone && join(more),
      () => undefined,
    );
    const stop = onFact((fact) => fact.type === "resources" && fact.node === node && join([toRow(fact)]));
    return () => {
      gone = true;
      stop();
    };
  }, [node, turn]);
  return rows;
}

/** Rows with a hole (nulls) wherever samples are missing. */
function withGaps(rows: ResourceRow[], read: Chart["read"]): uPlot.AlignedData {
  const times: number[] = [];
  const values: (number | null)[][] = read.map(() => []);
  rows.forEach((row, i) => {
    if (i && row.at - rows[i - 1]!.at > GAP_MS) {
      times.push(rows[i - 1]!.at + 1);
      values.forEach((list) => list.push(null));
    }
    times.push(row.at);
    read.forEach((one, k) => values[k]!.push(one(row)));
  });
  return [times, ...values];
}

function SmallChart({ chart, rows, clock }: { chart: Chart; rows: ResourceRow[]; clock: Clock }) {
  const options = useMemo((): Omit<uPlot.Options, "width" | "height"> => {
    const inks = ["--accent", "--ba", "--warn", "--faint"];
    return {
      ms: 1,
      padding: [6, 16, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: true, range: () => [serverNow() - REACH_MS, serverNow()] },
        y: {
          range:
            typeof chart.range === "function"
              ? (_plot, low, high) => (chart.range as (l: number, h: number) => uPlot.Range.MinMax)(low, high)
              : chart.range,
        },
      },
      axes: [
        axis({ size: 22, space: 70, values: (_plot, ticks) => ticks.map((at) => clock.minute(at)) }),
        axis({ size: 54, space: 28, values: (_plot, ticks) => ticks.map((value) => chart.show(value)) }),
      ],
      series: [
        {},
        ...chart.read.map((_, i): uPlot.Series => ({
          stroke: () => colour(inks[i % inks.length]!),
          width: 1.5,
          points: { size: 4, width: 0, fill: () => colour(inks[i % inks.length]!) },
        })),
      ],
    };
  }, [chart, clock]);
  const data = useMemo(() => withGaps(rows, chart.read), [rows, chart]);
  const last = rows[rows.length - 1];
  const nothing =
    last !== undefined && data.slice(1).every((list) => (list as (number | null)[]).every((v) => v == null));
  const latest = last ? chart.read.map((read) => chart.show(read(last))).join(" · ") : NONE;
  return (
    <section class="small-chart">
      <header class="row">
        <h3>{chart.title}</h3>
        <span class="grow" />
        <b class="figure">{nothing ? "" : latest}</b>
      </header>
      {nothing ? (
        <p class="nothing">This box has no sensor for this.</p>
      ) : (
        <Plot
          options={options}
          data={data}
          height={120}
          label={`${chart.title} in the last hour, now ${latest}`}
        />
      )}
      {chart.note && <p class="faint">{chart.note}</p>}
    </section>
  );
}

export function ResourceCharts({ node, cameras }: { node: string; cameras: string[] }) {
  const rows = useResources(node);
  const clock = useClock();
  const key = cameras.join("\n");
  const hasGpu = rows?.some((row) => row.gpu_percent != null) ?? false;
  const powered = rows?.filter((row) => row.watts != null).at(-1);
  const all = useMemo(() => charts(cameras, hasGpu, powered), [key, hasGpu, powered]);
  return (
    <section class="panel" data-testid="resources" data-samples={rows?.length}>
      <header class="row">
        <h2>Machine</h2>
        <span class="faint">last hour</span>
      </header>
      {rows?.length === 0 ? (
        <p class="nothing">No data from the box in this period.</p>
      ) : (
        <div class="small-charts">
          {all.map((chart) => (
            <SmallChart key={chart.title} chart={chart} rows={rows ?? NO_ROWS} clock={clock} />
          ))}
        </div>
      )}
    </section>
  );
}
