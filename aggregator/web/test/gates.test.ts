import assert from "node:assert/strict";
import { test } from "node:test";
import { gateName, matrix } from "../src/gates";
import type { TripRow } from "../src/types";

const trip = (origin: string, destination: string, label: string, count: number): TripRow => ({
  camera: "cam0",
  origin,
  destination,
  label,
  count,
  seconds_p50: 5,
});

test("labels add up in one cell, and gates stand in the order of their traffic", () => {
  const found = matrix([trip("a", "b", "car", 3), trip("a", "b", "bus", 1), trip("c", "a", "car", 9)]);
  assert.deepEqual(found.origins, ["c", "a"]);
  assert.deepEqual(found.destinations, ["a", "b"]);
  assert.equal(found.cells.get("a\nb")!.total, 4);
  assert.equal(found.most, 9);
});

test("gates read as people draw them", () => {
  assert.equal(gateName("main:AB"), "main A→B");
  assert.equal(gateName("kerb"), "kerb");
});
