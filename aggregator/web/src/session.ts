// What this page knows: who is logged in, the nodes as last heard, and how fresh that is.
// One stream feeds it; pages choose what the stream is about with `watch`.
import { api, ApiError } from "./api";
import type { Board } from "./alert-types";
import { Cell } from "./cell";
import { Stream, type Link } from "./stream";
import type { Fact, LiveFrame, Health } from "./page-types";
import type { Fleet, Me, ConfigState, NodeEntry, Waiting } from "./types";

export type Login = Me | "unknown" | "out";

export const login = new Cell<Login>("unknown");
export const nodes = new Cell<ReadonlyMap<string, NodeEntry> | null>(null);
export const configs = new Cell<ReadonlyMap<string, ConfigState>>(new Map());
/** How many nodes there are; -1 until that is known. More than `FEW` are shown page by page. */
export const amount = new Cell(-1);
/** The first page of a large fleet, those with a problem first, as it came with the page. */
export const firstPage = new Cell<Fleet | null>(null);
export const joinLine = new Cell("");
/** Nodes that were added and have not come yet. */
export const waiting = new Cell<readonly Waiting[]>([]);
export const link = new Cell<Link>({ state: "opening", since: Date.now(), heard: Date.now() });
/** What the centre says is wrong with itself; empty while all is well. */
export const trouble = new Cell("");
/** The alerts that stand; null until the centre has told them. */
export const board = new Cell<Board | null>(null);
/** The centre's clock, once a second. */
export const now = new Cell(Date.now());
/** Grows each time that the stream is back after a break: what was read before may have holes. */
export const returns = new Cell(0);

const facts = new Set<(fact: Fact) => void>();
const frames = new Set<(frame: LiveFrame) => void>();

let clockOffset = 0;
let stream: Stream | undefined;
let refreshTimer: number | undefined;

const REFRESH_MS = 30_000;
export const FEW = 200;

export function onFact(reader: (fact: Fact) => void): () => void {
  facts.add(reader);
  return () => facts.delete(reader);
}

export function onFrame(reader: (frame: LiveFrame) => void): () => void {
  frames.add(reader);
  return () => frames.delete(reader);
}

export function serverNow(): number {
  return Date.now() + clockOffset;
}

window.setInterval(() => now.set(serverNow()), 1000);

export function mayEdit(who: Login): boolean {
  return typeof who === "object" && who.role !== "viewer";
}

/** When the stream last told of a node: an answer to an older question must not overwrite it. */
const told = new Map<string, number>();

function putNode(entry: NodeEntry): void {
  told.set(entry.node, Date.now());
  nodes.set(new Map(nodes.value ?? []).set(entry.node, entry));
}

/** Since when a camera is there, in Unix ms; 0 where that is not known. */
export function firstSeen(node: string, camera: string): number {
  const found = nodes.value?.get(node)?.cameras.find((one) => one.camera === camera);
  return found?.first_seen ?? 0;
}

function dropNode(node: string): void {
  const left = new Map(nodes.value ?? []);
  left.delete(node);
  nodes.set(left);
}

function putConfig(node: string, config: ConfigState): void {
  configs.set(new Map(configs.value).set(node, config));
}

/** Take what a request said of a node and its configuration, where the stream has said nothing yet. */
export function putFirst(entry: NodeEntry, config: ConfigState | undefined): void {
  if (!nodes.value?.has(entry.node)) nodes.set(new Map(nodes.value ?? []).set(entry.node, entry));
  if (config && !configs.value.has(entry.node)) putConfig(entry.node, config);
}

/** How often somebody was logged out: an answer to a question from before that is void. */
let departures = 0;

export async function whoAmI(): Promise<void> {
  const asked = departures;
  try {
    const me = await api.me();
    if (asked === departures) login.set(me);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) loggedOut();
    else if (login.value === "unknown") window.setTimeout(() => void whoAmI(), 1000);
  }
}

/** Read the whole fleet: the centre's clock, the line that joins a node, and which nodes are gone. */
export async function refresh(): Promise<void> {
  window.clearTimeout(refreshTimer);
  refreshTimer = window.setTimeout(() => void refresh(), REFRESH_MS);
  if (document.hidden) return;
  try {
    const asked = Date.now();
    const before = departures;
    const whole = amount.value <= FEW; // of a large fleet the page asks for what it shows itself
    const fleet = await api.fleet(whole ? { limit: FEW, sort: "urgency" } : { limit: 1 });
    if (before !== departures) return;
    clockOffset = Math.round(fleet.at - (asked + Date.now()) / 2);
    now.set(serverNow());
    joinLine.set(fleet.join ?? "");
    waiting.set(fleet.waiting ?? []);
    const total = fleet.summary?.total ?? fleet.nodes.length;
    if (whole && total > FEW) firstPage.set(fleet);
    amount.set(total);
    if (total > FEW) putPage(fleet, asked);
    else if (whole) nodes.set(new Map(fleet.nodes.map((entry) => [entry.node, newest(entry, asked)])));
    else void refresh(); // it has become a small one
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) loggedOut();
    else if (amount.value < 0) {
      window.clearTimeout(refreshTimer);
      refreshTimer = window.setTimeout(() => void refresh(), 1000);
    }
  }
}

/** What is known of a node: an answer to a question, unless the stream has told of it since. */
function newest(entry: NodeEntry, asked: number): NodeEntry {
  return ((told.get(entry.node) ?? 0) >= asked && nodes.value?.get(entry.node)) || entry;
}

/** Take a page of a large fleet that was asked for at a moment. */
export function putPage(fleet: Fleet, asked: number): void {
  const all = new Map(nodes.value ?? []);
  for (const entry of fleet.nodes) all.set(entry.node, newest(entry, asked));
  nodes.set(all);
}

export function loggedOut(): void {
  departures += 1;
  stream?.close();
  stream = undefined;
  window.clearTimeout(refreshTimer);
  nodes.set(null);
  board.set(null);
  amount.set(-1);
  firstPage.set(null);
  login.set("out");
}

function take(name: string, data: string): void {
  const value: unknown = JSON.parse(data);
  if (name === "node") putNode(value as NodeEntry);
  else if (name === "gone") dropNode((value as { node: string }).node);
  else if (name === "centre") trouble.set((value as Health).reasons[0] ?? "");
  else if (name === "alerts") board.set(value as Board);
  else if (name === "live") for (const reader of frames) reader(value as LiveFrame);
  else if (name === "fact") for (const reader of facts) reader(value as Fact);
  else if (name === "config") {
    const config = value as ConfigState & { node: string };
    putConfig(config.node, config);
  }
}

/** Open the one stream: about a node and camera, some nodes, or the whole fleet; returns how to close it. */
export function watch(node?: string, camera?: string, only?: string): () => void {
  stream?.close();
  const mine = new Stream(api.stream(node, camera, only), {
    event: take,
    link: (next) => link.set(next),
    back: () => {
      returns.set(returns.value + 1);
      void refresh();
    },
    refused: (status) => {
      if (status === 401) loggedOut();
      else if (status === 503) trouble.set("its database, MongoDB, does not answer");
    },
  });
  stream = mine;
  return () => {
    mine.close();
    if (stream === mine) stream = undefined;
  };
}
