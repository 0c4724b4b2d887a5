import assert from "node:assert/strict";
import { test } from "node:test";
import { angle, degenerate, middle, tidy } from "../src/geometry";
import type { Point } from "../src/types";

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
