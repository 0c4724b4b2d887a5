import assert from "node:assert/strict";
import { test } from "node:test";
import { angle, contains, degenerate, middle, tidy } from "../src/geometry";
import type { Point } from "../src/page-types";

const DOWN = 90;

test("AB goes from the left hand to the right hand of someone who walks P to Q", () => {
  const cases: [Point[], number][] = [
    [
      [
        [0, 0.6],
        [1, 0.6],
      ],
      DOWN,
    ],
    [
      [
        [1, 0.6],
        [0, 0.6],
      ],
      -90,
    ],
    [
      [
        [0.5, 0],
        [0.5, 1],
      ],
      180,
    ],
    [
      [
        [0.5, 1],
        [0.5, 0],
      ],
      0,
    ],
  ];
  for (const [points, expected] of cases) assert.equal(Math.round(angle(points, "AB", 960, 540)), expected);
});

test("BA is the opposite of AB", () => {
  assert.equal(
    angle(
      [
        [0, 0.6],
        [1, 0.6],
      ],
      "BA",
      960,
      540,
    ),
    DOWN + 180,
  );
});

test("the arrow sits in the middle of a bent line, not of its ends", () => {
  const { x, y } = middle(
    [
      [0, 0],
      [0.5, 0],
      [0.5, 0.5],
    ],
    100,
    100,
  );
  assert.deepEqual([x, y], [50, 0]);
});

test("a point outside of the picture is moved to its edge", () => {
  assert.deepEqual(tidy([-0.2, 1.34]), [0, 1]);
  assert.deepEqual(tidy([0.123456, 0.5]), [0.1235, 0.5]);
});

test("two neighbours on one spot are noticed", () => {
  assert.equal(
    degenerate([
      [0.1, 0.1],
      [0.1, 0.102],
    ]),
    true,
  );
  assert.equal(
    degenerate([
      [0.1, 0.1],
      [0.5, 0.1],
      [0.1, 0.1],
    ]),
    false,
  );
});

test("a zone's side on the picture's border reaches beyond it, at all four edges and in the corners", () => {
  const turns: ((point: Point) => Point)[] = [
    ([x, y]) => [x, y],
    ([x, y]) => [x, 1 - y],
    ([x, y]) => [1 - y, x],
    ([x, y]) => [y, x],
  ];
  const drawn = (side: number): Point[] => [
    [0.3, 0.7],
    [0.6, 0.7],
    [0.6, side],
    [0.3, side],
  ];
  for (const turn of turns) {
    const inside = (side: number, spot: Point) => contains(drawn(side).map(turn), turn(spot));
    for (const side of [1, 0.985]) {
      assert.ok(inside(side, [0.4, 1]) && inside(side, [0.4, 1.04]) && inside(side, [0.4, 0.8]));
      assert.ok(!inside(side, [0.29, 1]) && !inside(side, [0.61, 1.02]) && !inside(side, [0.4, 0.69]));
    }
    assert.ok(!inside(0.98, [0.4, 1]));
  }
  const corner: Point[] = [
    [0.7, 0.7],
    [0.99, 0.7],
    [0.99, 0.99],
    [0.7, 0.99],
  ];
  assert.ok(contains(corner, [1, 1]) && contains(corner, [1.05, 1.1]));
  assert.ok(!contains(corner, [1, 0.65]));
});
