"""Counts out of running totals: idempotent, free of order, right over lost events and restarts.

For each row (node, epoch, camera, line, version, direction, label) and minute the store keeps the smallest
total before and the largest total after it. Crossings and tallies only ever lower the one and raise the
other, so nothing that comes twice, late or in any order changes the result:

    crossing, total 7, at 10:03     10:03 -> start <= 6, end >= 7
    tally of 10:03, total 7         10:03 -> start <= 7, end >= 7

Within an epoch a total only grows. Minutes are therefore read in the order of their totals, and each counts
what it adds to the largest total before it: a lost crossing shows as a gap and is counted with the next that
is known. An epoch goes on where the one before it ended, if its totals do (a wiped node begins again at 0).

Several kinds of row share this, told apart by `Row.kind`:

    line      crossings: the line, its version, AB or BA
    zone      the zone in the place of the line, its version, "in" or "out"
    trip      the first gate in the place of the line, the last one as the direction: "to main:AB"
    object    objects per label: `line` is empty
    (none)    the mark that a tally came at all, line and label empty: it tells a row that is absent (total 0)
              from one that is unknown
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from agent import wire

MINUTE = 60_000
HOUR = 3_600_000
_TO = "to "
REACH = 25 * HOUR  # how far back the total before a window is looked for


WITH_TOTALS = (wire.Crossing, wire.Tally)  # the events that carry running totals


class Key(NamedTuple):
    """One document: a row's hour."""

    node: str
    epoch: int
    camera: str
    line: str
    version: int
    direction: str
    label: str
    hour: int  # Unix ms


class Row(NamedTuple):
    """What is counted, over all epochs."""

    camera: str
    line: str
    version: int
    direction: str
    label: str

    @property
    def kind(self) -> str:
        """What it is a row of: "line", "zone", "trip" or "object"."""
        if not self.line:
            return "object"
        return {"AB": "line", "BA": "line", "in": "zone", "out": "zone"}.get(self.direction, "trip")

    @property
    def destination(self) -> str:
        """The last gate of a trip; its first one is `line`."""
        return self.direction.removeprefix(_TO)


class Increment(NamedTuple):
    """How often a row was counted in a minute."""

    row: Row
    minute: int  # Unix ms of its start
    amount: int


class _Span(NamedTuple):
    end: int
    minute: int
    start: int


class Bounds(NamedTuple):
    """One document of a group: what it raises and lowers. `starts`, `ends`: minute of the hour -> total."""

    key: Key
    id: bytes
    starts: dict[str, int]
    ends: dict[str, int]
    stored_at: datetime

    def document(self) -> dict[str, Any]:
        """Return it as a document that was not there before."""
        return {"_id": self.id, **self._fixed(), "s": self.starts, "e": self.ends}

    def update(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (filter, update) that widen the document, or make it."""
        return (
            {"_id": self.id, "n": self.key.node},
            {
                "$setOnInsert": self._fixed(),
                "$min": {f"s.{minute}": start for minute, start in self.starts.items()},
                "$max": {f"e.{minute}": end for minute, end in self.ends.items()},
            },
        )

    def _fixed(self) -> dict[str, Any]:
        key = self.key
        return {
            "n": key.node, "h": key.hour, "y": key.epoch, "c": key.camera, "i": key.line,
            "r": key.version, "d": key.direction, "l": key.label, "stored_at": self.stored_at,
        }  # fmt: skip


class Marks:
    """The bounds of a group of events, folded before they are written."""

    def __init__(self) -> None:
        self.hours: dict[Key, dict[int, list[int]]] = {}

    def add(self, node: str, epoch: int, event: wire.AnyEvent) -> None:
        """Take one event; those that carry no totals change nothing."""
        if isinstance(event, wire.Crossing):
            row = Row(event.camera, event.line, event.version, event.direction, event.label)
            self._bound(node, epoch, row, event.at, max(0, event.total - 1), event.total)
        elif isinstance(event, wire.Tally):
            self._bound(node, epoch, Row(event.camera, "", 0, "", ""), event.at, 0, 0)
            for row, total in _totals(event):
                self._bound(node, epoch, row, event.at, total, total)

    def _bound(self, node: str, epoch: int, row: Row, at: int, start: int, end: int) -> None:
        hour = at // HOUR * HOUR
        minutes = self.hours.setdefault(Key(node, epoch, *row, hour), {})
        bounds = minutes.setdefault((at - hour) // MINUTE, [start, end])
        bounds[0] = min(bounds[0], start)
        bounds[1] = max(bounds[1], end)

    def parts(self, most: int) -> Iterator[Marks]:
        """Split into groups of at most so many documents."""
        keys = list(self.hours)
        for first in range(0, len(keys), most):
            part = Marks()
            part.hours = {key: self.hours[key] for key in keys[first : first + most]}
            yield part

    def bounds(self, stored_at: datetime) -> Iterator[Bounds]:
        """Return each document."""
        for key, minutes in self.hours.items():
            starts = {str(minute): start for minute, (start, _) in minutes.items()}
            ends = {str(minute): end for minute, (_, end) in minutes.items()}
            yield Bounds(key, digest(key), starts, ends, stored_at)


def _totals(tally: wire.Tally) -> Iterator[tuple[Row, int]]:
    """Return every running total that a tally tells."""
    camera = tally.camera
    for line in tally.totals:
        yield Row(camera, line.line, line.version, line.direction, line.label), line.total
    for label, count in tally.objects.items():
        yield Row(camera, "", 0, "", label), count
    for zone in tally.zones:
        yield Row(camera, zone.zone, zone.version, "in", zone.label), zone.entered
        yield Row(camera, zone.zone, zone.version, "out", zone.label), zone.left
    for trip in tally.trips:
        yield Row(camera, trip.origin, 0, _TO + trip.destination, trip.label), trip.total


def digest(key: Key) -> bytes:
    """Return the id of a document of bounds."""
    return hashlib.blake2b(msgspec.msgpack.encode(key), digest_size=12).digest()


def of_kind(kind: str, camera: str = "") -> dict[str, Any]:
    """Return the query for the documents of one kind of row, and for the marks that reading them needs."""
    kinds: dict[str, dict[str, Any]] = {
        "line": {"d": {"$in": ["AB", "BA"]}},
        "zone": {"d": {"$in": ["in", "out"]}},
        "trip": {"d": {"$regex": f"^{_TO}"}},
        "object": {"i": ""},
    }
    query: dict[str, Any] = {"$or": [kinds[kind], {"i": "", "l": ""}]}
    return {**query, "c": camera} if camera else query


def increments(
    documents: Iterable[Mapping[str, Any]], whole: Callable[[int], bool] = lambda hour: False
) -> Iterator[Increment]:
    """Return what each minute counted, from the documents of one node (any order).

    An hour that is `whole` for the caller is one step, at its first minute: sixty times less to do.
    """
    spans: dict[Row, dict[int, list[_Span]]] = defaultdict(lambda: defaultdict(list))
    tallied: dict[tuple[str, int], int] = {}  # (camera, epoch) -> first minute with a tally
    for document in documents:
        row = Row(document["c"], document["i"], int(document["r"]), document["d"], document["l"])
        hour = int(document["h"])
        epoch = int(document["y"])
        if not row.line and not row.label:
            first = hour + min(map(int, document["s"])) * MINUTE
            tallied[row.camera, epoch] = min(tallied.get((row.camera, epoch), first), first)
        else:
            spans[row][epoch] += _steps(document, hour, whole(hour))
    for row, epochs in spans.items():
        yield from _row_increments(row, epochs, tallied)


def _steps(document: Mapping[str, Any], hour: int, whole: bool) -> list[_Span]:
    starts = document["s"]
    ends = document["e"]
    if whole:
        first = hour + min(map(int, starts)) * MINUTE
        return [_Span(max(ends.values()), first, min(starts.values()))]
    return [_Span(ends[minute], hour + int(minute) * MINUTE, start) for minute, start in starts.items()]


def _row_increments(
    row: Row, epochs: Mapping[int, list[_Span]], tallied: Mapping[tuple[str, int], int]
) -> Iterator[Increment]:
    before: _Span | None = None  # the last span of the epoch before
    for epoch, spans in sorted(epochs.items(), key=lambda item: min(span.minute for span in item[1])):
        spans.sort()
        first = min(span.minute for span in spans)
        reached = min(span.start for span in spans)
        if before is not None:
            if before.end <= reached and first - before.minute <= REACH:
                reached = before.end
        elif tallied.get((row.camera, epoch), first) < first:
            reached = 0
        for span in spans:
            yield Increment(row, span.minute, max(0, span.end - reached))
            reached = max(reached, span.end)
        before = max(spans, key=lambda span: span.minute)._replace(end=reached)
