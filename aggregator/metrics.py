"""The centre's own figures, as Prometheus reads them. A registry of its own: nothing global."""

from __future__ import annotations

import math
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SYSTEM = {
    "aggregators": {"cpu_percent": "CPU of this aggregator, of one core", "memory_bytes": "Its memory"},
    "broker": {
        "clients": "Clients that are connected to the broker",
        "memory_bytes": "Memory of the broker",
        "messages_received_per_second": "MQTT messages to the broker",
        "messages_sent_per_second": "MQTT messages from the broker",
        "bytes_received_per_second": "Bytes to the broker",
        "bytes_sent_per_second": "Bytes from the broker",
        "dropped_per_second": "Messages that the broker dropped",
    },
    "database": {
        "bytes": "Data and indexes of the database on disk",
        "free_bytes": "What is free of its disk",
        "memory_bytes": "Memory of the database",
        "connections": "Connections to the database",
        "cpu_percent": "CPU of the database, of one core",
        "operations_per_second": "Operations of the database",
    },
    "nodes": {
        "cpu_percent": "CPU of the nodes online, their mean",
        "cpu_percent_most": "CPU of the busiest node",
        "memory_bytes": "Memory of all agents online",
        "temperature_most": "Degrees Celsius of the hottest node",
        "frames_per_second": "Frames that all nodes look at",
        "gpu_percent": "Use of the GPUs of the nodes online that tell it, their mean",
        "gpu_percent_most": "Use of the busiest GPU of a node",
        "watts": "Power of the nodes online that tell it, added",
        "watts_most": "Power of the node that takes most",
        "joules_per_count": "Energy for a count since the agent's start, the mean of the nodes that tell it",
    },
}
_PREFIX = {"aggregators": "gb_aggregator"}
_CALLED = {"joules_per_count": "count_joules"}  # a name that ends in _count is a histogram's
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _name(part: str, figure: str) -> str:
    """Return the metric's name of a figure of the system."""
    return f"{_PREFIX.get(part, f'gb_{part}')}_{_CALLED.get(figure, figure)}"


class Metrics:
    """Counters and gauges of one aggregator."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.batches = Counter("gb_batches_stored", "Batches stored", registry=registry)
        self.events = Counter("gb_events_stored", "Events stored", registry=registry)
        self.quarantined = Counter("gb_quarantined", "Messages and events refused", registry=registry)
        self.conflicts = Counter("gb_conflicts", "Batches whose number was taken", registry=registry)
        self.put_off = Counter(
            "gb_batches_put_off", "Batches that found no room and have to come again", registry=registry
        )
        self.waiting = Gauge("gb_batches_waiting", "Batches waiting to be stored", registry=registry)
        self.nodes = Gauge("gb_nodes", "Nodes by state", ["state"], registry=registry)
        self.streams = Gauge("gb_streams", "Open live streams", registry=registry)
        self.cut_off = Counter("gb_streams_cut_off", "Live streams that were too slow", registry=registry)
        self.broker_dropped = Counter(
            "gb_broker_dropped", "Live frames and states that found no room to be taken", registry=registry
        )
        self.broker_refused = Counter(
            "gb_broker_refused", "Messages of this aggregator that the broker refused", registry=registry
        )
        self.alerts_sent = Counter("gb_alerts_sent", "Messages of alerts that were taken", registry=registry)
        self.alerts_given_up = Counter(
            "gb_alerts_given_up", "Messages of alerts that could not be sent", registry=registry
        )
        self.mirror_dropped = Counter(
            "gb_mirror_dropped", "Events that the mirror over MQTT left out", registry=registry
        )
        self.crossings_behind = Gauge(
            "gb_crossings_behind_seconds", "How far the webhook of crossings is behind", registry=registry
        )
        self.crossings_left_out = Counter(
            "gb_crossings_left_out", "Times that older crossings were not sent any more", registry=registry
        )
        self.seconds_to_store = Histogram(
            "gb_seconds_to_store", "From arrival to the durable write", buckets=_SECONDS, registry=registry
        )

        self._system = {
            (part, figure): Gauge(_name(part, figure), text, registry=registry)
            for part, figures in _SYSTEM.items()
            for figure, text in figures.items()
        }
        self.system({})

    def system(self, row: dict[str, Any]) -> None:
        """Show a sample of every part, a dictionary of `SystemRow`; NaN is what cannot be known."""
        for (part, figure), gauge in self._system.items():
            value = (row.get(part) or {}).get(figure)
            gauge.set(math.nan if value is None else value)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
