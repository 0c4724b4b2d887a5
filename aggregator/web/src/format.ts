// Numbers and times as people read them.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const grouped = new Intl.NumberFormat("en-GB");

export const NONE = "–";

export function count(value: number): string {
  return grouped.format(value);
}

export function percent(value: number | null | undefined): string {
  return value == null ? NONE : `${Math.round(value)} %`;
}

export function rate(value: number | null | undefined): string {
  return value == null ? NONE : value.toFixed(1);
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return NONE;
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} GB`;
  if (value >= 1e6) return `${Math.round(value / 1e6)} MB`;
  return `${Math.round(value / 1e3)} kB`;
}

/** 4 s, 12 min, 3 h, 5 d: one number, the unit that fits. */
export function span(ms: number): string {
  const length = Math.max(0, ms);
  if (length < MINUTE) return `${Math.floor(length / SECOND)} s`;
  if (length < HOUR) return `${Math.floor(length / MINUTE)} min`;
  if (length < 2 * DAY) return `${Math.floor(length / HOUR)} h`;
  return `${Math.floor(length / DAY)} d`;
}

/** Seconds that were measured: 1.4 s, else as a span. */
export function seconds(value: number): string {
  return value < 9.95 ? `${value.toFixed(1)} s` : span(Math.round(value) * SECOND);
}

export function ago(at: number | null | undefined, now: number): string {
  if (!at) return "never";
  return now - at < 2 * SECOND ? "just now" : `${span(now - at)} ago`;
}

export function share(part: number, whole: number): string {
  return whole > 0 ? `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)} %` : NONE;
}

/** Wall times in the site's zone, so that everyone who looks reads the same clock. */
export class Clock {
  private readonly times: Intl.DateTimeFormat;
  private readonly short: Intl.DateTimeFormat;
  private readonly dates: Intl.DateTimeFormat;
  private readonly years: Intl.DateTimeFormat;

  constructor(timeZone?: string) {
    const zone = timeZone ? { timeZone } : {};
    this.times = new Intl.DateTimeFormat("en-GB", {
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      ...zone,
    });
    this.short = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", ...zone });
    this.years = new Intl.DateTimeFormat("en-GB", { year: "numeric", ...zone });
    this.dates = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", ...zone });
  }

  time(at: number): string {
    return this.times.format(at);
  }

  minute(at: number): string {
    return this.short.format(at);
  }

  date(at: number): string {
    return this.dates.format(at);
  }

  year(at: number): string {
    return this.years.format(at);
  }
}
