// Calendar days, written as 2026-06-01, and the buckets that fit between two of them.
import type { Bucket } from "./page-types";

const DAY = 86_400_000;

/** The day that is `after` days after a day written as 2026-06-01. */
export function dayAfter(day: string, after: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + after * DAY).toISOString().slice(0, 10);
}

/** A bucket that makes a readable number of rows of so many days. */
export function fitting(from: string, to: string): Bucket {
  const days = (Date.parse(to) - Date.parse(from)) / DAY;
  if (days <= 2) return "hour";
  if (days <= 62) return "day";
  return days <= 400 ? "week" : "month";
}
