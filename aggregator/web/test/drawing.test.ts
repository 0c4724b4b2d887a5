import assert from "node:assert/strict";
import { test } from "node:test";
import {
  closing,
  draftOf,
  draftOfPlane,
  inHand,
  newDraft,
  problemOf,
  rectangle,
  withPoint,
  type Draft,
} from "../src/draft";
import { contains } from "../src/geometry";
import type { Point } from "../src/page-types";

const CORNERS: Point[] = [
  [0.2, 0.9],
  [0.8, 0.9],
  [0.6, 0.4],
  [0.4, 0.4],
];

const drawn = (draft: Draft): Draft => CORNERS.reduce(withPoint, draft);

test("a line pauses at two points, a plane at four, a zone goes on until it is closed", () => {
  const line = withPoint(withPoint(newDraft("line", []), CORNERS[0]!), CORNERS[1]!);
  assert.equal(line.placing, false);
  assert.equal(drawn(newDraft("plane", [])).placing, false);
  const zone = drawn(newDraft("zone", []));
  assert.equal(zone.placing, true);
  assert.deepEqual(closing(zone), CORNERS[0]);
});

test("the road's rectangle has the typed sides and reads back as they were typed", () => {
  const draft = { ...drawn(newDraft("plane", [])), width: "3,5", length: "20" };
  const metres = rectangle(draft);
  assert.deepEqual(metres[2], [3.5, 20]);
  const again = draftOfPlane({ points: CORNERS, metres });
  assert.deepEqual([again.width, again.length], ["3.5", "20"]);
  assert.equal(problemOf(draft, []), "");
  assert.notEqual(problemOf({ ...draft, length: "" }, []), "");
});

test("a point is inside a polygon by the even-odd rule", () => {
  assert.equal(contains(CORNERS, [0.5, 0.6]), true);
  assert.equal(contains(CORNERS, [0.25, 0.5]), false);
});

test("names are free and of their kind", () => {
  assert.equal(newDraft("zone", ["zone", "zone-2"]).name, "zone-3");
  assert.equal(newDraft("line", []).name, "main");
});

test("what is in hand is drawn once: a new name only from when it is sent", () => {
  const fresh = { ...newDraft("zone", []), name: "kerb" };
  assert.equal(inHand(fresh, "zone", "kerb"), false);
  assert.equal(inHand({ ...fresh, sent: true }, "zone", "kerb"), true);
  assert.equal(inHand({ ...fresh, sent: true }, "line", "kerb"), false);
  assert.equal(inHand(draftOf("line", "main", { points: CORNERS }), "line", "main"), true);
  assert.equal(inHand(null, "line", "main"), false);
});
