"""Changes of the desired document."""

from __future__ import annotations

import pytest

from agent import wire
from aggregator.desired import NotWanted
from aggregator.drawing import LINE, PLANE, ZONE, change

DOCUMENT = wire.Document(
    4,
    {
        "cam0": wire.CameraSettings(0.4, ["car"], {"main": wire.Line([(0, 0.5), (1, 0.5)], version=2)}),
        "cam1": wire.CameraSettings(),
    },
)


def test_a_change_touches_its_line_only() -> None:
    """The document stays whole; the line gets the new version and everything else keeps its own."""
    line = wire.Line([(0.1, 0.1), (0.9, 0.9)], "center", ["bus"])
    changed = change(LINE, "cam0", "gate", line)(DOCUMENT, 5)
    assert changed.version == 5
    assert changed.cameras["cam1"] == DOCUMENT.cameras["cam1"]
    camera = changed.cameras["cam0"]
    assert (camera.confidence, camera.labels) == (0.4, ["car"])
    assert camera.lines["main"].version == 2
    assert camera.lines["gate"] == wire.Line([(0.1, 0.1), (0.9, 0.9)], "center", ["bus"], 5)
    assert DOCUMENT.cameras["cam0"].lines.keys() == {"main"}


def test_moving_keeps_the_place_in_the_list() -> None:
    """A zone that is moved keeps its place and gets the new version; the other zones keep theirs."""
    one, two = (wire.Zone([(0, 0), (x, 0), (x, 1)]) for x in (0.5, 0.9))
    document = DOCUMENT
    for version, (name, zone) in enumerate((("a", one), ("b", one), ("a", two)), 5):
        document = change(ZONE, "cam0", name, zone)(document, version)
    zones = document.cameras["cam0"].zones
    assert [(name, zone.points, zone.version) for name, zone in zones.items()] == [
        ("a", two.points, 7),
        ("b", one.points, 6),
    ]


def test_deleting() -> None:
    """What is deleted is gone; what is not there is refused."""
    road = wire.Plane([(0, 1), (1, 1), (0.6, 0.5), (0.4, 0.5)], [(0, 0), (7, 0), (7, 30), (0, 30)])
    measured = change(PLANE, "cam0", "", road)(DOCUMENT, 5)
    assert measured.cameras["cam0"].plane == road
    assert change(PLANE, "cam0", "", None)(measured, 6).cameras["cam0"].plane is None
    assert change(LINE, "cam0", "main", None)(DOCUMENT, 5).cameras["cam0"].lines == {}
    for kind, camera, name in ((LINE, "cam0", "x"), (LINE, "cam9", "main"), (PLANE, "cam0", "")):
        with pytest.raises(NotWanted):
            change(kind, camera, name, None)(DOCUMENT, 5)
