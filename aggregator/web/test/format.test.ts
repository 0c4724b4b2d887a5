import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, bytes, Clock, percent, seconds, share, span } from "../src/format";

test("a span is one number in the unit that fits", () => {
  assert.deepEqual([0, 59_999, 60_000, 3_600_000, 47 * 3_600_000, 49 * 3_600_000].map(span), [
    "0 s",
    "59 s",
    "1 min",
    "1 h",
    "47 h",
    "2 d",
  ]);
});

test("short measured times keep a tenth", () => {
  assert.deepEqual([1.42, 9.96, 75].map(seconds), ["1.4 s", "10 s", "1 min"]);
});

test("what is not known is a dash, never a zero", () => {
  assert.equal(percent(null), "–");
  assert.equal(bytes(undefined), "–");
  assert.equal(share(0, 0), "–");
  assert.equal(ago(null, 5), "never");
});

test("times are those of the site, wherever one looks from", () => {
  assert.equal(new Clock("Asia/Tokyo").time(0), "09:00:00");
  assert.equal(new Clock("UTC").minute(0), "00:00");
});
