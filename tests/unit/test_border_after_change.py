"""At the border of the picture, after the camera has changed its size, its aspect, or was turned upright."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from agent import wire
from tests.unit.watched import Place, Street


class Edge(NamedTuple):
    """Who stands cut off at an edge, a zone drawn nearly to it, a line that ends near it, a way along it."""

    spot: Place
    anchor: wire.Anchor
    zone: list[Place]
    line: list[Place]
    way: tuple[Place, Place, Place]


EDGES = {
    "lower": Edge(
        (0.5, 1.0),
        "bottom",
        [(0.3, 0.7), (0.7, 0.7), (0.72, 0.986), (0.5, 0.995), (0.28, 1.0)],
        [(0.5, 0.988), (0.52, 0.4)],
        ((0.3, 1.0), (0.45, 1.0), (0.7, 1.0)),
    ),
    "upper": Edge(
        (0.5, 0.0),
        "center",
        [(0.3, 0.014), (0.5, 0.0), (0.7, 0.01), (0.7, 0.3), (0.3, 0.3)],
        [(0.5, 0.012), (0.45, 0.6)],
        ((0.3, 0.0), (0.45, 0.0), (0.7, 0.0)),
    ),
    "left": Edge(
        (0.0, 0.5),
        "center",
        [(0.014, 0.3), (0.3, 0.3), (0.3, 0.7), (0.0, 0.7)],
        [(0.014, 0.5), (0.6, 0.6)],
        ((0.0, 0.3), (0.0, 0.45), (0.0, 0.7)),
    ),
    "right": Edge(
        (1.0, 0.5),
        "center",
        [(0.7, 0.3), (1.0, 0.3), (0.986, 0.7), (0.7, 0.7)],
        [(0.986, 0.5), (0.4, 0.4)],
        ((1.0, 0.3), (1.0, 0.45), (1.0, 0.7)),
    ),
}
changes = pytest.mark.parametrize(
    "size", [(640, 360), (640, 480), (720, 1280)], ids=["smaller", "4:3", "turned"]
)
edges = pytest.mark.parametrize("edge", EDGES)
rates = pytest.mark.parametrize("rate", [15.0, 2.0])


@changes
@edges
@rates
def test_who_stands_there_stays_in_the_zone(rate: float, edge: str, size: tuple[int, int]) -> None:
    """Occupancy is one before and after the change; there is one entry, one exit, and one stay over both."""
    (x, y), anchor, points, _, _ = EDGES[edge]
    feet = 0.1 if anchor == "center" else 0.0  # below the middle of the box
    street = Street(rate=rate)
    zone = wire.Zone(points=points, anchor=anchor)
    street.analyst.apply(wire.CameraSettings(zones={"here": zone}))
    street.go(1, (0.5, 0.5 + feet), (x, y + feet), (x, y + feet), side=0.2)
    street.size = size
    street.go(1, (x, y + feet), (x, y + feet), seconds=2.0, side=0.2)
    (row,) = street.tally().occupancy
    assert (row.now, row.peak) == (1, 1)
    street.go(1, (x, y + feet), (0.5, 0.5 + feet), (0.5, 0.5 + feet), side=0.2)
    (stay,) = street.told(wire.Stay)
    assert street.totals.zones == {("here", 0, "car"): [1, 1]}
    assert stay.dwell > 3000


@changes
@edges
@rates
def test_who_goes_along_it_crosses_the_line_once(rate: float, edge: str, size: tuple[int, int]) -> None:
    """A line that ends 1.2 to 1.4 % before the edge: changed just before it is reached, it counts once."""
    _, _, _, line, way = EDGES[edge]
    street = Street(rate=rate, main=wire.Line(points=line))
    street.go(1, *way[:2])
    street.size = size
    street.go(1, *way[1:])
    street.rest()
    assert len(street.ways) == 1
