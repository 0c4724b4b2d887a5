import assert from "node:assert/strict";
import { test } from "node:test";
import { part } from "../src/counts";
import { groups, joinSlots, slots } from "../src/slots";

const MINUTE = 60_000;

test("intervals are Wilson's, and nothing seen has no share", () => {
  const { share, low, high } = part(81, 263);
  assert.deepEqual(
    [share, low, high].map((value) => value!.toFixed(4)),
    ["0.3080", "0.2553", "0.3662"],
  );
  assert.deepEqual(part(0, 0), { count: 0, total: 0, share: null, low: null, high: null });
});

test("minutes join to groups that keep what was seen of them", () => {
  const starts = [...Array(10).keys()].map((n) => n * MINUTE);
  const made = slots([], [], starts, MINUTE, 100 * MINUTE);
  const [first, second, ...more] = groups(made, 5 * MINUTE).map(joinSlots);
  assert.equal(more.length, 0);
  assert.deepEqual([first!.start, first!.end, second!.end], [0, 5 * MINUTE, 10 * MINUTE]);
  assert.deepEqual([first!.due, first!.watched, first!.unwatched, first!.unseen.length], [300, 0, 1, 5]);
});
