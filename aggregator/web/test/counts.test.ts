import assert from "node:assert/strict";
import { test } from "node:test";
import { blindCameras, breakdown, byLine, masks, worstFirst } from "../src/counts";
import type { CameraEntry, NodeEntry } from "../src/types";

const camera = (state: CameraEntry["state"]): CameraEntry => ({
  camera: "cam0",
  state,
  fps: 10,
  watched_seconds_today: 0,
  blind_seconds_today: 0,
  reason: "",
  since: 0,
  labels: [],
  model: "",
  size: [0, 0],
  preview: false,
  objects_today: {},
  p95_ms: null,
  last_known: false,
  first_seen: null,
  looked_regions: null,
  oldest_region_seconds: null,
  health: [],
  source: "",
  from_centre: false,
});

const node = (
  name: string,
  state: NodeEntry["state"],
  seen: CameraEntry["state"],
  warnings: string[] = [],
): NodeEntry => ({
  node: name,
  state,
  since: 0,
  cameras: [camera(seen)],
  cpu_percent: null,
  memory_bytes: null,
  counts_today: [],
  warnings,
  last_seen: null,
  version: "",
  temperature: null,
  memory_percent: null,
  disk_percent: null,
  site: "",
  groups: [],
  labels: [],
  title: "",
  timezone: "",
  allows: [],
});

test("nodes with a problem come first, then those with a warning, each by name", () => {
  const all = [
    node("e", "online", "ok"),
    node("d", "online", "ok", ["x"]),
    node("c", "offline", "ok"),
    node("b", "online", "frozen"),
  ];
  assert.deepEqual(
    worstFirst(all).map((one) => one.node),
    ["b", "c", "d", "e"],
  );
});

test("a camera of a node that is away is blind", () => {
  assert.equal(blindCameras(node("a", "offline", "ok")), 1);
  assert.equal(blindCameras(node("a", "online", "ok")), 0);
});

test("labels are summed up by line and direction", () => {
  const row = { camera: "cam0", line: "main" };
  const [sum] = byLine([
    { ...row, direction: "AB", label: "car", count: 3 },
    { ...row, direction: "AB", label: "bus", count: 4 },
    { ...row, direction: "BA", label: "car", count: 1 },
  ]);
  assert.deepEqual([sum!.AB, sum!.BA], [7, 1]);
  assert.equal(breakdown(sum!.labels.AB), "4 bus, 3 car");
});

test("unknown faces stay out of the share of masks", () => {
  const known = ["with_mask", "without_mask"];
  assert.deepEqual(masks(known, { with_mask: 3, without_mask: 1, unknown: 2 }), {
    with: 3,
    without: 1,
    unknown: 2,
  });
  assert.equal(masks(["car"], { car: 3 }), null);
});
