"""The words that messages are made of: scalar types, camera states, directions, the error."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,47}$")]
Label = Annotated[str, Meta(min_length=1, max_length=48)]
CameraName = Annotated[str, Meta(max_length=48)]  # empty where an event is the box's, not a camera's
Fraction = Annotated[float, Meta(ge=0.0, le=1.0, description="a share of the picture's width or height")]
Metre = Annotated[float, Meta(ge=-10_000.0, le=10_000.0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Point = tuple[Fraction, Fraction]
LinePoints = Annotated[list[Point], Meta(min_length=2, max_length=8)]
ZonePoints = Annotated[list[Point], Meta(min_length=3, max_length=16)]
PlanePoints = Annotated[list[Point], Meta(min_length=4, max_length=4)]
PlaneMetres = Annotated[list[tuple[Metre, Metre]], Meta(min_length=4, max_length=4)]
Direction = Literal["AB", "BA"]
DIRECTIONS: tuple[Direction, ...] = ("AB", "BA")
Anchor = Literal["bottom", "center"]
SourceStatus = Literal["ok", "absent", "stalled", "frozen", "degraded", "ended"]  # of its pictures alone
CameraStatus = Literal["ok", "absent", "stalled", "frozen", "degraded", "failed", "ended"]  # and of its model

UNKNOWN = "unknown"  # the label of an object whose vote is open; the kind of a loss that nobody can name

# What msgspec raises on bytes that are not what was expected.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class WireError(ValueError):
    """A message that this contract refuses; the text says why."""
