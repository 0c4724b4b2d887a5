"""A node's day so far: what it counted and watched since its site's midnight.

What always holds: it comes to what is stored, added up from the day's midnight, or from what is remembered of
it up to some hour. What is told of before that hour makes that forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aggregator import schemas
from aggregator.store.running_totals import Increment
from aggregator.store.today import Watch

REMEMBERED_SECONDS = 300.0  # what another process erased, or was too much to be told of, is seen by then
_EVER = 2**62


class Counted(msgspec.Struct):
    """Crossings by (camera, line, direction, label), and new objects by (camera, label)."""

    lines: dict[tuple[str, str, str, str], int] = {}
    objects: dict[tuple[str, str], int] = {}

    def plus(self, steps: Iterable[Increment]) -> Counted:
        """Return this with what minutes counted."""
        lines = dict(self.lines)
        objects = dict(self.objects)
        for step in steps:
            row = step.row
            if row.direction in ("AB", "BA"):
                line = (row.camera, row.line, row.direction, row.label)
                lines[line] = lines.get(line, 0) + step.amount
            elif not row.line:
                label = (row.camera, row.label)
                objects[label] = objects.get(label, 0) + step.amount
        return Counted(lines, objects)


class Seen(msgspec.Struct):
    """What cameras saw: camera -> ms watched, ms blind, and the last minute's delay."""

    watched: dict[str, int] = {}
    blind: dict[str, int] = {}
    p95: dict[str, int] = {}

    def plus(self, rows: Iterable[Watch]) -> Seen:
        """Return this with what cameras watched later."""
        watched = dict(self.watched)
        blind = dict(self.blind)
        p95 = dict(self.p95)
        for row in rows:
            watched[row.camera] = watched.get(row.camera, 0) + row.watched_ms
            blind[row.camera] = blind.get(row.camera, 0) + row.blind_ms
            if row.p95 is not None:
                p95[row.camera] = row.p95
        return Seen(watched, blind, p95)


class Base(msgspec.Struct):
    """What is remembered: of the day before `until` (Unix ms); `read_at`: when all of it was read, s."""

    until: int
    read_at: float
    value: Counted | Seen


class Day:
    """What a node's day looks like so far. `start`: Unix ms of its midnight."""

    def __init__(self, start: int = 0) -> None:
        self.start = start
        self.fresh: set[str] = set()  # "counts", "watch": read since the last change
        self.counts: list[schemas.CountToday] = []
        self.objects: dict[str, dict[str, int]] = {}
        self.watched: dict[str, float] = {}
        self.blind: dict[str, float] = {}
        self.p95: dict[str, int] = {}
        self._bases: dict[str, Base] = {}
        self._used: dict[str, Base | None] = {}  # from which a part is read on
        self._told: dict[str, int] = {}  # the earliest moment that was told of while it is read

    def told(self, at: int, *parts: str) -> None:
        """Take that something was stored of a moment (Unix ms), which makes some parts old."""
        for part in parts:
            self.fresh.discard(part)
            self._told[part] = min(self._told.get(part, _EVER), at)
            if part in self._bases and at < self._bases[part].until:
                del self._bases[part]

    def begin(self, part: str, now: float) -> int:
        """Begin to read a part, and return from when on. `now`: monotonic seconds."""
        self.fresh.add(part)  # what comes while it is read makes it old again
        self._told.pop(part, None)
        base = self._bases.get(part)
        if base is not None and now - base.read_at > REMEMBERED_SECONDS:
            base = None
        self._used[part] = base
        return base.until if base else self.start

    def count(
        self, before: Iterable[Increment], after: Iterable[Increment], settled: int, now: float
    ) -> None:
        """Take what was counted from where `begin` said, `before` and `after` the hour `settled` (Unix ms).

        `now`: monotonic seconds when it was read.
        """
        base = self._used.pop("counts")
        up_to = (base.value if base and isinstance(base.value, Counted) else Counted()).plus(before)
        self._remember("counts", Base(settled, base.read_at if base else now, up_to))
        found = up_to.plus(after)
        self.counts = [schemas.CountToday(*key, count) for key, count in sorted(found.lines.items())]
        self.objects = {}
        for (camera, label), count in found.objects.items():
            self.objects.setdefault(camera, {})[label] = count

    def watch(self, before: Iterable[Watch], after: Iterable[Watch], settled: int, now: float) -> None:
        """Take what was watched since `begin`, likewise."""
        base = self._used.pop("watch")
        up_to = (base.value if base and isinstance(base.value, Seen) else Seen()).plus(before)
        self._remember("watch", Base(settled, base.read_at if base else now, up_to))
        found = up_to.plus(after)
        self.watched = {camera: ms / 1000 for camera, ms in found.watched.items()}
        self.blind = {camera: ms / 1000 for camera, ms in found.blind.items()}
        self.p95 |= found.p95

    def _remember(self, part: str, base: Base) -> None:
        """Keep what the day came to up to an hour, unless something of before it came meanwhile."""
        if base.until > self.start and self._told.get(part, _EVER) >= base.until:
            self._bases[part] = base
