"""A frame's tracks go through counting one way: from the analyst to each owner once, and back to none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from agent import wire
from agent.count import analyst
from tests.unit.watched import Street

COUNT = 7  # objects: no other array has so many rows
MOST = 6  # modules in which the arrays of a frame stop


def has_rows(value: Any) -> bool:
    """Say whether a value is, or has among its fields, an array with a row for each object."""
    if isinstance(value, np.ndarray):
        return value.shape[:1] == (COUNT,)
    return any(has_rows(getattr(value, name, None)) for name in getattr(value, "__slots__", ()))


@contextmanager
def stops() -> Iterator[list[str]]:
    """Give the modules that the analyst hands arrays of the frame to, in order; once if again at once."""
    found = [Path(analyst.__file__).stem]

    def profile(frame: FrameType, event: str, _: object) -> None:
        caller = frame.f_back
        if event != "call" or caller is None or caller.f_code.co_filename != analyst.__file__:
            return
        module = Path(frame.f_code.co_filename)
        names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
        handed = any(has_rows(frame.f_locals[name]) for name in names if name != "self")
        if module.parent.name == "count" and handed and module.stem != found[-1]:
            found.append(module.stem)

    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(None)


def test_tracks_stop_at_six_places_and_come_back_to_none() -> None:
    """Met, lost for a gap, in a zone, over a line: each frame's arrays stop once in at most six modules."""
    zone = wire.Zone(points=[(0.05, 0.65), (0.9, 0.65), (0.9, 0.95), (0.05, 0.95)], version=1)
    street = Street(main=wire.Line(points=[(0.0, 0.5), (1.0, 0.5)], version=1))
    street.analyst.apply(wire.CameraSettings(lines=street.settings.lines, zones={"yard": zone}))
    for step in range(90):
        y = min(0.3 + 0.01 * step, 0.98)
        if step == 45:
            street.now += 5.0  # out of sight
        with stops() as way:
            street.see({track: (0.1 * track, y) for track in range(1, COUNT + 1)})
        assert len(way) <= MOST, way
        assert len(set(way)) == len(way), way
    assert len(street.told(wire.Crossing)) == COUNT
    assert len(street.told(wire.Stay)) == COUNT
