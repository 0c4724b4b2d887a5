"""How the connection to the broker stands, for whoever asks on the box."""

from __future__ import annotations

from typing import NamedTuple


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
