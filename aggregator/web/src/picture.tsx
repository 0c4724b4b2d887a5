// The camera's picture, or a blank plane; live boxes over it; lines, zones and the road to see, draw and drag.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { closing, draftOf, draftOfPlane, inHand, withPoint, type Draft } from "./draft";
import { clamp, contains, tidy } from "./geometry";
import { LiveView } from "./live-view";
import { onFact, onFrame } from "./session";
import { arrowKey, Handles, LineShape, PlaneShape, ZoneShape, type Mood, type Size } from "./shapes";
import type { LiveFrame, Point } from "./page-types";
import type { CameraEntry, CameraSettings, NodeEntry, Zone } from "./types";

/** So near to its first point, in pixels, a click closes a zone. */
const CLOSE_PX = 14;
const FORGET_MS = 1500;

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

/** How many of a frame's objects are in each zone, by their anchors. */
function countInside(frame: LiveFrame, zones: Record<string, Zone>): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, zone] of Object.entries(zones)) {
    const wanted = (kind: number) => !zone.labels?.length || zone.labels.includes(frame.labels[kind] ?? "");
    found[name] = frame.rows.filter(([, x1, y1, x2, y2, kind]) => {
      const spot: Point = [(x1 + x2) / 2, zone.anchor === "center" ? (y1 + y2) / 2 : y2];
      return wanted(kind) && contains(zone.points, spot);
    }).length;
  }
  return found;
}

/** How many objects are in each zone at this moment; nothing when no boxes come. */
function useInside(node: string, camera: string, zones: Record<string, Zone>): Record<string, number> {
  const [inside, setInside] = useState<Record<string, number>>({});
  useEffect(() => {
    let timer: number | undefined;
    const stop = onFrame((frame) => {
      if (frame.node !== node || frame.camera !== camera) return;
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setInside({}), FORGET_MS);
      const next = countInside(frame, zones);
      setInside((old) => (JSON.stringify(old) === JSON.stringify(next) ? old : next));
    });
    return () => {
      stop();
      window.clearTimeout(timer);
      setInside({});
    };
  }, [node, camera, zones]);
  return inside;
}

interface PictureProps {
  node: NodeEntry;
  camera: CameraEntry;
  settings: CameraSettings;
  /** The version that runs on the node: what is newer is drawn as waiting. */
  applied: number;
  editable: boolean;
  /** Whether the node gives pictures of this camera to who looks. */
  pictures: boolean;
  fresh: boolean;
  draft: Draft | null;
  onDraft: (draft: Draft | null) => void;
}

const NO_ZONES: Record<string, Zone> = {};

export function Picture(props: PictureProps) {
  const { node, camera, settings, applied, editable, pictures, fresh, draft, onDraft } = props;
  const { lines = {}, zones = NO_ZONES, plane } = settings;
  const frame = useRef<HTMLDivElement>(null);
  const overlay = useRef<SVGSVGElement>(null);
  const size = useSize(frame);
  const [live, setLive] = useState(false);
  const [cross, setCross] = useState<Point | null>(null);
  const pulses = usePulses(node.node, camera.camera);
  const inside = useInside(node.node, camera.camera, zones);
  const [wide, high] = camera.size?.[0] ? camera.size : [16, 9];
  const placing = draft?.placing ?? false;

  useLayoutEffect(() => {
    if (placing) overlay.current?.focus({ preventScroll: true });
    else setCross(null);
  }, [placing]);

  const place = (point: Point) => {
    if (!draft) return;
    const first = closing(draft);
    const near =
      first && Math.hypot((first[0] - point[0]) * size[0], (first[1] - point[1]) * size[1]) < CLOSE_PX;
    onDraft(near ? { ...draft, placing: false } : withPoint(draft, tidy(point)));
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
    else if (event.key === "Enter" && closing(draft!)) onDraft({ ...draft!, placing: false });
    else if (event.key === " " || event.key === "Enter") place(at);
    else return;
    event.preventDefault();
  };
  const move = (name: string, index: number, point: Point) => {
    const base: Draft = draft ?? draftOf("line", name, lines[name]!);
    onDraft({ ...base, points: base.points.map((old, i) => (i === index ? point : old)) });
  };
  // One list with the line's name as its key: a drag that starts a draft keeps its handle, and so the pointer.
  const grips = draft
    ? [{ key: draft.original ?? "", kind: draft.kind, name: draft.name, points: draft.points }]
    : Object.entries(editable ? lines : {}).map(([name, line]) => ({
        key: name,
        kind: "line" as const,
        name,
        points: line.points,
      }));
  const rubber = placing && cross ? [...draft!.points, cross] : (draft?.points ?? []);
  const moodOf = (version: number | undefined): Mood =>
    draft ? "faint" : (version ?? 0) > applied ? "waiting" : "saved";

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
            : `Lines and zones of ${camera.camera}`
        }
        onClick={(event) => placing && place(where(event))}
        onPointerMove={(event) => placing && event.pointerType === "mouse" && setCross(where(event))}
        onKeyDown={keys}
      >
        {plane && draft?.kind !== "plane" && (
          <PlaneShape {...draftOfPlane(plane)} size={size} mood={draft ? "faint" : "saved"} />
        )}
        {Object.entries(zones).map(([name, zone]) =>
          inHand(draft, "zone", name) ? null : (
            <ZoneShape
              key={name}
              name={name}
              points={zone.points}
              size={size}
              mood={moodOf(zone.version)}
              inside={inside[name]}
            />
          ),
        )}
        {Object.entries(lines).map(([name, line]) =>
          inHand(draft, "line", name) ? null : (
            <LineShape
              key={name}
              name={name}
              points={line.points}
              size={size}
              mood={moodOf(line.version)}
              pulse={pulses[name] ?? 0}
            />
          ),
        )}
        {draft && <DraftShape draft={draft} points={rubber} size={size} />}
        {placing && cross && (
          <g class="cross">
            <path d={`M${cross[0] * size[0]} 0V${size[1]}M0 ${cross[1] * size[1]}H${size[0]}`} />
          </g>
        )}
        {grips.map(({ key, ...grip }) => (
          <Handles
            key={key}
            {...grip}
            size={size}
            onMove={(i, p) => move(grip.name, i, p)}
            onPick={(i) => i === 0 && draft && closing(draft) && onDraft({ ...draft, placing: false })}
          />
        ))}
      </svg>
      <Notice node={node} camera={camera} fresh={fresh} live={live} pictures={pictures} />
    </div>
  );
}

function DraftShape({ draft, points, size }: { draft: Draft; points: Point[]; size: Size }) {
  if (draft.kind === "line") return <LineShape name={draft.name} points={points} size={size} mood="draft" />;
  if (draft.kind === "zone") return <ZoneShape name={draft.name} points={points} size={size} mood="draft" />;
  const { width, length } = draft;
  return <PlaneShape points={points} size={size} mood="draft" width={width} length={length} />;
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
            : "Waiting for the first detections…";
  if (!text) return pictures ? null : <p class="notice corner">This camera sends no pictures</p>;
  return (
    <p class="notice" role="status">
      {text}
    </p>
  );
}
