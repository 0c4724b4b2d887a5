// Server-sent events, read with fetch instead of EventSource: that shows the server's pings (so a dead
// connection is noticed), the status of a refusal, and lets us come back in half a second.
//
// What always holds: one connection at a time; after a break it resumes from the last id it saw; a page
// that nobody looks at closes it, and opens it again when somebody does.

/** `heard` is kept up to date in place; the handler is called when `state` changes. */
export type Link = { state: "opening" | "live" | "lost"; since: number; heard: number };

export interface Handlers {
  event(name: string, data: string): void;
  link(link: Link): void;
  /** Connected again after a break: what came meanwhile and has no id was missed. */
  back(): void;
  refused(status: number): void;
}

const SILENCE_MS = 40_000; // the server pings every 15 s
const HIDDEN_MS = 30_000;
const FIRST_WAIT_MS = 400;
const LAST_WAIT_MS = 4_000;

/** Splits a text stream into events: feed it chunks, it calls back for each whole event. */
export class EventParser {
  private rest = "";
  private name = "";
  private data: string[] = [];
  lastId = "";

  constructor(private emit: (name: string, data: string) => void) {}

  feed(chunk: string): void {
    const lines = (this.rest + chunk).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  private line(line: string): void {
    if (line === "") return this.finish();
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    else if (field === "data") this.data.push(value);
    else if (field === "id") this.lastId = value;
  }

  private finish(): void {
    if (this.data.length) this.emit(this.name || "message", this.data.join("\n"));
    this.name = "";
    this.data = [];
  }
}

export class Stream {
  private closed = false;
  private again = false;
  private attempt = 0;
  private lastId = "";
  private abort: AbortController | undefined;
  private retry: number | undefined;
  private silence: number | undefined;
  private hiding: number | undefined;
  private current: Link = { state: "opening", since: Date.now(), heard: Date.now() };

  constructor(
    private url: string,
    private handlers: Handlers,
  ) {
    document.addEventListener("visibilitychange", this.looked);
    window.addEventListener("online", this.hurry);
    handlers.link(this.current);
    void this.connect();
  }

  close(): void {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.looked);
    window.removeEventListener("online", this.hurry);
    window.clearTimeout(this.hiding);
    this.drop();
  }

  private drop(): void {
    window.clearTimeout(this.retry);
    window.clearTimeout(this.silence);
    this.abort?.abort();
    this.abort = undefined;
  }

  private report(state: Link["state"]): void {
    const now = Date.now();
    if (state === "live") this.current.heard = now;
    if (state === this.current.state) return;
    this.current = { state, since: now, heard: this.current.heard };
    this.handlers.link(this.current);
  }

  private looked = (): void => {
    window.clearTimeout(this.hiding);
    if (document.hidden) this.hiding = window.setTimeout(() => this.drop(), HIDDEN_MS);
    else this.hurry();
  };

  private hurry = (): void => {
    if (this.closed || (this.abort && this.current.state === "live")) return;
    this.attempt = 0;
    this.drop();
    void this.connect();
  };

  private listenForSilence(abort: AbortController): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => abort.abort(), SILENCE_MS);
  }

  private async connect(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    this.listenForSilence(abort);
    try {
      await this.read(abort);
    } catch {
      // Whatever broke the connection, the answer is the same: say so and come back.
    }
    if (this.closed || this.abort !== abort) return;
    this.report("lost");
    this.again = true;
    const wait = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 1.7 ** this.attempt++) * (0.7 + Math.random() * 0.6);
    this.retry = window.setTimeout(() => void this.connect(), wait);
  }

  private async read(abort: AbortController): Promise<void> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    const response = await fetch(this.url, { headers, signal: abort.signal, cache: "no-store" });
    if (!response.ok || !response.body) {
      if (!this.closed) this.handlers.refused(response.status);
      return;
    }
    this.attempt = 0;
    this.report("live");
    if (this.again) this.handlers.back();
    this.again = true;
    const parser = new EventParser((name, data) => this.handlers.event(name, data));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) return;
      this.listenForSilence(abort);
      parser.feed(value);
      this.lastId = parser.lastId || this.lastId;
      this.report("live");
    }
  }
}
