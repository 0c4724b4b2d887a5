import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketStarts, LATE_MS, perHour, slots, watchedText } from "../src/slots";
import type { CountRow, TallyRow } from "../src/types";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOW = 100 * HOUR;

const crossing = (start: number, direction: "AB" | "BA", count: number): CountRow => ({
  start,
  camera: "cam0",
  line: "main",
  version: 1,
  direction,
  label: "car",
  count,
  watched_seconds: 60,
  blind_seconds: 0,
  rate: null,
});

const tally = (start: number, watched: number, blind: Record<string, number> = {}): TallyRow => ({
  start,
  camera: "cam0",
  watched_seconds: watched,
  blind,
  objects: {},
  captured: 0,
  inferred: 0,
  dropped: 0,
  p50_ms: 0,
  p95_ms: 0,
  unseen: [],
});

test("a minute that was watched and had no traffic is not a minute that nobody watched", () => {
  const start = NOW - HOUR;
  const made = slots([], [tally(start, 60)], [start, start + MINUTE], MINUTE, NOW);
  assert.equal(made[0]!.unwatched, 0);
  assert.equal(made[1]!.unwatched, 1);
});

test("blind seconds are a share of the bucket, with their reason", () => {
  const start = NOW - HOUR;
  const [slot] = slots([], [tally(start, 45, { stalled: 15 })], [start], MINUTE, NOW);
  assert.equal(slot!.unwatched, 0.25);
  assert.deepEqual(slot!.blind, { stalled: 15 });
});

test("the newest minutes are not called unwatched before their tally can have come", () => {
  const start = NOW - LATE_MS;
  assert.equal(slots([], [], [start], MINUTE, NOW)[0]!.unwatched, 0);
});

test("counts of both directions and all versions are added up in their bucket", () => {
  const start = NOW - HOUR;
  const rows = [crossing(start, "AB", 2), crossing(start, "AB", 3), crossing(start, "BA", 1)];
  const [slot] = slots(rows, [], [start], MINUTE, NOW);
  assert.deepEqual([slot!.AB, slot!.BA], [5, 1]);
});

test("buckets follow those that the centre names and fill the gaps between them", () => {
  assert.deepEqual(bucketStarts([NOW - 2 * MINUTE], NOW - 4 * MINUTE, NOW, MINUTE), [
    NOW - 4 * MINUTE,
    NOW - 3 * MINUTE,
    NOW - 2 * MINUTE,
    NOW - MINUTE,
    NOW,
  ]);
});

test("a day of 23 hours does not make two buckets of one day", () => {
  const day = 24 * HOUR;
  const known = [10 * day, 11 * day - HOUR, 12 * day - HOUR];
  assert.deepEqual(bucketStarts(known, 10 * day, 12 * day, day), known);
});

test("what was seen is said in words, with every reason why the rest was not", () => {
  const start = NOW - 5 * HOUR;
  const seen = (watched: number, blind: Record<string, number>) =>
    watchedText(slots([], [tally(start, watched, blind)], [start], HOUR, NOW)[0]!);
  assert.equal(seen(42 * 60, { absent: 18 * 60 }), "watched 42 of 60 min, blind: absent 18 min");
  assert.equal(
    seen(30 * 60, { absent: 18 * 60 }),
    "watched 30 of 60 min, blind: absent 18 min, nothing heard 12 min",
  );
  assert.equal(seen(3600, {}), "watched 60 of 60 min");
});

test("a bucket of which nothing was told is unseen over its whole width, and has no rate", () => {
  const start = NOW - 5 * HOUR;
  const [slot] = slots([], [], [start], HOUR, NOW);
  assert.deepEqual(slot!.unseen, [[start, start + HOUR]]);
  assert.equal(perHour(0, slot!), null);
});

test("rates compare a bucket that was half blind with one that was not", () => {
  const start = NOW - 5 * HOUR;
  const [half] = slots([crossing(start, "AB", 20)], [tally(start, 1800)], [start], HOUR, NOW);
  assert.equal(perHour(half!.AB, half!), 40);
});

test("time before a camera was there is not time that nobody watched", () => {
  const start = Math.floor((NOW - 5 * HOUR) / HOUR) * HOUR;
  const first = start + HOUR + HOUR / 2;
  const made = slots([], [], [start, start + HOUR, start + 2 * HOUR], HOUR, NOW, first);
  assert.deepEqual(
    made.map((slot) => [slot.unseen, slot.due]),
    [
      [[], 0],
      [[[first, start + 2 * HOUR]], 1800],
      [[[start + 2 * HOUR, start + 3 * HOUR]], 3600],
    ],
  );
});
