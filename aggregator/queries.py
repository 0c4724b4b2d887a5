"""What the API answers to questions about the past: counts, tallies, events and samples by time."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import msgspec

from agent import wire
from aggregator import answers, calendar, documents
from aggregator.counts import HOUR, MINUTE, REACH, Increment, increments
from aggregator.ingest import Fact
from aggregator.store import Store

LONGEST = {"minute": 8 * 24 * HOUR, "hour": 100 * 24 * HOUR, "day": 800 * 24 * HOUR}
ALL_KINDS = tuple(kind for kind in wire.EVENT_NAMES if kind is not wire.Resources)


class Window(msgspec.Struct, frozen=True):
    """A span of time in buckets: [since, until)."""

    since: int
    until: int
    bucket: str
    zone: ZoneInfo

    def start(self, at: int) -> int:
        """Return the start of the bucket that a moment lies in."""
        return calendar.bucket_start(at, self.bucket, self.zone)

    @property
    def slot(self) -> int:
        """How finely tallies are summed in the store: every zone's hours start at a quarter."""
        return MINUTE if self.bucket == "minute" else 15 * MINUTE

    def whole_hours(self) -> bool:
        """True if the zone's hours are those of UTC at both edges."""
        return all(self.start(edge // HOUR * HOUR) % HOUR == 0 for edge in (self.since, self.until))

    def whole(self, hour: int) -> bool:
        """True if an hour (of UTC) lies in one bucket and no edge cuts it."""
        last = hour + HOUR - 1
        cut = hour < self.since <= last or hour < self.until <= last
        return not cut and self.start(hour) == self.start(last)

    def holds(self, at: int) -> bool:
        """True if a moment lies inside."""
        return self.since <= at < self.until


async def _increments(store: Store, node: str, window: Window) -> list[Increment]:
    """Return what was counted inside the window; hours that no edge cuts are read folded."""
    since, until = window.since - REACH - HOUR, window.until
    if window.bucket == "minute" or not window.whole_hours():
        rows = await store.archive.hours(node, since, until)
    else:
        first, last = -(-window.since // HOUR) * HOUR, window.until // HOUR * HOUR
        rows = await store.archive.whole_hours(node, since, first - HOUR)
        rows += await store.archive.hours(node, first - HOUR, first)
        rows += await store.archive.whole_hours(node, first, last)
        rows += await store.archive.hours(node, max(first, last), until)
    return [step for step in increments(rows, window.whole) if window.holds(step.minute)]


async def counts(store: Store, node: str, camera: str, line: str, window: Window) -> list[answers.CountRow]:
    """Count by bucket and row; an empty `camera` or `line` means all."""
    counted: dict[tuple[int, str, str, int, str, str], int] = {}
    for step in await _increments(store, node, window):
        row = step.row
        if row.line and camera in ("", row.camera) and line in ("", row.line):
            key = (window.start(step.minute), *row)
            counted[key] = counted.get(key, 0) + step.amount
    seen: dict[tuple[int, str], list[float]] = {}
    for slot in await store.archive.slots(node, camera, window.since, window.until, window.slot):
        times = seen.setdefault((window.start(slot["s"]), slot["c"]), [0.0, 0.0])
        times[0] += slot["w"] / 1000
        times[1] += sum(slot["x"].values()) / 1000
    return [
        answers.CountRow(*key, count, *seen.get(key[:2], (0.0, 0.0)))
        for key, count in sorted(counted.items())
    ]


async def tallies(store: Store, node: str, camera: str, window: Window) -> list[answers.TallyRow]:
    """Sum tallies by bucket and camera; latencies are the worst minute's."""
    rows: dict[tuple[int, str], answers.TallyRow] = {}
    for slot in await store.archive.slots(node, camera, window.since, window.until, window.slot):
        key = (window.start(slot["s"]), slot["c"])
        row = rows.setdefault(key, answers.TallyRow(*key, 0.0, {}, {}, 0, 0, 0, 0, 0))
        row.watched_seconds += slot["w"] / 1000
        for reason, blind in slot["x"].items():
            row.blind[reason] = row.blind.get(reason, 0.0) + blind / 1000
        row.captured += slot["f"]
        row.inferred += slot["g"]
        row.dropped += slot["h"]
        row.p50_ms = max(row.p50_ms, slot["p"])
        row.p95_ms = max(row.p95_ms, slot["u"])
    for step in await _increments(store, node, window):
        found = rows.get((window.start(step.minute), step.row.camera))
        if found is not None and not step.row.line:
            label = step.row.label
            found.objects[label] = found.objects.get(label, 0) + step.amount
    return [rows[key] for key in sorted(rows)]


async def resources(store: Store, node: str, since: int, until: int, limit: int) -> list[dict[str, object]]:
    """Return the newest samples in [since, until), oldest first."""
    found = []
    for row in await store.archive.resources(node, since, until, limit):
        found += [wire.event_dict(e) for _, e in documents.decode_samples(row) if since <= e.at < until]
    found.sort(key=lambda sample: sample["at"])
    return found[-limit:]


async def events(
    store: Store, node: str, kinds: Sequence[type], since: int, until: int, limit: int
) -> list[dict[str, object]]:
    """Return a node's events in [since, until), newest first."""
    found = [
        documents.fact(node, *documents.decode(row))
        for row in await store.archive.newest(node, kinds, since, until, limit)
    ]
    if wire.Resources in kinds:
        for row in await store.archive.resources(node, since, until, limit):
            found += [
                documents.fact(node, id_, sample)
                for id_, sample in documents.decode_samples(row)
                if since <= sample.at < until
            ]
        found.sort(key=lambda fact: (fact["at"], fact["id"]), reverse=True)
    return found[:limit]


async def events_after(store: Store, id_: str, kinds: Iterable[type], node: str, limit: int) -> list[Fact]:
    """Return what was stored after an event, in that order."""
    rows = await store.archive.after(id_, kinds, node, limit)
    return [Fact(row["n"], *documents.decode(row)) for row in rows]


def to_csv(kind: type[msgspec.Struct], rows: Iterable[msgspec.Struct]) -> str:
    """Return rows as CSV with a header line (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(field.encode_name for field in msgspec.structs.fields(kind))
    for row in rows:
        writer.writerow(_harmless(value) for value in msgspec.structs.astuple(row))
    return text.getvalue()


def _harmless(value: object) -> object:
    """Keep a spreadsheet from taking a name for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
