"""What a box says of itself: to its centre, as its state; to who asks on the box, by `agent.inquiry`."""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError, version

from agent import board, inquiry, set_cameras, wire
from agent.cameras import Cameras
from agent.command import Desired
from agent.deliver.alone import Centre
from agent.deliver.spool import SpoolWorker, this_moment
from agent.page.wishes import Wishes
from agent.show.departures import TOLD, Departures
from agent.starts import Starts

LONGEST_WARNING = 300


class NodeReport:
    """The account of one box.

    Args:
        cameras: what runs, and what its owner has configured.
        spool: where its events wait.
        desired: the document that it runs.
        departures: the log of pictures that left.
        wishes: what was drawn on the box and the centre has not taken over.
        starts: which start of the agent came before this one.
    """

    def __init__(
        self,
        cameras: Cameras,
        spool: SpoolWorker,
        desired: Desired,
        departures: Departures,
        wishes: Wishes,
        starts: Starts,
    ) -> None:
        self.board = board.Board()  # what the board under the box was last read to say
        self._cameras = cameras
        self._spool = spool
        self._desired = desired
        self._departures = departures
        self._wishes = wishes
        self._starts = starts

    def read_board(self) -> bool:
        """Read what the board under the box says; return whether its warnings are others now."""
        before = self.board.warnings
        self.board = board.read()
        return self.board.warnings != before

    def answer(self, delivery: Centre) -> inquiry.Answer:
        """Return what this box says of itself to who asks on it."""
        standing = delivery.standing()
        since = round((time.time() - standing.seconds) * 1000)
        return inquiry.Answer(
            os.getpid(),
            inquiry.Connection(
                standing.connected,
                since,
                str(delivery.broker or ""),
                standing.problem,
                standing.tries,
                standing.refusals,
                standing.live_dropped,
            ),
            inquiry.Storage(self._spool.problem, self._spool.in_memory, self._spool.damaged),
        )

    def _warnings(self) -> list[str]:
        """Return what is wrong with the box itself, and what its budget holds back, a sentence each."""
        found = [_sentence(self._spool.problem)] if self._spool.problem else []
        if amount := self._spool.damaged:
            found.append(
                f"The spool's file was damaged {amount} time(s) since the agent's start, and was set aside; "
                "what is gone is reported as lost. Look at the box's disk or memory card"
            )
        found += self.board.warnings
        held = {name: pipeline.budget.warning for name, pipeline in self._cameras.pipelines.items()}
        return found + [f"Camera {name} {text}"[:LONGEST_WARNING] for name, text in held.items() if text]

    def state(self) -> wire.State:
        """Return what the centre is told of this box, now."""
        config = self._cameras.config
        now = this_moment()
        return wire.State(
            node=config.node,
            online=True,
            at=now.wall,
            mono=now.mono,
            epoch=self._spool.epoch,
            version=_version(),
            cameras=set_cameras.told(config, [one.report() for one in self._cameras.pipelines.values()]),
            config=self._desired.report(),
            warnings=self._warnings(),
            departures=self._departures.entries(TOLD),
            wishes=self._wishes.open(self._desired.document),
            before=self._starts.before(self._spool.epoch),
            allows=set_cameras.allows(config),
        )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:LONGEST_WARNING]


def _version() -> str:
    try:
        return version("gb-fleet")
    except PackageNotFoundError:
        return "unknown"
