// Draws live boxes on a canvas over the picture: the box, its label and score, and a short trail of feet.
import type { LiveFrame, LiveRow } from "./page-types";

const PALETTE = ["#2dd4bf", "#fbbf24", "#60a5fa", "#f472b6", "#a78bfa", "#a3e635", "#fb923c", "#e2e8f0"];
const NAMED: Record<string, string> = { with_mask: "#34d399", without_mask: "#fb7185", unknown: "#cbd5e1" };
const TRAIL_MS = 1600;
const INK = "#0b1214";

export function colourOf(label: string, index: number): string {
  return NAMED[label] ?? PALETTE[index % PALETTE.length]!;
}

type Size = [number, number];
type Foot = { at: number; x: number; y: number };

/** Where each object's feet were in the last moments, by track. */
export class Trails {
  private feet = new Map<number, Foot[]>();

  add(frame: LiveFrame): void {
    for (const [track, x1, , x2, y2] of frame.rows) {
      const trail = this.feet.get(track) ?? [];
      trail.push({ at: frame.at, x: (x1 + x2) / 2, y: y2 });
      this.feet.set(track, trail);
    }
    for (const [track, trail] of this.feet) {
      const kept = trail.filter((foot) => frame.at - foot.at < TRAIL_MS && foot.at <= frame.at);
      if (kept.length) this.feet.set(track, kept);
      else this.feet.delete(track);
    }
  }

  of(track: number): readonly Foot[] {
    return this.feet.get(track) ?? [];
  }

  clear(): void {
    this.feet.clear();
  }
}

function drawTrail(
  pen: CanvasRenderingContext2D,
  feet: readonly Foot[],
  width: number,
  height: number,
): void {
  for (let i = 1; i < feet.length; i++) {
    pen.globalAlpha = 0.7 * (i / feet.length);
    pen.beginPath();
    pen.moveTo(feet[i - 1]!.x * width, feet[i - 1]!.y * height);
    pen.lineTo(feet[i]!.x * width, feet[i]!.y * height);
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

type Chip = { x: number; y: number; width: number };
const CHIP_HIGH = 16;

/** The place of a box's label: above it, inside the picture; null if another label is there already. */
function placeChip(left: number, top: number, width: number, room: Size, taken: Chip[]): Chip | null {
  const x = Math.min(Math.max(0, left - 1), Math.max(0, room[0] - width));
  const y = top >= CHIP_HIGH + 1 ? top - CHIP_HIGH - 1 : Math.min(top, room[1] - CHIP_HIGH);
  const hidden = taken.some(
    (other) => x < other.x + other.width && other.x < x + width && Math.abs(y - other.y) < CHIP_HIGH,
  );
  return hidden ? null : { x, y, width };
}

function drawBox(pen: CanvasRenderingContext2D, [, x1, y1, x2, y2]: LiveRow, room: Size): void {
  pen.strokeRect(x1 * room[0], y1 * room[1], (x2 - x1) * room[0], (y2 - y1) * room[1]);
}

function drawChip(
  pen: CanvasRenderingContext2D,
  [, x1, y1]: LiveRow,
  text: string,
  room: Size,
  taken: Chip[],
): void {
  const chip = placeChip(x1 * room[0], y1 * room[1], pen.measureText(text).width + 8, room, taken);
  if (!chip) return;
  taken.push(chip);
  pen.fillRect(chip.x, chip.y, chip.width, CHIP_HIGH);
  pen.fillStyle = INK;
  pen.fillText(text, chip.x + 4, chip.y + CHIP_HIGH / 2 + 0.5);
}

export function drawFrame(canvas: HTMLCanvasElement, frame: LiveFrame | null, trails: Trails): void {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
  }
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!frame) return;
  pen.font = `600 11px ${getComputedStyle(canvas).fontFamily}`;
  pen.textBaseline = "middle";
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  const room: Size = [width, height];
  const taken: Chip[] = [];
  const nearestFirst = [...frame.rows].sort((a, b) => b[4] - a[4]);
  const labelOf = (row: LiveRow): string => frame.labels[row[5]] ?? `class ${row[5]}`;
  for (const row of nearestFirst) {
    pen.strokeStyle = colourOf(labelOf(row), row[5]);
    drawTrail(pen, trails.of(row[0]), width, height);
    drawBox(pen, row, room);
  }
  for (const row of nearestFirst) {
    pen.fillStyle = colourOf(labelOf(row), row[5]);
    drawChip(pen, row, `${labelOf(row)} ${row[6]}`, room, taken);
  }
}
