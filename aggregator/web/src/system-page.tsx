// What every part of the centre spends, over time: aggregators, broker, database, nodes, each as charts.
import { useEffect, useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { type ApiError, query, request } from "./api";
import { bytes, count, NONE, percent, rate, type Clock } from "./format";
import { useClock } from "./history";
import { axis, colour, Plot } from "./plot";
import { serverNow } from "./session";

type Part = Record<string, number | null>;

interface Row {
  at: number;
  aggregators?: Part | null;
  broker?: Part | null;
  database?: Part | null;
  nodes?: Part | null;
}

interface Disk {
  bytes: number | null;
  free_bytes: number | null;
  day_bytes: number | null;
  in_30_days: number | null;
  measured_seconds: number;
}

interface Keeping {
  detail_days: number;
  tally_days: number;
  batch_days: number;
  history_days: number;
  pictures_days: number;
  room: "enough" | "low" | "full" | "unknown";
  trouble: string;
}

interface System {
  at: number;
  step_seconds: number;
  rows: Row[];
  disk: Disk;
  keeping: Keeping;
  notes: string[];
}

type Name = "aggregators" | "broker" | "database" | "nodes";
type Show = (value: number | null | undefined) => string;

interface Figure {
  part: Name;
  title: string;
  /** The fields of its lines, and what each is called where there are several. */
  lines: Record<string, string>;
  show: Show;
  /** Not shown where no machine tells it. */
  rare?: boolean;
}

const HOUR = 3_600_000;
const SPANS = { "1": "last hour", "24": "last day", "168": "last week", "720": "last 30 days" };
const AGAIN_MS = 30_000;
/** While there is nothing to show. */
const SOON_MS = 2_000;
/** So many steps without a row are a gap, not a straight line. */
const GAP_STEPS = 3;

const whole: Show = (value) => (value == null ? NONE : count(Math.round(value)));
/** Steps between the ticks of what comes in wholes. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const degrees: Show = (value) => (value == null ? NONE : `${Math.round(value)} °C`);
const watts: Show = (value) => (value == null ? NONE : `${value.toFixed(1)} W`);
const speed: Show = (value) => (value == null ? NONE : `${bytes(value)}/s`);
const often: Show = (value) => (value == null ? NONE : `${rate(value)}/s`);

const PARTS: Record<Name, string> = {
  aggregators: "Aggregators",
  broker: "Broker",
  database: "Database",
  nodes: "Nodes",
};

const FIGURES: Figure[] = [
  { part: "aggregators", title: "CPU, of one core", lines: { cpu_percent: "" }, show: percent },
  { part: "aggregators", title: "Memory", lines: { memory_bytes: "" }, show: bytes },
  { part: "broker", title: "Clients", lines: { clients: "" }, show: whole },
  { part: "broker", title: "Memory", lines: { memory_bytes: "" }, show: bytes },
  {
    part: "broker",
    title: "Messages",
    lines: {
      messages_received_per_second: "in",
      messages_sent_per_second: "out",
      dropped_per_second: "dropped",
    },
    show: often,
  },
  {
    part: "broker",
    title: "Traffic",
    lines: { bytes_received_per_second: "in", bytes_sent_per_second: "out" },
    show: speed,
  },
  { part: "database", title: "Disk", lines: { bytes: "" }, show: bytes },
  { part: "database", title: "CPU, of one core", lines: { cpu_percent: "" }, show: percent },
  { part: "database", title: "Memory", lines: { memory_bytes: "" }, show: bytes },
  { part: "database", title: "Operations", lines: { operations_per_second: "" }, show: often },
  { part: "nodes", title: "Online", lines: { online: "" }, show: whole },
  {
    part: "nodes",
    title: "CPU",
    lines: { cpu_percent: "mean", cpu_percent_most: "busiest" },
    show: percent,
  },
  {
    part: "nodes",
    title: "GPU",
    lines: { gpu_percent: "mean", gpu_percent_most: "busiest" },
    show: percent,
    rare: true,
  },
  { part: "nodes", title: "Power", lines: { watts: "all", watts_most: "most" }, show: watts, rare: true },
  { part: "nodes", title: "Hottest", lines: { temperature_most: "" }, show: degrees },
  { part: "nodes", title: "Frames a second, all", lines: { frames_per_second: "" }, show: rate },
];

function isTold(figure: Figure, rows: Row[]): boolean {
  const fields = Object.keys(figure.lines);
  return !figure.rare || rows.some((row) => fields.some((field) => row[figure.part]?.[field] != null));
}

/** Times and one list of values a line, with nulls where rows are missing. */
function dataOf(figure: Figure, rows: Row[], step: number): uPlot.AlignedData {
  const times: number[] = [];
  const fields = Object.keys(figure.lines);
  const values: (number | null)[][] = fields.map(() => []);
  rows.forEach((row, i) => {
    if (i && row.at - rows[i - 1]!.at > GAP_STEPS * step) {
      times.push(rows[i - 1]!.at + 1);
      values.forEach((list) => list.push(null));
    }
    times.push(row.at);
    fields.forEach((field, k) => values[k]!.push(row[figure.part]?.[field] ?? null));
  });
  return [times, ...values];
}

function optionsOf(figure: Figure, hours: number, clock: Clock): Omit<uPlot.Options, "width" | "height"> {
  const inks = ["--accent", "--ba", "--warn"];
  const name = (at: number): string => (hours > 24 ? clock.date(at) : clock.minute(at));
  return {
    ms: 1,
    padding: [6, 16, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: true, range: () => [serverNow() - hours * HOUR, serverNow()] },
      y: { range: (_plot, _low, high) => [0, high ? high * 1.15 : 1] },
    },
    axes: [
      axis({ size: 22, space: 70, values: (_plot, ticks) => ticks.map(name) }),
      axis({
        size: 62,
        space: 28,
        ...(figure.show === whole && { incrs: WHOLE }),
        values: (_plot, ticks) => ticks.map((value) => figure.show(value)),
      }),
    ],
    series: [
      {},
      ...Object.keys(figure.lines).map((_, i): uPlot.Series => ({
        stroke: () => colour(inks[i]!),
        width: 1.5,
        points: { size: 4, width: 0, fill: () => colour(inks[i]!) },
      })),
    ],
  };
}

interface FigureProps {
  figure: Figure;
  found: System;
  hours: number;
  clock: Clock;
}

function FigureChart({ figure, found, hours, clock }: FigureProps) {
  const options = useMemo(() => optionsOf(figure, hours, clock), [figure, hours, clock]);
  const data = useMemo(() => dataOf(figure, found.rows, found.step_seconds * 1000), [figure, found]);
  const last = found.rows[found.rows.length - 1]?.[figure.part];
  const latest = Object.entries(figure.lines)
    .map(([field, text]) => `${text} ${figure.show(last?.[field])}`.trim())
    .join(" · ");
  const nothing = data.slice(1).every((list) => (list as (number | null)[]).every((value) => value == null));
  return (
    <section class="small-chart" data-testid="system-chart">
      <header class="row">
        <h3>{figure.title}</h3>
        <span class="grow" />
        <b class="figure">{nothing ? "" : latest}</b>
      </header>
      {nothing ? (
        <p class="nothing">No data in this period.</p>
      ) : (
        <Plot
          options={options}
          data={data}
          height={120}
          label={`${PARTS[figure.part]}, ${figure.title}, now ${latest}`}
        />
      )}
    </section>
  );
}

/** The disk of the database now, and in 30 days if each is like the last one. */
function DiskFacts({ disk }: { disk: Disk }) {
  const full = disk.in_30_days != null && disk.free_bytes != null && disk.bytes != null;
  const bad = full && disk.in_30_days! - disk.bytes! > disk.free_bytes!;
  return (
    <dl class="facts" data-testid="system-disk">
      <div>
        <dt>Database on disk</dt>
        <dd>{bytes(disk.bytes)}</dd>
      </div>
      <div>
        <dt>A day</dt>
        <dd>
          {disk.day_bytes == null
            ? NONE
            : `${disk.day_bytes < 0 ? "−" : "+"}${bytes(Math.abs(disk.day_bytes))}`}
        </dd>
      </div>
      <div data-bad={bad}>
        <dt>In 30 days at today’s rate</dt>
        <dd>
          {disk.in_30_days == null ? (
            <small>known after an hour of measuring</small>
          ) : (
            <>
              {bytes(disk.in_30_days)} {bad && <small>more than the disk has</small>}
            </>
          )}
        </dd>
      </div>
      <div>
        <dt>Free on its disk</dt>
        <dd>{bytes(disk.free_bytes)}</dd>
      </div>
    </dl>
  );
}

/** How long what is kept, and what is done where there is little room for it. */
function KeepingFacts({ keeping }: { keeping: Keeping }) {
  return (
    <>
      {keeping.trouble && (
        <p class="problem" role="alert" data-testid="system-room">
          {keeping.trouble}
        </p>
      )}
      <p class="faint" data-testid="system-keeping">
        Kept: single events {keeping.detail_days} days, minutes {keeping.tally_days}, hours and days{" "}
        {keeping.history_days}, names of batches {keeping.batch_days}, the log of pictures{" "}
        {keeping.pictures_days}.
      </p>
    </>
  );
}

/** What is known of a time, read again and again; null until it is read. */
function useSystem(hours: number): { found: System | null; problem: string } {
  const [found, setFound] = useState<System | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let gone = false;
    let timer = 0;
    const again = (ms: number) => {
      if (!gone) timer = window.setTimeout(read, ms);
    };
    const read = () =>
      void request<System>("GET", `/system${query({ from: serverNow() - hours * HOUR })}`).then(
        (answer) => {
          if (gone) return;
          setFound(answer);
          setProblem("");
          again(answer.rows.length ? AGAIN_MS : SOON_MS);
        },
        (error: ApiError) => {
          if (gone) return;
          setProblem(error.message);
          again(SOON_MS);
        },
      );
    read();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [hours]);
  return { found, problem };
}

export function SystemPage() {
  const [hours, setHours] = useState(24);
  const { found, problem } = useSystem(hours);
  const clock = useClock();
  useEffect(() => {
    document.title = "System · GB-Fleet";
  }, []);
  return (
    <div class="page" data-testid="system-page">
      <header class="row wrap">
        <h1>System</h1>
        <span class="grow" />
        <select
          aria-label="Time"
          value={String(hours)}
          onChange={(event) => setHours(Number(event.currentTarget.value))}
        >
          {Object.entries(SPANS).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </header>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {found && <DiskFacts disk={found.disk} />}
      {found && <KeepingFacts keeping={found.keeping} />}
      {found?.notes.map((note) => (
        <p key={note} class="faint" data-testid="system-note">
          Not known: {note}
        </p>
      ))}
      {found?.rows.length === 0 && <p class="nothing">No measurements in this period yet.</p>}
      {found &&
        found.rows.length > 0 &&
        (Object.keys(PARTS) as Name[]).map((part) => (
          <section key={part} class="panel system-part">
            <h2>{PARTS[part]}</h2>
            <div class="small-charts">
              {FIGURES.filter((figure) => figure.part === part && isTold(figure, found.rows)).map(
                (figure) => (
                  <FigureChart key={figure.title} figure={figure} found={found} hours={hours} clock={clock} />
                ),
              )}
            </div>
          </section>
        ))}
    </div>
  );
}
