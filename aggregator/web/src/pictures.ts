// Pictures of a camera, one after the other, out of a multipart stream. Read with fetch instead of <img>:
// that shows each picture as soon as it is here (an <img> waits for the next one's head), and notices the end.

const MOST_HEAD = 4096;
const MOST_BODY = 4_000_000;
const SILENCE_MS = 10_000;
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 5_000;

/** Cuts a multipart stream into its bodies by their Content-Length; throws on what is no such stream. */
export class PartParser {
  private rest = new Uint8Array(0);

  feed(chunk: Uint8Array): Uint8Array<ArrayBuffer>[] {
    const joined = new Uint8Array(this.rest.length + chunk.length);
    joined.set(this.rest);
    joined.set(chunk, this.rest.length);
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    let from = 0;
    for (;;) {
      const body = bodyAt(joined, from);
      if (!body || body.end > joined.length) break;
      bodies.push(joined.slice(body.start, body.end));
      from = body.end;
    }
    this.rest = joined.slice(from);
    return bodies;
  }
}

/** Where the next body starts and ends, or null while its head is not complete. */
function bodyAt(bytes: Uint8Array, from: number): { start: number; end: number } | null {
  const limit = Math.min(bytes.length, from + MOST_HEAD);
  for (let i = from; i + 3 < limit; i++) {
    if (bytes[i] !== 13 || bytes[i + 1] !== 10 || bytes[i + 2] !== 13 || bytes[i + 3] !== 10) continue;
    const head = new TextDecoder("latin1").decode(bytes.subarray(from, i));
    const length = Number(/content-length:\s*(\d+)/i.exec(head)?.[1] ?? NaN);
    if (!(length <= MOST_BODY)) throw new Error("a part without a sensible length");
    return { start: i + 4, end: i + 4 + length };
  }
  if (bytes.length - from >= MOST_HEAD) throw new Error("a part without a head");
  return null;
}

/** Gives each picture to `show` until it is closed; comes back by itself after a break. */
export class PictureStream {
  private closed = false;
  private abort = new AbortController();
  private timer: number | undefined;
  private failures = 0;
  private decoding = false;

  constructor(
    private url: string,
    private show: (picture: ImageBitmap) => void,
  ) {
    void this.run();
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.abort.abort();
  }

  private async run(): Promise<void> {
    this.abort = new AbortController();
    try {
      await this.read(this.abort);
    } catch {
      // Cut off, silent or garbled: all the same, it is tried again.
    }
    if (this.closed) return;
    const wait = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures++);
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.run(), wait);
  }

  private async read(abort: AbortController): Promise<void> {
    const listen = () => {
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => abort.abort(), SILENCE_MS);
    };
    listen();
    const response = await fetch(this.url, { signal: abort.signal, cache: "no-store" });
    if (!response.ok || !response.body) return;
    const parser = new PartParser();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const newest = parser.feed(value).pop();
      if (!newest) continue;
      listen();
      this.failures = 0;
      void this.decode(newest);
    }
  }

  private async decode(jpeg: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.decoding) return;
    this.decoding = true;
    try {
      const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      if (!this.closed) this.show(picture);
      picture.close();
    } catch {
      // One garbled picture; the next one comes soon.
    } finally {
      this.decoding = false;
    }
  }
}
