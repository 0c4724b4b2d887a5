// Small pieces that both pages show.
import { useCell } from "./cell";
import { breakdown, DIRECTIONS, type LineSum } from "./counts";
import { ago, count, span } from "./format";
import { angle } from "./geometry";
import { link, now, trouble } from "./session";
import type { Direction } from "./page-types";
import type { CameraEntry, Line, NodeEntry } from "./types";

/** Whether the numbers of a node may be read as current. */
export function isFresh(node: NodeEntry): boolean {
  return node.state === "online" && link.value.state !== "lost" && !trouble.value;
}

export function NodeBadge({ node }: { node: NodeEntry }) {
  const at = useCell(now);
  const lost = useCell(link).state === "lost";
  return (
    <span class="badge" data-state={lost ? "unknown" : node.state} data-testid="node-state">
      {lost && <span class="faint">was </span>}
      {node.state}
      {!lost && node.since != null && <span class="faint"> for {span(at - node.since)}</span>}
    </span>
  );
}

export function Age({ node }: { node: NodeEntry }) {
  const at = useCell(now);
  const seen = node.last_seen || node.since;
  return (
    <span class="age" data-testid="age" title="The age of the newest data of this node">
      {isFresh(node) || !seen ? ago(seen, at) : `${span(at - seen)} old`}
    </span>
  );
}

export function CameraBadge({ node, camera }: { node: NodeEntry; camera: CameraEntry }) {
  const known = isFresh(node);
  return (
    <span class="badge" data-state={known ? camera.state : "unknown"}>
      {!known && <span class="faint">was </span>}
      <span data-testid="camera-state" data-camera={camera.camera}>
        {camera.state}
      </span>
    </span>
  );
}

/** What ails a camera whose counts stand here, and since when. */
export function HealthBadges({ node, camera }: { node: NodeEntry; camera: CameraEntry }) {
  const at = useCell(now);
  if (!isFresh(node)) return null;
  return (
    <>
      {(camera.health ?? []).map(({ kind, since, text }) => (
        <span
          class="badge"
          data-state="ailing"
          data-testid="camera-health"
          data-kind={kind}
          title={text}
          key={kind}
        >
          {kind} <span class="faint">for {span(at - since)}</span>
        </span>
      ))}
    </>
  );
}

/** An arrow in the direction in which a crossing moves on the picture. */
export function Arrow({
  line,
  direction,
  size,
}: {
  line: Line;
  direction: Direction;
  size?: [number, number] | undefined;
}) {
  const [width, height] = size?.[0] ? size : [16, 9];
  const turn = angle(line.points, direction, width, height);
  return (
    <svg class="arrow" viewBox="-8 -8 16 16" aria-hidden="true" data-direction={direction}>
      <path transform={`rotate(${turn.toFixed(1)})`} d="M-6 0H5M1-4.5 5.5 0 1 4.5" />
    </svg>
  );
}

interface LineCountProps {
  sum: LineSum;
  direction: Direction;
  line?: Line | undefined;
  size?: [number, number] | undefined;
}

export function LineCount({ sum, direction, line, size }: LineCountProps) {
  const [from, to] = direction === "AB" ? ["A", "B"] : ["B", "A"];
  const value = sum[direction];
  const details = breakdown(sum.labels[direction]);
  const title = `${sum.line}, ${from} to ${to}, today: ${value}${details ? ` (${details})` : ""}`;
  return (
    <span class="line-count" title={title}>
      {line && <Arrow line={line} direction={direction} size={size} />}
      <span class="way" aria-hidden="true">
        {from}→{to}
      </span>
      <b
        data-testid="line-count"
        data-camera={sum.camera}
        data-line={sum.line}
        data-direction={direction}
        aria-label={title}
      >
        {count(value)}
      </b>
    </span>
  );
}

export function LineCounts({ sum, line, size }: Omit<LineCountProps, "direction">) {
  return (
    <span class="line-counts">
      {DIRECTIONS.map((direction) => (
        <LineCount key={direction} sum={sum} direction={direction} line={line} size={size} />
      ))}
    </span>
  );
}

export function Warnings({ items }: { items: readonly string[] }) {
  if (!items.length) return null;
  return (
    <ul class="warnings">
      {items.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}
