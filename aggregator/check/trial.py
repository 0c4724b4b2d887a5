"""One thing that was tried, and how it came out."""

from __future__ import annotations

from typing import NamedTuple


class CheckError(Exception):
    """Something that the centre needs is not there; the text says how much."""


class Trial(NamedTuple):
    """What is needed, and why it is not there; an empty `fault`: it is there."""

    needed: str
    fault: str = ""

    def __str__(self) -> str:
        return f"no   {self.needed}: {self.fault}" if self.fault else f"ok   {self.needed}"
