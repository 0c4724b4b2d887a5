"""Conditions on what was counted: they ask the database, for all nodes of a rule at once.

What always holds: "too few" is said only of time that was watched, since blind is not zero; and of minutes
that can have been told by now, since a box tells its minutes late. What is usual is the median of the same
hour of the same weekday, by the clock of the node's site, in the weeks that were watched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent import wire
from aggregator.alerts import rules
from aggregator.alerts.conditions import nodes_in
from aggregator.alerts.places import Found, Place, Verdict, holds_camera, matches
from aggregator.alerts.rules import Rule, Scope
from aggregator.alerts.standing import Standing
from aggregator.site_time import bucket_start
from aggregator.store.many import Camera, Many, Span
from aggregator.store.running_totals import HOUR, MINUTE, Row

LATE_MS = 150_000  # a minute's tally comes with the node's next batch
_WATCHED = 0.9  # the part of a span that must have been watched to say "too few" of it

Lines = Mapping[tuple[str, str], Collection[str]]  # (node, camera) -> its lines, as it runs them


class Line(NamedTuple):
    """A line of a camera."""

    node: str
    camera: str
    line: str

    @property
    def place(self) -> Place:
        """The same as a place of an alert."""
        return Place(*self)


class Counted:
    """Asks the database for rules. `zone_of`: the time zone of a node's site."""

    def __init__(self, many: Many, zone_of: Callable[[str], ZoneInfo], lines: Callable[[], Lines]) -> None:
        self._many = many
        self._zone_of = zone_of
        self._lines = lines

    async def judge(self, rule: Rule, standing: Standing) -> Verdict:
        """Return what a rule finds; raise StoreError."""
        verdict = Verdict()
        verdict.blind = bool(standing.deaf)
        nodes = [node.name for node in nodes_in(rule.scope, standing)]
        if verdict.blind or not nodes:
            return verdict
        match rule.condition:
            case rules.Count():
                await self._count(rule.condition, rule.scope, nodes, standing.at, verdict)
            case rules.Unusual() | rules.Silent():
                of_zone: dict[ZoneInfo, list[str]] = defaultdict(list)
                for name in nodes:
                    of_zone[self._zone_of(name)].append(name)
                for zone, some in of_zone.items():
                    spans = weekday_hours(standing.at - LATE_MS, rule.condition.weeks, zone)
                    await self._habit(rule.condition, rule.scope, some, spans, verdict)
            case rules.ShareOf():
                await self._share(rule.condition, rule.scope, nodes, standing.at, verdict)
            case rules.Blind():
                await self._blind(rule.condition, rule.scope, nodes, standing.at, verdict)
        return verdict

    # ── crossings ──

    async def _crossings(
        self, scope: Scope, nodes: Sequence[str], spans: Sequence[Span], keep: Callable[[Row], bool]
    ) -> dict[Line, list[int]]:
        """Return each line of a scope with what it counted in each span, those that counted nothing too."""
        lines = {
            Line(node, camera, line): [0] * len(spans)
            for (node, camera), names in self._lines().items()
            if node in set(nodes)
            for line in names
        }
        for (node, row), amounts in (await self._many.counted("line", nodes, spans)).items():
            line = Line(node, row.camera, row.line)
            if line in lines and keep(row):
                lines[line] = [one + two for one, two in zip(lines[line], amounts, strict=True)]
        return {
            line: amounts
            for line, amounts in lines.items()
            if holds_camera(scope, line.camera) and matches(scope.lines, [line.line])
        }

    async def _count(
        self, condition: rules.Count, scope: Scope, nodes: Sequence[str], at: int, verdict: Verdict
    ) -> None:
        length = condition.minutes * MINUTE
        now = (at // MINUTE + 1) * MINUTE
        told = (at - LATE_MS) // MINUTE * MINUTE
        spans = [(now - length, now), (told - length, told)]
        lines = await self._crossings(
            scope, nodes, spans,
            lambda row: condition.direction in ("", row.direction)
            and (not condition.labels or row.label in condition.labels),
        )  # fmt: skip
        seen = await self._many.seen(nodes, spans[1]) if condition.under is not None else {}
        for line, (newest, whole) in lines.items():
            if condition.over is not None and newest > condition.over:
                text = f"{_over(line)}: {newest} in {_span(condition.minutes)}, more than {condition.over}"
                verdict.found[line.place] = Found(text)
            elif condition.under is not None:
                watched = seen[camera].watched if (camera := Camera(*line[:2])) in seen else 0
                if watched < _WATCHED * length:
                    verdict.unknown.add(line.place)
                elif whole < condition.under:
                    text = (
                        f"{_over(line)}: {whole} in {_span(condition.minutes)}, fewer than {condition.under}"
                    )
                    verdict.found[line.place] = Found(text)

    async def _habit(
        self,
        condition: rules.Unusual | rules.Silent,
        scope: Scope,
        nodes: Sequence[str],
        spans: Sequence[Span],
        verdict: Verdict,
    ) -> None:
        """Compare the last whole hour with the same one of the weeks before, see `weekday_hours`."""
        lines = await self._crossings(scope, nodes, spans, lambda row: True)
        quiet = isinstance(condition, rules.Silent)
        asked = {line.node for line, counts in lines.items() if not quiet or counts[0] == 0}
        seen = [await self._many.seen(asked, span) for span in spans] if asked else []
        for line, counts in lines.items():
            if line.node not in asked:
                continue
            hours = [one[camera].watched if (camera := Camera(*line[:2])) in one else 0 for one in seen]
            rates = [
                count * HOUR / watched if watched >= _WATCHED * (span[1] - span[0]) else None
                for count, watched, span in zip(counts, hours, spans, strict=True)
            ]
            usual = [rate for rate in rates[1:] if rate is not None]
            if rates[0] is None or len(usual) < rules.LEAST_WEEKS:
                verdict.unknown.add(line.place)
            elif text := strange(condition, rates[0], usual):
                verdict.found[line.place] = Found(f"{_over(line)}: {text}")

    # ── objects and time ──

    async def _share(
        self, condition: rules.ShareOf, scope: Scope, nodes: Sequence[str], at: int, verdict: Verdict
    ) -> None:
        now = (at // MINUTE + 1) * MINUTE
        span = (now - condition.minutes * MINUTE, now)
        objects: dict[Camera, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (node, row), (amount,) in (await self._many.counted("object", nodes, [span])).items():
            if row.label != wire.UNKNOWN and holds_camera(scope, row.camera):
                objects[Camera(node, row.camera)][row.label] += amount
        told = set()
        for camera, labels in objects.items():
            total = sum(labels.values())
            if total < condition.people:
                continue
            told.add(camera)
            share = 100 * labels.get(condition.label, 0) / total
            if how := condition.broken(share):
                what = f"{share:.1f} % of {total} objects are {condition.label}, {how} %"
                verdict.found[Place(*camera)] = Found(f"{camera.node} {camera.camera}: {what}")
        verdict.unknown |= {Place(*camera) for camera in set(objects) - told}
        verdict.unknown |= {Place(node) for node in set(nodes) - {camera.node for camera in objects}}

    async def _blind(
        self, condition: rules.Blind, scope: Scope, nodes: Sequence[str], at: int, verdict: Verdict
    ) -> None:
        told = (at - LATE_MS) // MINUTE * MINUTE
        length = condition.minutes * MINUTE
        seen = await self._many.seen(nodes, (told - length, told))
        for camera, times in seen.items():
            share = 100 * times.blind / length
            if holds_camera(scope, camera.camera) and share > condition.percent:
                what = f"blind for {times.blind / MINUTE:.0f} of the last {_span(condition.minutes)}"
                verdict.found[Place(*camera)] = Found(f"{camera.node} {camera.camera} was {what}")
        verdict.unknown |= {Place(node) for node in set(nodes) - {camera.node for camera in seen}}


def strange(condition: rules.Unusual | rules.Silent, rate: float, usual: Sequence[float]) -> str:
    """Return in words how an hour's count differs from the usual ones; empty if it does not."""
    if isinstance(condition, rules.Silent):
        least = min(usual)
        return (
            f"nothing in an hour, where {least:.0f} is the least"
            if not rate and least >= condition.least
            else ""
        )
    middle = median(usual)
    if middle < condition.least:
        return ""
    change = 100 * (rate - middle) / middle
    side = "more" if change > 0 else "fewer"
    if abs(change) <= condition.percent or condition.side not in ("both", side):
        return ""
    return f"{rate:.0f} in an hour, {abs(change):.0f} % {side} than the usual {middle:.0f}"


def weekday_hours(at: int, weeks: int, zone: ZoneInfo) -> list[Span]:
    """Return the last whole hour before a moment, and the same hour of the weeks before, the newest first.

    The hours are the local clock's: where it was changed in between, they are the same on the clock.
    """
    end = bucket_start(at, "hour", zone)
    start = datetime.fromtimestamp((end - HOUR) / 1000, zone)
    spans = [(end - HOUR, end)]
    for week in range(1, weeks + 1):
        begin = int(
            (start.replace(tzinfo=None) - timedelta(weeks=week)).replace(tzinfo=zone).timestamp() * 1000
        )
        spans.append((begin, begin + HOUR))
    return spans


def _over(line: Line) -> str:
    return f"{line.node} {line.camera} {line.line}"


def _span(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
