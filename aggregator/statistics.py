"""What was counted, by time: crossings, shares, zones, speeds, trips, and how much of the time was seen.

What always holds: a figure says for how long somebody watched, and time that nobody watched is no zero.
Numbers of objects come from running totals, which outlive the events and lose nothing. What is known of
single objects only (a dwell, a speed, the seconds of a trip) comes from the stored events and reaches as far
back as they do.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from agent import wire
from aggregator import tables
from aggregator.history import open_window
from aggregator.store.running_totals import Row
from aggregator.store.store import Store
from aggregator.window import Window

LATE = 150_000  # ms: a minute's tally comes with the node's next batch, until then nobody knows of it
_NORMAL = 1.959964  # the 97.5 % quantile of the normal distribution
_NOTICED = 0.05  # the part of a slot that has to be unseen to be told


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────


async def counts(store: Store, node: str, camera: str, line: str, window: Window) -> list[tables.CountRow]:
    """Count by bucket and row; an empty `camera` or `line` means all."""
    reading = await open_window(store, [node], window)
    counted = await reading.counted("line", camera, lambda _, row: row if line in ("", row.line) else None)
    seen = await reading.seen(camera, lambda _, name: name)
    rows = []
    for (start, row), count in sorted(counted.items()):
        times = seen.get((start, row.camera))
        watched = times.watched / 1000 if times else 0.0
        blind = times.blind / 1000 if times else 0.0
        rate = round(count * 3600 / watched, 3) if watched else None
        rows.append(tables.CountRow(start, *row, count, watched, blind, rate))
    return rows


async def fleet_counts(
    store: Store, nodes: Sequence[str], camera: str, line: str, by: str, window: Window
) -> list[tables.FleetCountRow]:
    """Count by bucket over several nodes.

    Args:
        store: the facts.
        nodes: their names.
        camera: empty for all.
        line: empty for all.
        by: "line": lines of one name are added up; "node": each row of each node for itself.
        window: the time and the bucket.
    """
    apart = by == "node"
    reading = await open_window(store, nodes, window)

    def under(node: str, row: Row) -> tuple[str, Row] | None:
        if line not in ("", row.line):
            return None
        return (node, row) if apart else ("", row._replace(camera="", version=0))

    counted = await reading.counted("line", camera, under)
    seen = await reading.seen(camera, lambda node, name: (node, name) if apart else ("", ""))
    rows = []
    for (start, (node, row)), count in sorted(counted.items()):
        times = seen.get((start, (node, row.camera)))
        watched = times.watched / 1000 if times else 0.0
        rows.append(tables.FleetCountRow(start, node, *row, count, watched))
    return rows


async def speeds(store: Store, node: str, camera: str, line: str, window: Window) -> list[tables.SpeedRow]:
    """Return how fast lines were crossed, km/h, where the camera has a road plane."""
    found = await store.archive.speeds(node, camera, line, window.since, window.until)
    rows = []
    for key, tenths in sorted(found.items()):
        tenths.sort()
        mean = round(sum(tenths) / len(tenths) / 10, 1)
        middle = quantile(tenths, 0.5) / 10
        fast = quantile(tenths, 0.85) / 10
        rows.append(tables.SpeedRow(*key, len(tenths), mean, round(middle, 1), round(fast, 1)))
    return rows


def quantile(ordered: Sequence[int], share: float) -> float:
    """Return a quantile of sorted values, between two of them in proportion (numpy's default)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


# ── the time that was seen ────────────────────────────────────────────────────────────────────────


async def tallies(store: Store, node: str, camera: str, window: Window) -> list[tables.TallyRow]:
    """Sum tallies by bucket and camera; latencies are the worst minute's."""
    reading = await open_window(store, [node], window)
    rows: dict[tuple[int, str], tables.TallyRow] = {}
    watched: dict[str, dict[int, int]] = defaultdict(dict)
    for slot in await reading.slots(camera):
        key = (window.start(slot.start), slot.camera)
        row = rows.setdefault(key, tables.TallyRow(*key, 0.0, {}, {}, 0, 0, 0, 0, 0))
        watched[slot.camera][slot.start] = watched[slot.camera].get(slot.start, 0) + slot.watched
        row.watched_seconds += slot.watched / 1000
        for reason, blind in slot.blind.items():
            row.blind[reason] = row.blind.get(reason, 0.0) + blind / 1000
        row.captured += slot.captured
        row.inferred += slot.inferred
        row.dropped += slot.dropped
        row.p50_ms = max(row.p50_ms, slot.p50)
        row.p95_ms = max(row.p95_ms, slot.p95)
    for (start, (name, label)), amount in (await reading.counted("object", camera, _object)).items():
        found = rows.get((start, name))
        if found is not None:
            found.objects[label] = found.objects.get(label, 0) + amount
    now = int(time.time() * 1000)
    for name, slots in watched.items():
        first = await store.archive.first_seen(node, name) or 0
        for begin, end in unseen(slots, window, now, first):
            found = rows.get((window.start(begin), name))
            if found is not None:
                found.unseen.append((begin, end))
    for row in rows.values():
        row.watched_seconds = round(row.watched_seconds, 3)
        row.blind = {reason: round(seconds, 3) for reason, seconds in row.blind.items()}
    return [rows[key] for key in sorted(rows)]


def _object(_: str, row: Row) -> tuple[str, str]:
    return row.camera, row.label


def unseen(watched: dict[int, int], window: Window, now: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """Return the spans of Unix ms, by bucket, in which a camera saw nothing. `watched`: slot -> ms.

    What lies before it was there, `first`, is no time in which it saw nothing.

    Minutes of which nothing was told at all (the node was off) are unseen like blind ones; the newest, of
    which nothing can be known yet, are not. What is unseen in a part of a slot is put at its end.
    """
    open_ = [0, 0]
    since = max(window.since, first)
    until = min(window.until, now - LATE)
    for slot in range(since // window.slot * window.slot, until, window.slot):
        begin = max(slot, since)
        end = min(slot + window.slot, until)
        missing = end - begin - watched.get(slot, 0)
        if missing < _NOTICED * window.slot:
            continue
        begin = max(begin, end - missing)
        if open_[1] == begin and window.start(open_[0]) == window.start(begin):
            open_[1] = end
            continue
        if open_[1]:
            yield open_[0], open_[1]
        open_ = [begin, end]
    if open_[1]:
        yield open_[0], open_[1]


# ── objects ───────────────────────────────────────────────────────────────────────────────────────


async def shares(store: Store, node: str, camera: str, window: Window) -> list[tables.ShareRow]:
    """Return each label's share of the objects of a bucket; the unknown are apart, out of all objects."""
    seen: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    labels: dict[str, set[str]] = defaultdict(set)
    reading = await open_window(store, [node], window)
    for (start, (name, label)), amount in (await reading.counted("object", camera, _object)).items():
        seen[start, name][label] += amount
        labels[name].add(label)
    rows = []
    for (start, name), objects in sorted(seen.items()):
        all_ = sum(objects.values())
        known = all_ - objects.get(wire.UNKNOWN, 0)
        for label in sorted(labels[name]):
            count = objects.get(label, 0)
            total = all_ if label == wire.UNKNOWN else known
            part = (count / total, *wilson(count, total)) if total else (None, None, None)
            rows.append(tables.ShareRow(start, name, label, count, total, *part))
    return rows


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share after Wilson (1927); `total` is above 0."""
    share = count / total
    square = _NORMAL**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _NORMAL / (1 + square / total)
    half *= math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


async def trips(
    store: Store, node: str, camera: str, origin: str, destination: str, window: Window
) -> list[tables.TripRow]:
    """Return how many objects went from where to where.

    With neither end: by first and last gate, out of running totals. With one or both: any gate and any later
    one, each object once a pair, out of the stored tracks.
    """
    ends = not origin and not destination
    counted: dict[tuple[str, str, str, str], int] = defaultdict(int)
    seconds: dict[tuple[str, str, str, str], list[int]] = defaultdict(list)
    if ends:
        reading = await open_window(store, [node], window)
        for (_, row), amount in (await reading.counted("trip", camera, lambda _, row: row)).items():
            counted[row.camera, row.line, row.destination, row.label] += amount
    async for name, label, gates in store.archive.gates(node, camera, window.since, window.until):
        pairs = {} if not gates else pairs_of(gates[:1] + gates[-1:] if ends else gates, origin, destination)
        for (one, two), length in pairs.items():
            seconds[name, one, two, label].append(length)
    if not ends:
        counted = defaultdict(int, {key: len(lengths) for key, lengths in seconds.items()})
    rows = []
    for key, count in sorted(counted.items(), key=lambda item: (-item[1], item[0])):
        lengths = sorted(seconds.get(key, []))
        middle = round(quantile(lengths, 0.5) / 1000, 1) if lengths else None
        if count:
            rows.append(tables.TripRow(*key, count, middle))
    return rows


def pairs_of(gates: Sequence[tuple[str, int]], origin: str, destination: str) -> dict[tuple[str, str], int]:
    """Return (gate, later gate) -> ms between, the first time that an object did it; empty: any gate."""
    found: dict[tuple[str, str], int] = {}
    for place, (one, begin) in enumerate(gates):
        if origin in ("", one):
            for two, end in gates[place + 1 :]:
                if destination in ("", two):
                    found.setdefault((one, two), end - begin)
    return found


# ── zones ─────────────────────────────────────────────────────────────────────────────────────────


class _Zone:
    """A zone's bucket, while it is added up."""

    def __init__(self) -> None:
        self.moved = {"in": 0, "out": 0}
        self.watched = 0  # ms
        self.sums = [0, 0]  # hundredths of an object x ms: in the zone, in its queue
        self.peaks = [0, 0]
        self.dwells: list[int] = []

    def row(self, key: tuple[int, str, str, int]) -> tables.ZoneRow:
        """Return it as the API shows it."""
        means = [round(total / self.watched / 100, 3) if self.watched else None for total in self.sums]
        peaks = [peak if self.watched else None for peak in self.peaks]
        self.dwells.sort()
        return tables.ZoneRow(
            *key, self.moved["in"], self.moved["out"], means[0], peaks[0], means[1], peaks[1],
            len(self.dwells), round(quantile(self.dwells, 0.5) / 1000, 1) if self.dwells else None,
            self.watched / 1000,
        )  # fmt: skip


async def zones(store: Store, node: str, camera: str, zone: str, window: Window) -> list[tables.ZoneRow]:
    """Return by bucket how full zones were, who came and went, and how long they stayed."""
    found: dict[tuple[int, str, str, int], _Zone] = defaultdict(_Zone)
    reading = await open_window(store, [node], window)
    moved = await reading.counted("zone", camera, lambda _, row: row if zone in ("", row.line) else None)
    for (start, row), amount in moved.items():
        found[start, row.camera, row.line, row.version].moved[row.direction] += amount
    for slot in await reading.filled(camera, zone):
        one = found[window.start(slot.start), slot.camera, slot.zone, slot.version]
        one.watched += slot.watched
        one.sums = [one.sums[0] + slot.inside, one.sums[1] + slot.queued]
        one.peaks = [max(one.peaks[0], slot.most_inside), max(one.peaks[1], slot.most_queued)]
    async for stay in store.archive.each(node, wire.Stay, window.since, window.until, camera):
        if zone in ("", stay.zone):
            found[window.start(stay.at), stay.camera, stay.zone, stay.version].dwells.append(stay.dwell)
    return [found[key].row(key) for key in sorted(found)]
