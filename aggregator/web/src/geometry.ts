// Lines on a picture. Someone walking P -> Q has a left hand (side A) and a right hand (side B):
//
//             A                 x to the right, y down
//      P ─────┬─────▶ Q         the arrow of AB points from A to B: here down
//             ▼ AB
//             B
import type { Direction, Point } from "./page-types";

export interface Middle {
  x: number;
  y: number;
  /** The unit vector from side A to side B. */
  nx: number;
  ny: number;
}

/** The middle of a polyline in pixels, with the direction of AB there. */
export function middle(points: readonly Point[], width: number, height: number): Middle {
  const pixels = points.map(([x, y]): Point => [x * width, y * height]);
  const lengths = pixels.slice(1).map(([x, y], i) => Math.hypot(x - pixels[i]![0], y - pixels[i]![1]));
  let left = lengths.reduce((sum, length) => sum + length, 0) / 2;
  let at = 0;
  while (at < lengths.length - 1 && left > lengths[at]!) left -= lengths[at++]!;
  const from: Point = pixels[at] ?? [0, 0];
  const to: Point = pixels[at + 1] ?? [1, 0];
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
  const [dx, dy] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  return { x: from[0] + dx * left, y: from[1] + dy * left, nx: -dy, ny: dx };
}

/** The angle, in degrees clockwise from "to the right", in which `direction` crosses the line. */
export function angle(points: readonly Point[], direction: Direction, width: number, height: number): number {
  const { nx, ny } = middle(points, width, height);
  const turn = (Math.atan2(ny, nx) * 180) / Math.PI;
  return direction === "AB" ? turn : turn + 180;
}

export function clamp(value: number, low = 0, high = 1): number {
  return Math.min(high, Math.max(low, value));
}

/** Rounded to a ten-thousandth of the frame: finer than a pixel, short to send. */
export function tidy([x, y]: Point): Point {
  return [Math.round(clamp(x) * 1e4) / 1e4, Math.round(clamp(y) * 1e4) / 1e4];
}

/** Whether two neighbours of a line lie on the same spot, which the node would refuse. */
export function degenerate(points: readonly Point[]): boolean {
  return points.some(
    (p, i) => i > 0 && Math.abs(p[0] - points[i - 1]![0]) + Math.abs(p[1] - points[i - 1]![1]) < 0.01,
  );
}

// What is so near to the picture's border, as a share of it, lies on it, and then reaches so far beyond it.
// The node has the same two numbers.
const BORDER = 0.015 + 1e-9;
const BEYOND = 0.5;

/** How far a side is moved out past the border of the picture: along x and y, nothing if it is not on it. */
function moved([x1, y1]: Point, [x2, y2]: Point): Point {
  const out = (a: number, b: number): number =>
    Math.max(a, b) <= BORDER ? -BEYOND : Math.min(a, b) >= 1 - BORDER ? BEYOND : 0;
  return [out(x1, x2), out(y1, y2)];
}

/** A polygon of which the sides on the picture's border are moved out past it, as the node counts it. */
export function reaching(polygon: readonly Point[]): Point[] {
  const count = polygon.length;
  const sides = polygon.map((point, i) => moved(point, polygon[(i + 1) % count]!));
  return polygon.flatMap(([x, y], i): Point[] => {
    const before = sides[(i + count - 1) % count]!;
    const after = sides[i]!;
    const steps: Point[] = [before];
    if (before[0] !== after[0] || before[1] !== after[1]) {
      const corner =
        (before[0] !== 0 || before[1] !== 0) &&
        (after[0] !== 0 || after[1] !== 0) &&
        before[0] * after[0] + before[1] * after[1] === 0;
      if (corner) steps.push([before[0] + after[0], before[1] + after[1]]);
      steps.push(after);
    }
    return steps.map(([dx, dy]): Point => [x + dx, y + dy]);
  });
}

/** Whether a point lies inside a polygon, or beyond a side of it on the picture's border (even-odd rule). */
export function contains(polygon: readonly Point[], [x, y]: Point): boolean {
  let inside = false;
  const corners = reaching(polygon);
  corners.forEach(([x1, y1], i) => {
    const [x2, y2] = corners[(i + 1) % corners.length]!;
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}

/** The corner of a polygon that is nearest to the top left: where its name stands, off the lines' arrows. */
export function corner(points: readonly Point[]): Point {
  return points.reduce((best, point) => (point[0] + point[1] < best[0] + best[1] ? point : best));
}
