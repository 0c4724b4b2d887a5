"""A node as Home Assistant's entities: what each is called, where its value stands, when it is available.

What always holds: a `unique_id` is lower-case, made of names only, and no two of them are the same, though
names differ in case or in a dot only. So an entity keeps its history over restarts and versions of a line,
and another name is another entity. Fields are those of Home Assistant's MQTT discovery.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent import wire
from aggregator.node_view import NodeView
from aggregator.outside.sums import Sums

_ARROWS = {"AB": "A→B", "BA": "B→A"}

Zones = Mapping[str, Sequence[wire.ZoneMinute] | None]  # camera -> its zones in the last minute


class Entity(NamedTuple):
    """One entity: what it is, its key within its node, its own fields, its value now; None: not known."""

    component: str
    key: str
    fields: dict[str, Any]
    value: int | float | str | None


def slug(name: str) -> str:
    """Return a name as lower-case letters, digits and _; with a sum of it where that loses something."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "x"
    if plain == name:
        return plain
    return f"{plain}_{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}"


def entities(view: NodeView, sums: Sums, zones: Zones) -> Iterator[Entity]:
    """Iterate over a node's entities, with their values now."""
    state = view.state
    if state is None:
        return
    for report in state.cameras:
        camera = report.camera
        yield _sees(report)
        document = state.config.document.cameras.get(camera)
        for line in sorted(document.lines) if document else ():
            for direction in wire.DIRECTIONS:
                yield _crossings(camera, line, direction, sums)
        for zone in sorted(document.zones) if document else ():
            yield _occupancy(camera, zone, zones.get(camera))
    yield from _box(view)


def _sees(report: wire.CameraReport) -> Entity:
    fields = {"name": f"{report.camera} sees", "device_class": "connectivity"}
    key = f"{slug(report.camera)}_sees"
    return Entity("binary_sensor", key, fields, "ON" if report.state == "ok" else "OFF")


def _crossings(camera: str, line: str, direction: wire.Direction, sums: Sums) -> Entity:
    key = f"{slug(camera)}_line_{slug(line)}_{direction.lower()}"
    fields = {
        "name": f"{camera} {line} {_ARROWS[direction]}",
        "state_class": "total_increasing",
        "unit_of_measurement": "crossings",
        "icon": "mdi:swap-horizontal",
    }
    return Entity("sensor", key, fields, sums.of(camera, line, direction))


def _occupancy(camera: str, zone: str, minutes: Sequence[wire.ZoneMinute] | None) -> Entity:
    newest = sorted((one for one in minutes or () if one.zone == zone), key=lambda one: one.version)
    fields = {
        "name": f"{camera} {zone} occupancy",
        "state_class": "measurement",
        "unit_of_measurement": "objects",
        "icon": "mdi:account-group",
    }
    return Entity("sensor", f"{slug(camera)}_zone_{slug(zone)}", fields, newest[-1].now if newest else None)


def _box(view: NodeView) -> Iterator[Entity]:
    """Iterate over what the box tells of itself."""
    sample = view.resources
    hot = {"name": "Temperature", "device_class": "temperature", "unit_of_measurement": "°C"}
    for key, fields, value in (
        ("temperature", hot, sample.temperature if sample else None),
        ("cpu", {"name": "Processor", "unit_of_measurement": "%"}, sample.cpu_percent if sample else None),
        ("disk", {"name": "Disk", "unit_of_measurement": "%"}, sample.disk_percent if sample else None),
    ):
        more = {"state_class": "measurement", "entity_category": "diagnostic"}
        yield Entity("sensor", key, {**fields, **more}, value)


class Names(NamedTuple):
    """The topics: Home Assistant's own prefix, and ours."""

    discovery: str
    ours: str

    def config(self, node: str, entity: Entity) -> str:
        """Return the topic of an entity's configuration."""
        return f"{self.discovery}/{entity.component}/gb_{slug(node)}/{entity.key}/config"

    def state(self, node: str) -> str:
        """Return the topic of a node's values."""
        return f"{self.ours}/{node}/state"

    def available(self, node: str) -> str:
        """Return the topic that says whether a node is online."""
        return f"{self.ours}/{node}/available"

    @property
    def centre(self) -> str:
        """The topic that says whether the centre tells anything; its last will says offline."""
        return f"{self.ours}/status"


def config(names: Names, node: str, version: str, entity: Entity) -> dict[str, Any]:
    """Return what Home Assistant is told of an entity."""
    identity = f"gb_{slug(node)}_{entity.key}"
    return {
        **entity.fields,
        "unique_id": identity,
        "default_entity_id": f"{entity.component}.{identity}",
        "state_topic": names.state(node),
        "value_template": f"{{{{ value_json['{entity.key}'] }}}}",
        "availability": [{"topic": names.centre}, {"topic": names.available(node)}],
        "availability_mode": "all",
        "device": {
            "identifiers": [f"gb_{slug(node)}"],
            "name": node,
            "manufacturer": "GB-Fleet",
            "model": "Box",
            **({"sw_version": version} if version else {}),
        },
        "origin": {"name": "GB-Fleet"},
    }
