"""What the page shows and changes of this box.

What always holds: with a centre, a line drawn here is a wish, and runs once the centre's document has it, so
both always agree. Without one it runs at once, and is remembered before it does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from agent import wire
from agent.cameras import Cameras
from agent.command import Desired, Refused
from agent.deliver.alone import Centre
from agent.deliver.spool import SpoolWorker
from agent.page.pictures import PageWay
from agent.page.wishes import Wishes
from agent.power import Power
from agent.show.departures import Departures
from agent.show.showing import Showing

SHOWN = 20  # entries of the log of pictures


class LocalBox:
    """This box, as its page sees it. `apply`: remembers the document and lets it run."""

    def __init__(
        self,
        cameras: Cameras,
        desired: Desired,
        wishes: Wishes,
        departures: Departures,
        spool: SpoolWorker,
        centre: Centre,
        power: Power,
        apply: Callable[[], Awaitable[None]],
    ) -> None:
        self._cameras = cameras
        self._node = cameras.config.node
        self._pipelines = cameras.pipelines
        self._desired = desired
        self._wishes = wishes
        self._departures = departures
        self._spool = spool
        self._centre = centre
        self._power = power
        self._apply = apply
        self._marks = cameras.marks
        self._today = cameras.today
        self._opened: dict[Showing, PageWay] = {}

    @property
    def showings(self) -> dict[str, Showing]:
        """What shows each camera whose pictures may leave; another one where the camera began anew."""
        open_ = {name: one for name, one in self._pipelines.items() if one.config.pictures_may_leave}
        return {name: pipeline.showing for name, pipeline in open_.items()}

    @property
    def ways(self) -> dict[str, PageWay]:
        """The page's way out of each of these."""
        showings = self.showings
        self._opened = {showing: self._way(name, showing) for name, showing in showings.items()}
        return {name: self._opened[showing] for name, showing in showings.items()}

    def _way(self, name: str, showing: Showing) -> PageWay:
        if showing in self._opened:
            return self._opened[showing]
        way = PageWay(partial(self._marks.draw, name))
        showing.add(way)
        return way

    async def told(self) -> dict[str, Any]:
        """Return all that the page shows."""
        standing = self._centre.standing()
        waiting = (await self._spool.status())["pending"]
        figures = self._today.figures(time.time())
        shown = self.showings
        return {
            "node": self._node,
            "at": round(time.time() * 1000),
            "centre": "connected to the centre" if standing.connected else standing.problem,
            "connected": standing.connected,
            "waiting": waiting,
            "power": _power(self._power.told(self._cameras.passed)),
            "wishes": self._wishes.open(self._desired.document),
            "cameras": [
                {
                    **msgspec.to_builtins(pipeline.report()),
                    "fps": round(pipeline.minutes.fps, 1),
                    "pictures": name in shown,
                    "manner": pipeline.config.manner,
                    "lines": self._marks.lines(name),
                    "since": figures[name].since,
                    "counts": figures[name].rows,
                }
                for name, pipeline in self._pipelines.items()
            ],
            "departures": self._departures.entries(SHOWN)[::-1],
        }

    async def draw(self, camera: str, name: str, line: wire.Line | None) -> str:
        """Draw a line, or take it away; return what becomes of it. Raise Refused."""
        if camera not in self._pipelines:
            raise Refused(f"this box has no camera {camera[:48]!r}")
        if self._centre.broker is not None:
            self._wishes.add(camera, name, line)
            self._centre.state_changed()
            is_there = self._centre.standing().connected
            return "wished for: the centre is asked" + ("" if is_there else " once it is there again")
        self._desired.draw(camera, name, line)
        await self._apply()
        return f"line {name} counts from now on" if line else f"line {name} is taken away"


def _power(power: wire.Power | None) -> dict[str, Any] | None:
    """Return what the page shows of the box's power; None where nothing tells."""
    if power is None:
        return None
    return {"watts": power.watts, "of": power.part, "joules_per_count": power.joules_per_count}
