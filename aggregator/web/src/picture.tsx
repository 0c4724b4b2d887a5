// The camera's picture, or a blank plane; live boxes over it; lines to see, draw and drag.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { clamp, middle, tidy } from "./geometry";
import { LiveView } from "./live-view";
import { onFact } from "./session";
import type { Anchor, CameraEntry, Line, NodeEntry, Point } from "./types";

export interface Draft {
  name: string;
  /** Null for a new line, whose name is still open. */
  original: string | null;
  points: Point[];
  anchor: Anchor;
  labels: string[];
  /** Whether the next click on the picture sets a point. */
  placing: boolean;
}

export const MAX_POINTS = 8;
const STEP = 0.01;

type Size = [number, number];

function useSize(ref: { current: HTMLElement | null }): Size {
  const [size, setSize] = useState<Size>([0, 0]);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setSize([element.clientWidth, element.clientHeight]));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

interface LineShapeProps {
  name: string;
  points: Point[];
  size: Size;
  mood: "saved" | "waiting" | "draft" | "faint";
  pulse?: number;
}

/** A line with its arrow: the ends A and B beside it, the arrow from A to B. */
function LineShape({ name, points, size: [width, height], mood, pulse }: LineShapeProps) {
  if (points.length < 2) return null;
  const path = points.map(([x, y]) => `${x * width},${y * height}`).join(" ");
  const { x, y, nx, ny } = middle(points, width, height);
  const tip = (reach: number, side = 0): string =>
    `${x + nx * reach - ny * side},${y + ny * reach + nx * side}`;
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
      <text class="side" x={x + nx * -27} y={y + ny * -27}>
        A
      </text>
      <text class="side" x={x + nx * 33} y={y + ny * 33}>
        B
      </text>
      <text class="name" x={labelX} y={labelY}>
        {name}
      </text>
    </g>
  );
}

interface HandlesProps {
  name: string;
  points: Point[];
  size: Size;
  onMove: (index: number, point: Point) => void;
}

/** One handle per point: drag it, or focus it and use the arrow keys. */
function Handles({ name, points, size: [width, height], onMove }: HandlesProps) {
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
          aria-label={`Line ${name}, point ${index + 1} of ${points.length}, at ${Math.round(x * 100)} % from the left and ${Math.round(y * 100)} % from the top. Arrow keys move it.`}
          data-testid="line-handle"
          data-line={name}
          data-index={index}
          onPointerDown={(event) => {
            event.preventDefault();
            event.currentTarget.setPointerCapture(event.pointerId);
            event.currentTarget.focus();
          }}
          onPointerMove={(event) => drag(event, index)}
          onClick={(event) => event.stopPropagation()}
          onKeyDown={(event) => nudge(event, index)}
        />
      ))}
    </>
  );
}

function arrowKey(event: KeyboardEvent): Point | null {
  const step = event.shiftKey ? STEP * 5 : STEP;
  const moves: Record<string, Point> = {
    ArrowLeft: [-step, 0],
    ArrowRight: [step, 0],
    ArrowUp: [0, -step],
    ArrowDown: [0, step],
  };
  return moves[event.key] ?? null;
}

/** The number of the last crossing of each line, so that the line can light up when it counts. */
function usePulses(node: string, camera: string): Record<string, number> {
  const [pulses, setPulses] = useState<Record<string, number>>({});
  useEffect(
    () =>
      onFact((fact) => {
        if (fact.type !== "crossing" || fact.camera !== camera || fact.node !== node) return;
        const line = String(fact.line);
        setPulses((old) => ({ ...old, [line]: (old[line] ?? 0) + 1 }));
      }),
    [node, camera],
  );
  return pulses;
}

interface PictureProps {
  node: NodeEntry;
  camera: CameraEntry;
  lines: Record<string, Line>;
  /** The version that runs on the node: newer lines are drawn as waiting. */
  applied: number;
  editable: boolean;
  /** Whether the node gives pictures of this camera to who looks. */
  pictures: boolean;
  fresh: boolean;
  draft: Draft | null;
  onDraft: (draft: Draft | null) => void;
}

export function Picture({
  node,
  camera,
  lines,
  applied,
  editable,
  pictures,
  fresh,
  draft,
  onDraft,
}: PictureProps) {
  const frame = useRef<HTMLDivElement>(null);
  const overlay = useRef<SVGSVGElement>(null);
  const size = useSize(frame);
  const [live, setLive] = useState(false);
  const [cross, setCross] = useState<Point | null>(null);
  const pulses = usePulses(node.node, camera.camera);
  const [wide, high] = camera.size?.[0] ? camera.size : [16, 9];
  const placing = draft?.placing ?? false;

  useLayoutEffect(() => {
    if (placing) overlay.current?.focus({ preventScroll: true });
    else setCross(null);
  }, [placing]);

  const place = (point: Point) => {
    if (!draft || draft.points.length >= MAX_POINTS) return;
    const points = [...draft.points, tidy(point)];
    onDraft({ ...draft, points, placing: points.length < 2 });
  };
  const where = (event: MouseEvent): Point => {
    const box = overlay.current!.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Escape" && draft) return onDraft(null);
    if (!placing || event.target !== overlay.current) return;
    const move = arrowKey(event);
    const at = cross ?? [0.5, 0.5];
    if (move) setCross([clamp(at[0] + move[0]), clamp(at[1] + move[1])]);
    else if (event.key === " " || event.key === "Enter") place(at);
    else return;
    event.preventDefault();
  };
  const move = (name: string, index: number, point: Point) => {
    const line = lines[name];
    const base: Draft = draft ?? {
      name,
      original: name,
      points: line!.points,
      anchor: line!.anchor ?? "bottom",
      labels: line!.labels ?? [],
      placing: false,
    };
    onDraft({ ...base, points: base.points.map((old, i) => (i === index ? point : old)) });
  };
  // One list with the line's name as its key: a drag that starts a draft keeps its handle, and so the pointer.
  const grips = draft
    ? [{ key: draft.original ?? "", name: draft.name, points: draft.points }]
    : Object.entries(editable ? lines : {}).map(([name, line]) => ({ key: name, name, points: line.points }));
  const rubber = placing && cross ? [...draft!.points, cross] : (draft?.points ?? []);

  return (
    <div
      class={placing ? "picture placing" : "picture"}
      ref={frame}
      style={{ aspectRatio: `${wide} / ${high}` }}
      data-live={live}
      data-testid="picture"
    >
      <LiveView
        key={camera.camera}
        node={node.node}
        camera={camera.camera}
        pictures={pictures && fresh && camera.state === "ok"}
        onLive={setLive}
      />
      <svg
        ref={overlay}
        class="overlay"
        viewBox={`0 0 ${size[0] || 1} ${size[1] || 1}`}
        tabindex={placing ? 0 : -1}
        role={placing ? "application" : "group"}
        aria-label={
          placing
            ? "Draw on the picture. Arrow keys move the cross, space sets a point, Escape cancels."
            : `Counting lines of ${camera.camera}`
        }
        onClick={(event) => placing && place(where(event))}
        onPointerMove={(event) => placing && event.pointerType === "mouse" && setCross(where(event))}
        onKeyDown={keys}
      >
        {Object.entries(lines).map(([name, line]) =>
          name === draft?.original ? null : (
            <LineShape
              key={name}
              name={name}
              points={line.points}
              size={size}
              mood={draft ? "faint" : (line.version ?? 0) > applied ? "waiting" : "saved"}
              pulse={pulses[name] ?? 0}
            />
          ),
        )}
        {draft && <LineShape name={draft.name} points={rubber} size={size} mood="draft" />}
        {placing && cross && (
          <g class="cross">
            <path d={`M${cross[0] * size[0]} 0V${size[1]}M0 ${cross[1] * size[1]}H${size[0]}`} />
          </g>
        )}
        {grips.map(({ key, name, points }) => (
          <Handles key={key} name={name} points={points} size={size} onMove={(i, p) => move(name, i, p)} />
        ))}
      </svg>
      <Notice node={node} camera={camera} fresh={fresh} live={live} pictures={pictures} />
    </div>
  );
}

function Notice({
  node,
  camera,
  fresh,
  live,
  pictures,
}: {
  node: NodeEntry;
  camera: CameraEntry;
  fresh: boolean;
  live: boolean;
  pictures: boolean;
}) {
  const text =
    node.state !== "online"
      ? `The node is ${node.state}. Nothing live to show.`
      : !fresh
        ? "No connection to the centre."
        : camera.state !== "ok"
          ? `The camera is ${camera.state}${camera.reason ? `: ${camera.reason}` : "."}`
          : live
            ? ""
            : "Waiting for the first boxes…";
  if (!text) return pictures ? null : <p class="notice corner">No pictures leave this camera</p>;
  return (
    <p class="notice" role="status">
      {text}
    </p>
  );
}
