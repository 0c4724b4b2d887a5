// The days and buckets of the page of counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dayAfter, fitting } from "../src/days";

test("days are calendar days, over daylight saving and leap years too", () => {
  assert.equal(dayAfter("2026-03-28", 1), "2026-03-29");
  assert.equal(dayAfter("2026-10-25", 1), "2026-10-26");
  assert.equal(dayAfter("2028-02-28", 1), "2028-02-29");
  assert.equal(dayAfter("2026-01-01", -1), "2025-12-31");
});

test("long spans have long buckets", () => {
  assert.equal(fitting("2026-06-01", "2026-06-02"), "hour");
  assert.equal(fitting("2026-06-01", "2026-07-01"), "day");
  assert.equal(fitting("2026-01-01", "2026-12-31"), "week");
  assert.equal(fitting("2021-01-01", "2026-12-31"), "month");
});
