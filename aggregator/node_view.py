"""One node as it stands: what it said last, how its day looks, and what about it needs a person.

What always holds: nothing here waits or asks the clock.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from agent import wire
from aggregator import schemas
from aggregator.copies import REMEMBERED_MS, Copies
from aggregator.store import codec
from aggregator.store.parcel import Fact
from aggregator.today import Day

STALE_MS = 150_000
CLOCK_OFF_MS = 60_000
_WARNINGS = 10  # of what a box says of itself
_WARNING_LETTERS = 300
_SOURCE_LETTERS = 300
_AILMENTS = 10  # of what a box says of one camera
_UNITS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))


class NodeView:
    """What is known of one node. Times are Unix milliseconds of the server.

    Whenever it changes it puts itself into `unranked`.
    """

    def __init__(self, name: str, known_since: int, unranked: set[NodeView] | None = None) -> None:
        self.name = name
        self._unranked = set() if unranked is None else unranked  # see `fleet_page`
        self.state: wire.State | None = None
        self.since = known_since
        self.heard = 0
        self.listening_since = known_since  # silence counts from here
        self.online = False
        self.clock_off = 0
        self.put_right = (0, 0)  # by how many ms its times were wrong, and when that was last found
        self.resources: wire.Resources | None = None
        self.day = Day()
        self.troubles: dict[str, int] = {}
        self.losses_before = 0  # told of by a node of this name that was removed
        self.copies = Copies()
        self.kept_apart = ""  # what is kept out of the counts as a copy's, for a person
        self.looks: dict[str, wire.Tally] = {}  # camera -> its last minute
        self.first: dict[str, int] = {}  # camera -> when it was first told of
        self.known_first: set[str] = set()  # cameras of which the store was asked that
        self.is_newborn = False  # nothing was stored of it when it came
        self.is_back = False  # it was removed and has come back, which is not yet saved
        self.changed = True  # its entry has to be shown again
        self.saved = 0
        self.shown: schemas.NodeState | None = None

    @property
    def changed(self) -> bool:
        """Whether its entry has to be shown again."""
        return self._changed

    @changed.setter
    def changed(self, changed: bool) -> None:
        self._changed = changed
        if changed:
            self._unranked.add(self)

    def standing(self, at: int) -> schemas.NodeState:
        """Return online, offline or stale."""
        if not self.online:
            return "offline"
        return "stale" if at - max(self.heard, self.listening_since) > STALE_MS else "online"

    def minute(self, tally: wire.Tally) -> None:
        """Take a camera's minute; the newest one stays."""
        before = self.looks.get(tally.camera)
        if before is None or tally.at >= before.at:
            self.looks[tally.camera] = tally

    def hear(self, at: int) -> None:
        """Note that something came from the node just now."""
        self.heard = max(self.heard, at)
        self.changed = True

    def take(self, facts: Iterable[Fact], at: int) -> bool:
        """Take what was stored of the node just now; return if something of it was lost."""
        self.hear(at)
        lost = False
        for fact in facts:
            match fact.event:
                case wire.Resources():
                    self._sample(fact.event, at)
                case wire.Tally(at=told, camera=camera):
                    self.day.told(told, "counts", "watch")
                    self.minute(fact.event)
                    self.first[camera] = min(self.first.get(camera, at), told)
                case wire.Crossing(at=told):
                    self.day.told(told, "counts")
                case wire.Lost():
                    lost = True
        return lost

    def _sample(self, sample: wire.Resources, at: int) -> None:
        if sample.at > at + CLOCK_OFF_MS:  # of a clock that is ahead: the next one replaces it
            sample = msgspec.structs.replace(sample, at=0)
        if self.resources is None or not sample.at or sample.at >= self.resources.at:
            self.resources = sample

    def shift(self, by: int) -> None:
        """Move what is remembered along with this machine's clock, which was set by some ms."""
        self.since += by
        self.heard += by if self.heard else 0
        self.listening_since += by
        self.saved += by if self.saved else 0
        self.changed = True

    def labels(self, camera: str) -> list[str]:
        """Return what a camera's model can tell, by class number."""
        cameras = self.state.cameras if self.state else []
        return next((each.labels for each in cameras if each.camera == camera), [])

    def entry(self, at: int) -> schemas.Node:
        """Return the node as the API shows it."""
        state = self.state
        standing = self.standing(at)
        sample = self.resources if standing == "online" else None
        return schemas.Node(
            node=self.name,
            state=standing,
            since=self.since if standing != "stale" else max(self.heard, self.listening_since) + STALE_MS,
            cameras=[self._camera(report, standing) for report in state.cameras] if state else [],
            cpu_percent=sample.cpu_percent if sample else None,
            memory_bytes=sample.memory_bytes if sample else None,
            counts_today=self.day.counts,
            warnings=self.warnings(at),
            last_seen=self.heard or None,
            version=state.version if state else "",
            temperature=sample.temperature if sample else None,
            memory_percent=sample.memory_percent if sample else None,
            disk_percent=sample.disk_percent if sample else None,
            allows=state.allows[:_AILMENTS] if state else [],
        )

    def warnings(self, at: int) -> list[str]:
        """Return what about the node needs a person, a sentence each."""
        return [*self._warnings(self.standing(at)), *self._corrections(at), *self.copied(at)]

    def copied(self, at: int) -> list[str]:
        """Return what says that there are two boxes of this name, a sentence each."""
        return [*self.copies.warnings(at), *([self.kept_apart] if self.kept_apart else [])]

    def _camera(self, report: wire.CameraReport, standing: str) -> schemas.Camera:
        name = report.camera
        day = self.day
        minute = self.looks.get(name)
        fps = None
        if self.resources and standing == "online" and name in self.resources.fps_tenths:
            fps = self.resources.fps_tenths[name] / 10 if report.state == "ok" else 0.0
        return schemas.Camera(
            camera=name, state=report.state, fps=fps, reason=report.reason, since=report.since,
            watched_seconds_today=day.watched.get(name, 0.0), blind_seconds_today=day.blind.get(name, 0.0),
            labels=report.labels, model=report.model, size=report.size, preview=report.preview,
            objects_today=day.objects.get(name, {}), p95_ms=day.p95.get(name),
            last_known=standing != "online", first_seen=self.first.get(name),
            looked_regions=minute.looked if minute else None,
            oldest_region_seconds=minute.oldest / 1000 if minute else None,
            health=report.health[:_AILMENTS], source=report.source[:_SOURCE_LETTERS],
            from_centre=report.from_centre,
        )  # fmt: skip

    def _corrections(self, at: int) -> list[str]:
        """Tell for an hour that times were put right."""
        off, when = self.put_right
        if not off or at - when > REMEMBERED_MS:
            return []
        side = "ahead" if off > 0 else "behind"
        return [
            f"The node's clock was {_length(abs(off))} {side}; the times of what it sent then are put right"
        ]

    def _warnings(self, standing: str) -> list[str]:
        found = []
        if standing == "offline":
            found.append("The node is offline")
        elif standing == "stale":
            found.append("Nothing has been heard of the node for a while")
        for report in self.state.cameras if self.state else []:
            if report.state != "ok" and standing == "online":
                found.append(
                    f"Camera {report.camera} is {report.state}: {report.reason or 'no reason given'}"
                )
            if standing == "online":
                found += [
                    f"Camera {report.camera}: {ailment.text[:_WARNING_LETTERS]}"
                    for ailment in report.health[:_AILMENTS]
                ]
        if self.state and self.state.config.error:
            found.append(f"The configuration was refused: {self.state.config.error}")
        if self.state and standing == "online":
            found += [text[:_WARNING_LETTERS] for text in self.state.warnings[:_WARNINGS]]
        if self.clock_off:
            side = "ahead" if self.clock_off > 0 else "behind"
            found.append(f"The node's clock is {_length(abs(self.clock_off))} {side}")
        if amount := self.troubles.get("conflicts"):
            found.append(f"{amount} batches came twice with different contents: is this box a copy?")
        if amount := self.troubles.get("quarantine"):
            found.append(f"{amount} messages or events were refused and lie in quarantine")
        if amount := self.troubles.get(codec.LOSSES):
            found.append(f"{amount} events were lost on the node")
        if self.troubles.get(codec.UNKNOWN_LOSSES):
            found.append("Events were lost on the node, and how many cannot be known: its spool was damaged")
        return found


def with_last_cameras(state: wire.State, before: wire.State | None) -> wire.State:
    """Return a node's state; if it is its last will, with the cameras and document that it told of last.

    The will is made when the node connects, before its cameras are open, and says nothing of what came then.
    """
    if state.online or before is None or before.epoch != state.epoch:
        return state
    if (before.mono, before.at) < (state.mono, state.at):
        return state  # its own goodbye
    return msgspec.structs.replace(state, cameras=before.cameras, config=before.config)


def _length(span: int) -> str:
    """Return a span of Unix milliseconds in the unit that a person would use."""
    unit, name = next((unit, name) for unit, name in _UNITS if span >= 2 * unit or name == "s")
    return f"{span // unit} {name}"
