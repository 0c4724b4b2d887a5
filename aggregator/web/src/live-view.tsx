// What is live in the picture: the camera's pictures, where there are any, and the boxes over them.
//
// Boxes come as often as the node looks, pictures less often. While pictures come, boxes wait for the next
// one, so that both show the same moment.
import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "./api";
import { drawFrame, Trails } from "./boxes";
import { useCell } from "./cell";
import { PictureStream } from "./pictures";
import { onFrame, returns } from "./session";
import type { LiveFrame } from "./page-types";

const STALE_FRAME_MS = 1500;
const PICTURE_DUE_MS = 600;

function useVisible(): boolean {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return visible;
}

/** The boxes of one camera: the newest frame, and when to draw it. */
class Boxes {
  private trails = new Trails();
  private frame: LiveFrame | null = null;
  private timer: number | undefined;
  private pictureDue = 0;

  constructor(
    private canvas: HTMLCanvasElement,
    private onLive: (live: boolean) => void,
  ) {}

  take(frame: LiveFrame): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.stop(), STALE_FRAME_MS);
    this.frame = frame;
    this.trails.add(frame);
    if (performance.now() > this.pictureDue) this.draw();
  }

  pictureShown(): void {
    this.pictureDue = performance.now() + PICTURE_DUE_MS;
    this.draw();
  }

  stop(): void {
    window.clearTimeout(this.timer);
    this.trails.clear();
    this.frame = null;
    drawFrame(this.canvas, null, this.trails);
    this.onLive(false);
  }

  private draw(): void {
    if (!this.frame) return;
    drawFrame(this.canvas, this.frame, this.trails);
    this.canvas.dataset.boxes = String(this.frame.rows.length);
    this.onLive(true);
  }
}

function drawPicture(canvas: HTMLCanvasElement, picture: ImageBitmap): void {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
}

interface LiveViewProps {
  node: string;
  camera: string;
  /** Whether to show pictures; else a blank plane. */
  pictures: boolean;
  onLive: (live: boolean) => void;
}

export function LiveView({ node, camera, pictures, onLive }: LiveViewProps) {
  const picture = useRef<HTMLCanvasElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const boxes = useRef<Boxes>(null);
  const visible = useVisible();
  const turn = useCell(returns);
  const [shown, setShown] = useState(false);

  useEffect(() => {
    const made = new Boxes(canvas.current!, onLive);
    boxes.current = made;
    const unsubscribe = onFrame((frame) => {
      if (frame.node === node && frame.camera === camera) made.take(frame);
    });
    return () => {
      unsubscribe();
      made.stop();
    };
  }, [node, camera]);

  useEffect(() => {
    if (!pictures || !visible) return;
    const stream = new PictureStream(api.preview(node, camera), (bitmap) => {
      if (!picture.current) return;
      drawPicture(picture.current, bitmap);
      setShown(true);
      boxes.current?.pictureShown();
    });
    return () => {
      stream.close();
      setShown(false);
    };
  }, [node, camera, pictures, visible, turn]);

  return (
    <>
      <div class={shown ? "plane hidden" : "plane"} />
      <canvas
        ref={picture}
        class={shown ? "preview" : "preview hidden"}
        role="img"
        aria-label={`Live picture of camera ${camera}`}
        data-testid="preview"
      />
      <canvas ref={canvas} class="boxes" aria-hidden="true" data-testid="boxes" />
    </>
  );
}
