// What is drawn over the picture, as SVG: lines, zones, the road plane, and the handles that move their points.
import type { Kind } from "./draft";
import { clamp, corner, middle, tidy } from "./geometry";
import type { Point } from "./page-types";

export type Size = [number, number];
/** Drawn and running; saved but not yet running; being drawn; beside what is being drawn. */
export type Mood = "saved" | "waiting" | "draft" | "faint";

const STEP = 0.01;

interface LineShapeProps {
  name: string;
  points: Point[];
  size: Size;
  mood: Mood;
  pulse?: number;
}

/** A line with its arrow: the ends A and B beside it, the arrow from A to B. */
export function LineShape({ name, points, size: [width, height], mood, pulse }: LineShapeProps) {
  if (points.length < 2) return null;
  const path = points.map(([x, y]) => `${x * width},${y * height}`).join(" ");
  const { x, y, nx, ny } = middle(points, width, height);
  const scale = clamp(width / 640, 0.6); // on a phone the arrow leaves room for the road
  const tip = (far: number, side = 0): string =>
    `${x + (nx * far - ny * side) * scale},${y + (ny * far + nx * side) * scale}`;
  const [first] = points;
  const labelX = clamp(first![0] * width + 8, 4, width - 60);
  const labelY = clamp(first![1] * height - 9, 14, height - 6);
  return (
    <g class="line" data-mood={mood} data-line={name}>
      <polyline class="halo" points={path} />
      <polyline class="stroke" points={path} />
      {pulse ? <polyline key={pulse} class="pulse" points={path} /> : null}
      <polyline class="halo" points={`${tip(-16)} ${tip(20)}`} />
      <polyline class="stroke" points={`${tip(-16)} ${tip(20)}`} />
      <polyline class="stroke head" points={`${tip(13, -6)} ${tip(21)} ${tip(13, 6)}`} />
      <text class="side" x={x + nx * -27 * scale} y={y + ny * -27 * scale}>
        A
      </text>
      <text class="side" x={x + nx * 33 * scale} y={y + ny * 33 * scale}>
        B
      </text>
      <text class="name" x={labelX} y={labelY}>
        {name}
      </text>
    </g>
  );
}

interface ZoneShapeProps {
  name: string;
  points: Point[];
  size: Size;
  mood: Mood;
  /** How many objects are in it at this moment; undefined where nobody knows. */
  inside?: number | undefined;
}

/** A zone with its name, and how many are in it now. */
export function ZoneShape({ name, points, size: [width, height], mood, inside }: ZoneShapeProps) {
  if (points.length < 2) return null;
  const path = points.map(([x, y]) => `${x * width},${y * height}`).join(" ");
  const [x, y] = corner(points);
  return (
    <g class="zone" data-mood={mood} data-zone={name} data-inside={inside}>
      <polygon class="area" points={path} />
      <polygon class="stroke" points={path} />
      <text class="name" x={clamp(x * width + 12, 4, width - 60)} y={clamp(y * height + 18, 14, height - 6)}>
        {name}
        {inside != null && ` · ${inside}`}
      </text>
    </g>
  );
}

interface PlaneShapeProps {
  points: Point[];
  size: Size;
  mood: Mood;
  width: string;
  length: string;
}

/** The patch of road that is measured: its width on the first side, its length on the second. */
export function PlaneShape({ points, size: [width, height], mood, ...sides }: PlaneShapeProps) {
  if (points.length < 2) return null;
  const path = points.map(([x, y]) => `${x * width},${y * height}`).join(" ");
  const beside = (i: number, name: string, value: string) => {
    const [one, two] = [points[i], points[i + 1]];
    if (!one || !two) return null;
    return (
      <text
        class="name"
        x={((one[0] + two[0]) / 2) * width}
        y={((one[1] + two[1]) / 2) * height}
        text-anchor="middle"
      >
        {value ? `${value} m` : name}
      </text>
    );
  };
  return (
    <g class="road" data-mood={mood}>
      <polygon class="area" points={path} />
      <polygon class="stroke" points={path} />
      {beside(0, "width", sides.width)}
      {beside(1, "length", sides.length)}
    </g>
  );
}

interface HandlesProps {
  kind: Kind;
  name: string;
  points: Point[];
  size: Size;
  onMove: (index: number, point: Point) => void;
  onPick: (index: number) => void;
}

/** One handle per point: drag it, or focus it and use the arrow keys. */
export function Handles({ kind, name, points, size: [width, height], onMove, onPick }: HandlesProps) {
  const drag = (event: PointerEvent, index: number) => {
    const handle = event.currentTarget as SVGCircleElement;
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const frame = handle.ownerSVGElement!.getBoundingClientRect();
    onMove(
      index,
      tidy([(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height]),
    );
  };
  const nudge = (event: KeyboardEvent, index: number) => {
    const move = arrowKey(event);
    if (!move) return;
    event.preventDefault();
    const [x, y] = points[index]!;
    onMove(index, tidy([x + move[0], y + move[1]]));
  };
  return (
    <>
      {points.map(([x, y], index) => (
        <circle
          key={index}
          class="handle"
          cx={x * width}
          cy={y * height}
          r={8}
          tabindex={0}
          role="button"
          aria-label={`${kind === "line" ? "Line" : kind === "zone" ? "Zone" : "Plane"} ${name}, point ${index + 1} of ${points.length}, at ${Math.round(x * 100)} % from the left and ${Math.round(y * 100)} % from the top. Arrow keys move it.`}
          data-testid={`${kind}-handle`}
          data-line={name}
          data-index={index}
          onPointerDown={(event) => {
            event.preventDefault();
            event.currentTarget.setPointerCapture(event.pointerId);
            event.currentTarget.focus();
          }}
          onPointerMove={(event) => drag(event, index)}
          onClick={(event) => {
            event.stopPropagation();
            onPick(index);
          }}
          onKeyDown={(event) => nudge(event, index)}
        />
      ))}
    </>
  );
}

export function arrowKey(event: KeyboardEvent): Point | null {
  const step = event.shiftKey ? STEP * 5 : STEP;
  const moves: Record<string, Point> = {
    ArrowLeft: [-step, 0],
    ArrowRight: [step, 0],
    ArrowUp: [0, -step],
    ArrowDown: [0, step],
  };
  return moves[event.key] ?? null;
}
