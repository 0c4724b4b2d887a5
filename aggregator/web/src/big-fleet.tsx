// A fleet of hundreds and thousands: one line a node, and only those that are visible are asked for and drawn.
//
// What always holds: the order and the search are the centre's, so they are over all nodes; the stream is about
// the visible ones only; a line that has not come yet is empty, never another node's.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, type FleetQuery } from "./api";
import { useCell } from "./cell";
import { byLine } from "./counts";
import { bytes, count, percent } from "./format";
import { Age, isFresh, NodeBadge } from "./parts";
import { nodeHref } from "./router";
import { firstPage, link, nodes, putPage, trouble, watch } from "./session";
import type { Fleet, FleetSummary, NodeEntry } from "./types";

const ROW_PX = 46;
const PAGE = 100;
const BEYOND = 8; // lines above and below what is visible
const SETTLE_MS = 80;
const AGAIN_MS = 5_000;

const SORTS: [sort: string, text: string][] = [
  ["urgency", "Problems first"],
  ["name", "Name"],
  ["-since", "Latest change first"],
  ["seen", "Longest without data first"],
  ["-cpu", "Busiest first"],
  ["-memory", "Most memory first"],
  ["-temperature", "Hottest first"],
];
const STATES = ["online", "offline", "stale"];

function Row({ node, top }: { node: NodeEntry | undefined; top: number }) {
  useCell(link);
  useCell(trouble);
  const style = { transform: `translateY(${top}px)` };
  if (!node) return <li class="fleet-row" style={style} />;
  const sum = byLine(node.counts_today).reduce((all, line) => all + line.AB + line.BA, 0);
  const well = node.cameras.filter((camera) => camera.state === "ok").length;
  return (
    <li
      class={isFresh(node) ? "fleet-row" : "fleet-row old"}
      style={style}
      data-testid="node-card"
      data-node={node.node}
      data-state={node.state}
    >
      <a href={nodeHref(node.node)}>{node.title || node.node}</a>
      <NodeBadge node={node} />
      <span class="figure" data-bad={well < node.cameras.length}>
        {well} of {node.cameras.length} <small>cameras</small>
      </span>
      <span class="figure">
        {count(sum)} <small>today</small>
      </span>
      <span class="figure">
        {percent(node.cpu_percent)} <small>CPU</small>
      </span>
      <span class="figure">{bytes(node.memory_bytes)}</span>
      <span class="fleet-warning" title={node.warnings.join("\n")}>
        {node.warnings[0] ?? ""}
      </span>
      <Age node={node} />
    </li>
  );
}

/** The lines that can be seen, from `first` up to but not including `end`. */
function useVisible(list: { current: HTMLElement | null }, total: number): [first: number, end: number] {
  const [range, setRange] = useState<[number, number]>([0, 0]);
  useEffect(() => {
    let due = 0;
    const look = () => {
      due = 0;
      const top = list.current ? -list.current.getBoundingClientRect().top : 0;
      const first = Math.max(0, Math.floor(top / ROW_PX) - BEYOND);
      const end = Math.min(total, Math.ceil((top + window.innerHeight) / ROW_PX) + BEYOND);
      setRange((old) => (old[0] === first && old[1] === end ? old : [first, end]));
    };
    const soon = () => (due ||= requestAnimationFrame(look));
    look();
    window.addEventListener("scroll", soon, { passive: true });
    window.addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(due);
      window.removeEventListener("scroll", soon);
      window.removeEventListener("resize", soon);
    };
  }, [total]);
  return range;
}

/** The nodes of a page by their places in the order, the first at `from`. */
function placed(page: Fleet | null, from: number): Map<number, string> {
  return new Map(page?.nodes.map((node, place) => [from + place, node.node]));
}

export function BigFleet({ onSummary }: { onSummary: (summary: FleetSummary) => void }) {
  const [asked, setAsked] = useState<FleetQuery>({ sort: "urgency" });
  const [total, setTotal] = useState(firstPage.value?.summary?.total ?? 0);
  const [names, setNames] = useState<ReadonlyMap<number, string>>(() => placed(firstPage.value, 0));
  const [came, setCame] = useState(firstPage.value !== null);
  const list = useRef<HTMLUListElement>(null);
  const known = useCell(nodes);
  const [first, end] = useVisible(list, total);

  useEffect(() => {
    let over = false;
    let timer = 0;
    const load = async () => {
      window.clearTimeout(timer);
      const from = Math.floor(first / PAGE) * PAGE;
      const limit = Math.max(PAGE, Math.ceil((end - from) / PAGE) * PAGE);
      try {
        const begun = Date.now();
        const page = await api.fleet({ ...asked, offset: from, limit });
        if (over) return;
        putPage(page, begun);
        setNames((old) => new Map([...old, ...placed(page, from)]));
        if (page.summary) {
          setTotal(page.summary.total);
          if (!asked.q && !asked.state) onSummary(page.summary);
        }
        setCame(true);
      } catch {
        // The banner says that the centre is away; the next try comes by itself.
      }
      if (!over) timer = window.setTimeout(() => void load(), AGAIN_MS);
    };
    timer = window.setTimeout(() => void load(), came ? SETTLE_MS : 0);
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [asked, Math.floor(first / PAGE), Math.floor(end / PAGE)]);

  const visible: string[] = [];
  for (let place = first; place < end; place++) visible.push(names.get(place) ?? "");
  const about = visible.filter(Boolean).sort().join(",");
  useEffect(() => {
    if (!about) return undefined;
    let stop: (() => void) | undefined;
    const timer = window.setTimeout(() => (stop = watch(undefined, undefined, about)), 4 * SETTLE_MS);
    return () => {
      window.clearTimeout(timer);
      stop?.();
    };
  }, [about]);

  const change = (next: FleetQuery) => {
    setAsked({ ...asked, ...next });
    setNames(new Map());
    window.scrollTo({ top: 0 });
  };
  const rows = useMemo(() => visible.map((name, n) => ({ name, place: first + n })), [first, end, names]);
  return (
    <>
      <div class="row fleet-asked">
        <input
          type="search"
          placeholder="Find a node"
          aria-label="Find a node"
          value={asked.q ?? ""}
          onInput={(event) => change({ q: event.currentTarget.value.trim().toLowerCase() })}
        />
        <select
          aria-label="State"
          value={asked.state ?? ""}
          onChange={(event) => change({ state: event.currentTarget.value })}
        >
          <option value="">All states</option>
          {STATES.map((state) => (
            <option key={state}>{state}</option>
          ))}
        </select>
        <select
          aria-label="Order"
          value={asked.sort ?? ""}
          onChange={(event) => change({ sort: event.currentTarget.value })}
        >
          {SORTS.map(([sort, text]) => (
            <option key={sort} value={sort}>
              {text}
            </option>
          ))}
        </select>
        <span class="grow" />
        <span class="faint" data-testid="found">
          {count(total)} nodes
        </span>
      </div>
      <ul class="fleet-rows" ref={list} style={{ height: `${total * ROW_PX}px` }}>
        {rows.map(({ name, place }) => (
          <Row key={name || place} node={name ? known?.get(name) : undefined} top={place * ROW_PX} />
        ))}
      </ul>
      {came && total === 0 && <p class="faint">No nodes match.</p>}
    </>
  );
}
