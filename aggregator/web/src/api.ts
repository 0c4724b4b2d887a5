// Requests to /api/v1. Every failure is an ApiError whose message can be shown as it is.
import { HOME } from "./home";
import type { Anchor, Bucket, Fact, Point, ResourceRow } from "./page-types";
import type {
  CountRow,
  Fleet,
  Me,
  ConfigState,
  NodeEntry,
  ShareRow,
  SpeedRow,
  TallyRow,
  TripRow,
  ZoneRow,
} from "./types";

export const ROOT = `${HOME}api/v1`;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

async function reasonOf(response: Response): Promise<ApiError> {
  let code = `http_${response.status}`;
  let message = `The centre answered ${response.status}.`;
  if (response.headers.get("content-type")?.includes("json")) {
    const body = (await response.json()) as { error?: { code?: string; message?: string } };
    code = body.error?.code ?? code;
    message = body.error?.message ?? message;
  }
  return new ApiError(response.status, code, message);
}

export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  more: Record<string, string> = {},
): Promise<T> {
  const headers = { Accept: "application/json", ...more };
  const init: RequestInit = { method, headers, cache: "no-store" };
  if (body !== undefined) {
    init.headers = { ...headers, "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(ROOT + path, init);
  } catch {
    throw new ApiError(
      0,
      "unreachable",
      "The centre cannot be reached. Try again when the connection is back.",
    );
  }
  if (!response.ok) throw await reasonOf(response);
  const text = await response.text();
  return (text ? JSON.parse(text) : {}) as T;
}

type Query = Record<string, string | number | undefined>;

/** The part of an address behind the question mark; what is empty is not asked. */
export function query(values: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(values))
    if (value !== undefined && value !== "") search.set(key, String(value));
  const text = search.toString();
  return text ? `?${text}` : "";
}

export interface Range {
  from: number;
  to?: number;
}

const node = (name: string): string => `/nodes/${encodeURIComponent(name)}`;
const camera = (name: string, cam: string): string => `${node(name)}/cameras/${encodeURIComponent(cam)}`;

export interface FleetQuery {
  q?: string;
  state?: string;
  sort?: string;
  offset?: number;
  limit?: number;
}

export interface Tables {
  counts: CountRow;
  tallies: TallyRow;
  shares: ShareRow;
  zones: ZoneRow;
  speeds: SpeedRow;
  trips: TripRow;
}

/** What is drawn on a picture is put and deleted under these. */
export type Drawn = `lines/${string}` | `zones/${string}` | "plane";

const drawn = (name: string, cam: string, what: Drawn): string =>
  `${camera(name, cam)}/${what.split("/").map(encodeURIComponent).join("/")}`;

export const api = {
  login: (secret: { token: string } | { user: string; password: string }) =>
    request<{ role: string }>("POST", "/login", { ...secret, path: HOME }),
  logout: () => request<unknown>("POST", "/logout", {}),
  me: () => request<Me>("GET", "/me"),
  fleet: (asked: FleetQuery = {}) => request<Fleet>("GET", `/fleet${query({ ...asked })}`),
  node: (name: string) => request<NodeEntry & { config?: ConfigState }>("GET", node(name)),
  /** The rows of a camera's table over a time. */
  rows: async <T extends keyof Tables>(
    table: T,
    name: string,
    cam: string,
    bucket: Bucket,
    range: Range,
    more: Query = {},
  ) => {
    const path = `${node(name)}/${table}${query({ camera: cam, bucket, ...range, ...more })}`;
    return (await request<{ rows: Tables[T][] }>("GET", path)).rows;
  },
  csv: (
    table: keyof Tables,
    name: string,
    cam: string,
    bucket: Bucket,
    range: Range,
    more: Query = {},
  ): string =>
    `${ROOT}${node(name)}/${table}${query({ camera: cam, bucket, ...range, ...more, format: "csv" })}`,
  resources: (name: string, range: Range) =>
    request<{ rows: ResourceRow[] }>("GET", `${node(name)}/resources${query({ ...range })}`),
  events: (name: string, type: string, limit: number) =>
    request<{ events: Fact[] }>("GET", `${node(name)}/events${query({ type, limit })}`),
  put: (
    name: string,
    cam: string,
    what: Drawn,
    body: { points: Point[]; anchor?: Anchor; labels?: string[]; metres?: Point[] },
    seen: Record<string, string> = {},
  ) => request<{ version: number }>("PUT", drawn(name, cam, what), body, seen),
  remove: (name: string, cam: string, what: Drawn) =>
    request<{ version: number }>("DELETE", drawn(name, cam, what)),
  preview: (name: string, cam: string) => `${ROOT}${camera(name, cam)}/preview`,
  /** `only`: names of nodes, separated by commas. */
  stream: (name?: string, cam?: string, only?: string) =>
    `${ROOT}/stream${query({ node: name, camera: cam, nodes: only })}`,
};
