"""The door to the geometry of counting (lines, zones, paths), kept for those who import it from here."""

from agent.count.geometry import (
    MARGIN,
    MARGIN_LEAST,
    MARGIN_SHARE,
    Areas,
    Gates,
    Points,
    distance,
    inside,
    margins,
    moment,
    on_border,
    reaching,
    settle,
    side,
)
from agent.count.lines import crossings_of_path
from agent.count.object_table import anchors
from agent.count.path import AROUND_SECONDS, GOING, GOING_SECONDS, going, simplify, steadied, steady_moment
from agent.wire import Direction

__all__ = [
    "AROUND_SECONDS",
    "GOING",
    "GOING_SECONDS",
    "MARGIN",
    "MARGIN_LEAST",
    "MARGIN_SHARE",
    "Areas",
    "Direction",
    "Gates",
    "Points",
    "anchors",
    "crossings_of_path",
    "distance",
    "going",
    "inside",
    "margins",
    "moment",
    "on_border",
    "reaching",
    "settle",
    "side",
    "simplify",
    "steadied",
    "steady_moment",
]
