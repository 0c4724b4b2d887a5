"""The desired document: what a centre may set on a node's cameras.

Invariants: a document is always whole. A node applies it or refuses it with the path of what it does not
know; who only shows one leaves out what is not known, and says what that was.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from agent.wire import mismatch, tolerance
from agent.wire.terms import (
    DECODE_ERRORS,
    Anchor,
    Count,
    Label,
    LinePoints,
    Name,
    PlaneMetres,
    PlanePoints,
    WireError,
    ZonePoints,
)


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A counting line of 2 to 8 points, drawn P -> Q; `AB` = from the left hand to the right hand."""

    points: LinePoints
    anchor: Anchor = "bottom"
    labels: list[Label] = []  # empty: all
    version: Count = 0

    def __post_init__(self) -> None:
        for one, two in zip(self.points, self.points[1:], strict=False):
            if abs(one[0] - two[0]) + abs(one[1] - two[1]) < 0.005:
                raise ValueError("two neighbouring points of a line are the same")


class Zone(Struct, frozen=True, forbid_unknown_fields=True):
    """A polygon of 3 to 16 points in which stays are measured."""

    points: ZonePoints
    anchor: Anchor = "bottom"
    labels: list[Label] = []
    version: Count = 0


class Plane(Struct, frozen=True, forbid_unknown_fields=True):
    """Four points of the picture round a patch of the road, and where they lie on it in `metres`.

    Both must go round their patch one after the other, none of them on the line of two others.
    """

    points: PlanePoints
    metres: PlaneMetres

    def __post_init__(self) -> None:
        for name, corners, least in (("points", self.points, 0.01), ("metres", self.metres, 0.1)):
            if why := _no_outline(corners, least):
                raise ValueError(f"the {name} of the plane: {why}")


def _no_outline(corners: list[tuple[float, float]], least: float) -> str:
    """Return why four corners bound no patch, empty if they do; `least`: how near two of them may be."""
    sides = [(two[0] - one[0], two[1] - one[1]) for one, two in pairwise([*corners, corners[0]])]
    lengths = [math.hypot(*side) for side in sides]
    if not min(lengths) >= least:
        return "two neighbouring points are the same"
    turns = [
        (sides[n - 1][0] * sides[n][1] - sides[n - 1][1] * sides[n][0]) / (lengths[n - 1] * lengths[n])
        for n in range(4)
    ]
    if not min(map(abs, turns)) > 0.01:
        return "three of them lie on a line"
    if min(turns) < 0 < max(turns):
        return "they do not go round the outline of a patch; give them in order, clockwise or the other way"
    return ""


Budget = Annotated[float, Meta(gt=0.0, le=1.0)]  # share of the box's processor


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a server may set on one camera.

    Defaults that are made by a call are always written. What came later is left out where it is not used:
    a reader that does not know it refuses it. So a centre sends only what the node says that it `knows`.
    """

    confidence: Annotated[float, Meta(gt=0.0, lt=1.0)] = field(default_factory=lambda: 0.25)
    labels: list[Label] = field(default_factory=lambda: [])  # empty: all that the model knows
    lines: dict[Name, Line] = field(default_factory=lambda: {})
    zones: dict[Name, Zone] = field(default_factory=lambda: {})
    plane: Plane | None = None
    privacy: dict[Name, ZonePoints] = {}  # what is black on every picture that leaves the box
    budget: Budget | None = None
    second_look: bool | None = None  # at crops, by a model of its own; None: as the box's owner says
    model: Annotated[str, Meta(max_length=64)] = ""  # by name; empty: as the box's owner says


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The desired configuration: always whole; a higher version replaces a lower one."""

    version: Count = 0
    cameras: dict[Name, CameraSettings] = {}


def read_document(payload: bytes) -> tuple[Document, list[str]]:
    """Read a document that is only shown; return it and the paths of what is not known here."""
    try:
        return tolerance.decode(msgspec.json.Decoder(Document), payload, Document)
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from None


def decode_document(payload: bytes) -> Document:
    """Decode a desired document; raise WireError with the path of what is wrong."""
    try:
        return mismatch.decode(payload, Document)
    except DECODE_ERRORS as error:
        raise WireError(str(error)) from None
