"""Conditions that are seen from how the fleet stands, without asking the database: cheap, every two seconds.

What always holds: a node that is not online says nothing of its cameras, its heat or its disk, so those are
unknown then, and neither begin nor end an alert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from agent import wire
from aggregator.alerts import rules
from aggregator.alerts.places import Found, Place, Verdict, holds_camera, holds_node, matches
from aggregator.alerts.rules import Rule, Scope
from aggregator.alerts.standing import Node, Standing

_HEALTHY = ("ok", "ended")
_REASON = 200  # letters of what a box says

Zones = Mapping[tuple[str, str], Sequence[wire.ZoneMinute] | None]


def nodes_in(scope: Scope, standing: Standing) -> Iterator[Node]:
    """Iterate over the nodes that a scope includes."""
    return (node for node in standing.nodes.values() if holds_node(scope, node.name, node.member))


def judge(rule: Rule, standing: Standing, zones: Zones) -> Verdict | None:
    """Return what a rule finds now; None if its condition needs the database."""
    verdict = Verdict()
    verdict.blind = bool(standing.deaf)
    if isinstance(rule.condition, rules.Offline):
        _offline(rule, standing, verdict)
    elif isinstance(rule.condition, rules.Storage):
        if standing.cramped:
            verdict.found[Place()] = Found(
                f"The centre's storage: {standing.cramped}", grade=int(standing.full)
            )
    elif isinstance(rule.condition, rules.Occupancy):
        _occupancy(rule.condition, rule.scope, standing, zones, verdict)
    elif look := _LOOKS.get(type(rule.condition)):
        for node in nodes_in(rule.scope, standing):
            look(rule.condition, rule.scope, node, verdict)
    else:
        return None
    return verdict


def _offline(rule: Rule, standing: Standing, verdict: Verdict) -> None:
    if standing.deaf:
        verdict.found[Place()] = Found(f"The centre hears no box: {standing.deaf}")
        return
    for node in nodes_in(rule.scope, standing):
        if node.state != "online":
            text = "is offline" if node.state == "offline" else "has not been heard of for a while"
            verdict.found[Place(node.name)] = Found(f"{node.name} {text}", node.since)


def _cameras(scope: Scope, node: Node) -> Iterator[wire.CameraReport]:
    return (report for report in node.cameras if holds_camera(scope, report.camera))


def _camera(_: Any, scope: Scope, node: Node, verdict: Verdict) -> None:
    for report in _cameras(scope, node):
        place = Place(node.name, report.camera)
        if node.state != "online":
            verdict.unknown.add(place)
        elif report.state not in _HEALTHY:
            reason = f": {report.reason[:_REASON]}" if report.reason else ""
            verdict.found[place] = Found(f"{node.name} {report.camera} is {report.state}{reason}")


def _ailing(condition: Any, scope: Scope, node: Node, verdict: Verdict) -> None:
    """Find cameras that their box says have what the rule is named for."""
    kind = condition.__struct_config__.tag
    for report in _cameras(scope, node):
        place = Place(node.name, report.camera)
        if node.state != "online":
            verdict.unknown.add(place)
            continue
        for ailment in report.health:
            if ailment.kind == kind:
                text = f"{node.name} {report.camera}: {ailment.text[:_REASON]}"
                verdict.found[place] = Found(text, ailment.since)


def _frozen(_: Any, scope: Scope, node: Node, verdict: Verdict) -> None:
    for report in _cameras(scope, node):
        place = Place(node.name, report.camera)
        if node.state != "online":
            verdict.unknown.add(place)
        elif report.state == "frozen":
            reason = f": {report.reason[:_REASON]}" if report.reason else ""
            verdict.found[place] = Found(f"{node.name} {report.camera} is frozen{reason}", report.since)


def _heat(condition: rules.Heat, _: Scope, node: Node, verdict: Verdict) -> None:
    place = Place(node.name)
    if node.temperature is None:
        verdict.unknown.add(place)
    elif node.temperature > condition.degrees:
        verdict.found[place] = Found(f"{node.name} has {node.temperature} °C")


def _disk(condition: rules.Disk, _: Scope, node: Node, verdict: Verdict) -> None:
    place = Place(node.name)
    if node.disk_percent is None:
        verdict.unknown.add(place)
    elif node.disk_percent > condition.percent:
        verdict.found[place] = Found(f"{node.name}'s disk is {node.disk_percent} % full")


def _drift(_: Any, __: Scope, node: Node, verdict: Verdict) -> None:
    place = Place(node.name)
    if node.error:
        verdict.found[place] = Found(f"{node.name} refused its configuration: {node.error[:_REASON]}")
    elif node.wanted > node.applied:
        text = f"{node.name} runs configuration {node.applied}; wanted is {node.wanted}"
        verdict.found[place] = Found(text)


def _clone(_: Any, __: Scope, node: Node, verdict: Verdict) -> None:
    if node.copies:
        verdict.found[Place(node.name)] = Found(f"{node.name}: {node.copies[0]}")


def _occupancy(
    condition: rules.Occupancy, scope: Scope, standing: Standing, zones: Zones, verdict: Verdict
) -> None:
    included = {node.name for node in nodes_in(scope, standing)}
    for (name, camera), minutes in zones.items():
        if name not in included or not holds_camera(scope, camera):
            continue
        if minutes is None:
            verdict.unknown.add(Place(name, camera))
            continue
        for zone in _newest(minutes):
            value = occupancy(condition, zone)
            if matches(scope.zones, [zone.zone]) and (how := condition.broken(value)):
                what = "stand in" if condition.queue else "are in"
                text = f"{value:g} {what} {zone.zone} of {name} {camera}, {how}"
                verdict.found[Place(name, camera, zone.zone)] = Found(text)
    told = {key[0] for key in zones}
    verdict.unknown |= {Place(name) for name in included - told}


def _newest(minutes: Iterable[wire.ZoneMinute]) -> Iterable[wire.ZoneMinute]:
    """Return one row of each zone: of its newest version."""
    return {zone.zone: zone for zone in sorted(minutes, key=lambda zone: zone.version)}.values()


def occupancy(condition: rules.Occupancy, zone: wire.ZoneMinute) -> float:
    """Return how many are in a zone, or stand in it, by the measure that is asked for."""
    whole = {"now": zone.now, "mean": zone.mean / 100, "peak": zone.peak}
    queue = {"now": zone.queue_now, "mean": zone.queue_mean / 100, "peak": zone.queue_peak}
    return (queue if condition.queue else whole)[condition.measure]


_LOOKS: dict[type, Callable[[Any, Scope, Node, Verdict], None]] = {
    rules.Camera: _camera,
    rules.Moved: _ailing,
    rules.Dark: _ailing,
    rules.Unfocused: _ailing,
    rules.Dirty: _ailing,
    rules.Flickering: _ailing,
    rules.Frozen: _frozen,
    rules.Heat: _heat,
    rules.Disk: _disk,
    rules.Drift: _drift,
    rules.Clone: _clone,
}
