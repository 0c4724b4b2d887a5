"""Changes of the desired document."""

from __future__ import annotations

import pytest

from agent import wire
from aggregator.answers import LineBody
from aggregator.drawing import drop_line, set_line
from aggregator.wanted import NotWanted

DOCUMENT = wire.Document(
    4,
    {
        "cam0": wire.CameraSettings(0.4, ["car"], {"main": wire.Line([(0, 0.5), (1, 0.5)], version=2)}),
        "cam1": wire.CameraSettings(),
    },
)


def test_a_change_touches_its_line_only() -> None:
    """The document stays whole; the line gets the new version and everything else keeps its own."""
    body = LineBody([(0.1, 0.1), (0.9, 0.9)], "center", ["bus"])
    changed = set_line("cam0", "gate", body)(DOCUMENT, 5)
    assert changed.version == 5
    assert changed.cameras["cam1"] == DOCUMENT.cameras["cam1"]
    camera = changed.cameras["cam0"]
    assert (camera.confidence, camera.labels) == (0.4, ["car"])
    assert camera.lines["main"].version == 2
    assert camera.lines["gate"] == wire.Line([(0.1, 0.1), (0.9, 0.9)], "center", ["bus"], 5)
    assert DOCUMENT.cameras["cam0"].lines.keys() == {"main"}


def test_deleting() -> None:
    """A deleted line is gone; one that is not there is refused."""
    assert drop_line("cam0", "main")(DOCUMENT, 5).cameras["cam0"].lines == {}
    for camera, line in (("cam0", "x"), ("cam9", "main")):
        with pytest.raises(NotWanted):
            drop_line(camera, line)(DOCUMENT, 5)
