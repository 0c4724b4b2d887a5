"""How the connection to the broker stands, and what is wrong with it, for whoever asks on the box."""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

_LOG = logging.getLogger(__name__)


class Standing(NamedTuple):
    """Whether the broker is there, for how many seconds it has been so, and how often it was tried since.

    `problem`: what is wrong, in one line for a person; empty while all is well. Since the agent's start:
    `refusals`: messages that the broker refused; `live_dropped`: live frames that found no room.
    """

    connected: bool
    seconds: float
    tries: int
    problem: str
    refusals: int = 0
    live_dropped: int = 0


class ConnectionRecord:
    """What has become of the connection to `address` since the agent's start."""

    def __init__(self, address: str) -> None:
        self.problem = "not connected yet"  # one line for a person; empty while all is well
        self.live_dropped = 0  # live frames that found no room
        self.tries = 0  # since the connection came or went
        self._address = address
        self._refusals = 0  # messages that the broker refused
        self._connected = False
        self._turned = time.monotonic()  # when the connection came or went

    def turn(self, *, connected: bool) -> None:
        """Note that the connection has come or gone."""
        self._connected = connected
        self._turned = time.monotonic()
        self.tries = 0

    def refused(self, problem: str) -> None:
        """Count a message that the broker refused."""
        self._refusals += 1
        self.say(problem)

    def say(self, problem: str) -> None:
        """Keep the problem for whoever asks; log it when it is news. Empty: all is well."""
        if problem != self.problem:
            _LOG.log(logging.WARNING if problem else logging.INFO, problem or f"connected to {self._address}")
        self.problem = problem

    def standing(self) -> Standing:
        """Return how the connection stands."""
        seconds = time.monotonic() - self._turned
        return Standing(self._connected, seconds, self.tries, self.problem, self._refusals, self.live_dropped)
