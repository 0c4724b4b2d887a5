"""Crossings as counters for Prometheus, by node, camera, line, direction and label.

What always holds: a counter starts at 0 when this aggregator does and is there before anything was counted,
so no first crossing is lost to `rate`. It grows by what this aggregator stored itself: several aggregators
add up, and none tells another's. A label is there once, whatever the line's version; a line, camera or node
that is gone takes its counters with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from agent import wire
from aggregator.fleet import Fleet
from aggregator.ingest import Fact


class Key(NamedTuple):
    """The labels of a counter."""

    node: str
    camera: str
    line: str
    direction: str
    label: str


class Crossings(Collector):
    """Counts what is stored."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._counts: dict[Key, int] = {}

    def see(self, facts: Sequence[Fact]) -> None:
        """Take what this aggregator stored just now."""
        for fact in facts:
            event = fact.event
            if isinstance(event, wire.Crossing):
                key = Key(fact.node, event.camera, event.line, event.direction, event.label)
                self._counts[key] = self._counts.get(key, 0) + 1

    def _known(self) -> Iterator[Key]:
        """Iterate over what can be counted now, as the nodes say."""
        for view in self._fleet.views():
            if view.state is None:
                continue
            labels = {report.camera: report.labels for report in view.state.cameras}
            for camera, settings in view.state.config.document.cameras.items():
                for line, drawn in settings.lines.items():
                    for direction in wire.DIRECTIONS:
                        for label in drawn.labels or labels.get(camera, []):
                            yield Key(view.name, camera, line, direction, label)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the counters, as Prometheus' library asks for them."""
        known = set(self._known())
        lines = {key[:3] for key in known}
        self._counts = {key: count for key, count in self._counts.items() if key[:3] in lines}
        family = CounterMetricFamily(
            "gb_crossings", "Crossings stored since this aggregator started", labels=Key._fields
        )
        for key in sorted(known | self._counts.keys()):
            family.add_metric(list(key), self._counts.get(key, 0))
        yield family
