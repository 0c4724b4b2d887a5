"""One simulated node: what it says of itself, what it counts, and what of it is not acknowledged yet.

What always holds: totals only grow; a batch that comes again is the same, byte for byte; nothing here waits
or asks the clock. A node keeps its batches as a box does, until the centre says that they are stored; beyond
`_KEPT` it gives up the oldest and counts it.
"""

from __future__ import annotations

import random
from collections import OrderedDict

import msgspec

from agent import wire
from aggregator.simulate.figures import Figures

MINUTE_MS = 60_000
_CAMERA = "cam0"
_LINE = "main"
_LABELS = ("car", "bus", "truck", "bicycle")
_KEPT = 60  # batches that a node holds while nobody acknowledges
_AGAIN_SECONDS = 15.0


class Waiting(msgspec.Struct):
    """A batch that is not acknowledged. `first`, `last`: when it was sent, monotonic seconds."""

    payload: bytes
    events: int
    first: float
    last: float


class SimulatedNode:
    """A box with one camera and one line. `seed` makes its day; `epoch` is the start of its agent."""

    def __init__(self, name: str, seed: int, epoch: int, figures: Figures) -> None:
        self.name = name
        self.epoch = epoch
        self._figures = figures
        self._random = random.Random(seed)
        self._seq = 0
        self._totals = dict.fromkeys(((way, label) for way in ("AB", "BA") for label in _LABELS), 0)
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._tracks = 0
        self._told_minute = 0

    def state(self, at: int, mono: int, online: bool = True) -> bytes:
        """Return its retained state. `at`: Unix ms; `mono`: ms since its start."""
        line = wire.Line([(0.0, 0.6), (1.0, 0.6)])
        document = wire.Document(0, {_CAMERA: wire.CameraSettings(lines={_LINE: line})})
        camera = wire.CameraReport(
            _CAMERA, "ok", self.epoch, model="simulated", labels=list(_LABELS), size=(1280, 720)
        )
        config = wire.ConfigReport(0, "", document)
        state = wire.State(self.name, online, at, mono, self.epoch, "simulated", [camera], config)
        return msgspec.json.encode(state)

    def batch(self, at: int, mono: int, crossings: int, now: float) -> bytes:
        """Return a new batch: a minute's tally, a sample of the box, and so many crossings.

        Args:
            at: Unix ms, the end of what it tells.
            mono: ms since its start.
            crossings: how many.
            now: monotonic seconds; the batch is sent then.
        """
        events: list[wire.AnyEvent] = [
            self._cross(at - self._random.randrange(5000)) for _ in range(crossings)
        ]
        minute = at - at % MINUTE_MS - MINUTE_MS
        if minute > self._told_minute:
            self._told_minute = minute
            events.append(self._tally(minute))
        events.append(self._sample(at))
        base = min(event.at for event in events)
        encoded = [wire.encode_event(event, base) for event in events]
        self._seq += 1
        payload = wire.encode_batch(self.epoch, self._seq, base, mono - (at - base), encoded)
        self._waiting[self._seq] = Waiting(payload, len(events), now, now)
        self._figures.made(len(events))
        if len(self._waiting) > _KEPT:
            self._figures.gave_up(self._waiting.popitem(last=False)[1].events)
        return payload

    def again(self, now: float) -> list[bytes]:
        """Return the batches that have waited too long for their acknowledgement."""
        due = [one for one in self._waiting.values() if now - one.last > _AGAIN_SECONDS]
        for one in due:
            one.last = now
            self._figures.resent += 1
        return [one.payload for one in due]

    def acknowledged(self, payload: bytes, now: float) -> None:
        """Take what the centre says is stored; raise WireError if it is no acknowledgement."""
        for first, last in wire.decode_ack(payload).stored.get(self.epoch, []):
            for seq in [seq for seq in self._waiting if first <= seq <= last]:
                found = self._waiting.pop(seq)
                self._figures.stored(found.events, now - found.first)

    @property
    def pending(self) -> int:
        """How many batches wait for their acknowledgement."""
        return len(self._waiting)

    def _cross(self, at: int) -> wire.Crossing:
        way: wire.Direction = self._random.choice(("AB", "BA"))
        label = self._random.choices(_LABELS, (70, 5, 15, 10))[0]
        self._totals[way, label] += 1
        self._tracks += 1
        total = self._totals[way, label]
        return wire.Crossing(
            at, _CAMERA, _LINE, 0, way, label, self._tracks, total, self._random.randint(60, 99)
        )

    def _tally(self, minute: int) -> wire.Tally:
        totals = [
            wire.LineTotal(_LINE, 0, way, label, total)  # type: ignore[arg-type]
            for (way, label), total in self._totals.items()
            if total
        ]
        objects = {label: self._totals["AB", label] + self._totals["BA", label] for label in _LABELS}
        seen = {label: total for label, total in objects.items() if total}
        frames = 600
        return wire.Tally(minute, _CAMERA, MINUTE_MS, {}, totals, seen, frames, frames, 0, 60, 110)

    def _sample(self, at: int) -> wire.Resources:
        cpu = self._random.randint(20, 90)
        memory = self._random.randint(180, 260) << 20
        temperature = self._random.randint(40, 75)
        return wire.Resources(
            at, "", cpu, cpu * 2, memory, 40, 30, temperature, 9000, 2000, False, {_CAMERA: 100}
        )
