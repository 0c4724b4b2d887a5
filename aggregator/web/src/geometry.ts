// Lines on a picture. Someone walking P -> Q has a left hand (side A) and a right hand (side B):
//
//             A                 x to the right, y down
//      P ─────┬─────▶ Q         the arrow of AB points from A to B: here down
//             ▼ AB
//             B
import type { Direction, Point } from "./types";

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

/** Whether a point lies inside a polygon, by the even-odd rule. */
export function contains(polygon: readonly Point[], [x, y]: Point): boolean {
  let inside = false;
  polygon.forEach(([x1, y1], i) => {
    const [x2, y2] = polygon[(i + 1) % polygon.length]!;
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}

/** The corner of a polygon that is nearest to the top left: where its name stands, off the lines' arrows. */
export function corner(points: readonly Point[]): Point {
  return points.reduce((best, point) => (point[0] + point[1] < best[0] + best[1] ? point : best));
}
