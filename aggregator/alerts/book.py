"""One rule's alerts: what was found becomes an alert, is told, joined by others, closed. No clock, no I/O.

    found ──hold──▶ matured ─┬─▶ joins the alert of the last minutes, told as "more", once
                             └─▶ a new alert ──gather──▶ told ──all clear for a while──▶ closed, told

What always holds: a place stands in at most one alert that is not closed. Of one rule there is at most one
message in `JOIN_MS` and one more, however many places it finds: 1,000 boxes that go offline together are one
alert and one message. What is not known changes nothing. An alert is saved before it is told, and a
message's id is made of the alert's and its number, so whatever is done twice is the same message. An alert
that a person has taken on is joined by nobody; one closed by hand stays quiet until its places are clear.
What gets worse than anybody was told is told at once, also to who has taken it on, and once in an alert.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, field

from aggregator.alerts.places import Place, Verdict
from aggregator.alerts.rules import Rule, Severity

GATHER_MS = 10_000  # what is found meanwhile goes into the same message; so long nothing more may come
GATHER_MOST_MS = 60_000  # however much still comes
JOIN_MS = 300_000  # what is found meanwhile joins the alert, and is told together
CROWD = 10  # from here on, those that have not held for long are told along with those that have
CALM_MS = 60_000  # the longest for which all must be clear before an alert is closed

State = Literal["open", "acknowledged", "snoozed", "closed"]
What = Literal["opened", "more", "worse", "reminder", "closed", "test"]


class Part(Struct):
    """A place of an alert: since when it was so, and until when, 0 if it still is; how bad at worst."""

    node: str
    camera: str
    gate: str
    text: str
    since: int
    until: int = 0
    grade: int = 0

    @property
    def place(self) -> Place:
        """The same as a key."""
        return Place(self.node, self.camera, self.gate)


class Alert(Struct):
    """What a rule found, with everybody that it concerns. Times are Unix ms.

    `told`: how many of its parts a message has named, `told_grade`: how bad they were; `messages`: how many
    there were; `clear`: since when all parts are clear, 0 if one is not; `grown`: when the last part came;
    `quiet`: it was closed by hand while it still held.
    """

    id: str
    rule: str
    name: str
    kind: str
    severity: Severity
    opened: int
    state: State = "open"
    parts: list[Part] = field(default_factory=list)
    told: int = 0
    told_grade: int = 0
    messages: int = 0
    clear: int = 0
    grown: int = 0
    snoozed_until: int = 0
    changed: int = 0
    changed_by: str = ""
    closed: int = 0
    why: str = ""
    quiet: bool = False

    @property
    def grade(self) -> int:
        """How bad it was at worst."""
        return max((part.grade for part in self.parts), default=0)

    @property
    def standing(self) -> list[Part]:
        """The parts that are not clear."""
        return [part for part in self.parts if not part.until]


class Telling(Struct):
    """A message that is due: what it is about, and its number in its alert."""

    alert: Alert
    what: What
    number: int


class Book:
    """The alerts of one rule. `alerts`: those that are not closed, and those that wait to be clear."""

    def __init__(self, rule: Rule, alerts: list[Alert]) -> None:
        self.rule = rule
        self.alerts = {alert.id: alert for alert in alerts}
        self.changed: dict[str, Alert] = {}  # to be saved
        self.moved: set[str] = set()  # those whose state was changed here, not by a person
        self._pending: dict[Place, int] = {}  # since when it was found

    def step(self, verdict: Verdict, at: int) -> list[Telling]:
        """Take what the rule finds now; return what has to be told. `at`: Unix ms."""
        for alert in self.alerts.values():
            self._refresh(alert, verdict, at)
        matured = self._matured(verdict, at)
        if matured:
            self._enter(matured, verdict, at)
        return [telling for alert in list(self.alerts.values()) for telling in self._due(alert, at)]

    def end(self, why: str, at: int) -> None:
        """Close all of it: the rule is gone."""
        for alert in self.alerts.values():
            if alert.state != "closed":
                self._close(alert, at, why)
            alert.quiet = False
            self._move(alert)

    def saved(self, alert: Alert) -> None:
        """Forget an alert that was saved; it is let go when nothing of it is to come."""
        self.changed.pop(alert.id, None)
        self.moved.discard(alert.id)
        if alert.state == "closed" and not alert.quiet:
            self.alerts.pop(alert.id, None)

    # ── places ──

    def _refresh(self, alert: Alert, verdict: Verdict, at: int) -> None:
        """See which parts of an alert still hold."""
        before = [(part.until, part.text, part.grade) for part in alert.parts]
        for part in alert.parts:
            place = part.place
            if place in verdict.found and not _over(part, at):
                part.until = 0
                part.text = verdict.found[place].text
                part.grade = max(part.grade, verdict.found[place].grade)
            elif not part.until and verdict.knows(place):
                part.until = at
        clear = 0 if alert.standing else alert.clear or at
        if clear != alert.clear or before != [(part.until, part.text, part.grade) for part in alert.parts]:
            alert.clear = clear
            self.changed[alert.id] = alert

    def _matured(self, verdict: Verdict, at: int) -> dict[Place, int]:
        """Return the places that are new and have held for long enough, with since when."""
        known = {part.place for alert in self.alerts.values() for part in alert.parts if not _over(part, at)}
        waiting = {}
        for place, found in verdict.found.items():
            if place not in known:
                waiting[place] = found.since or self._pending.get(place, at)
        for place, since in self._pending.items():
            if place not in verdict.found and place not in known and not verdict.knows(place):
                waiting[place] = since  # not known now: it goes on waiting
        self._pending = waiting
        held = {
            place: since
            for place, since in waiting.items()
            if at - since >= self.rule.hold and place in verdict.found
        }
        newest = self._newest(at)
        gathering = len(newest.parts) if newest is not None and not newest.told else 0
        if (held or gathering) and len(waiting) + gathering >= CROWD:
            held = {place: since for place, since in waiting.items() if place in verdict.found}
        return held

    def _enter(self, matured: dict[Place, int], verdict: Verdict, at: int) -> None:
        """Let places into the alert of the last minutes, or into a new one."""
        alert = self._newest(at)
        if alert is None:
            rule = self.rule
            alert = Alert(f"{rule.id}-{at:x}", rule.id, rule.name, rule.kind, rule.severity, at)
            self.alerts[alert.id] = alert
        for place, since in sorted(matured.items()):
            found = verdict.found[place]
            alert.parts.append(Part(*place, found.text, since, grade=found.grade))
            del self._pending[place]
        alert.clear = 0
        alert.grown = at
        self.changed[alert.id] = alert

    def _newest(self, at: int) -> Alert | None:
        """Return the alert that others may still join."""
        joinable = [
            alert
            for alert in self.alerts.values()
            if alert.state in ("open", "snoozed") and at - alert.opened < JOIN_MS
        ]
        return max(joinable, key=lambda alert: alert.opened, default=None)

    # ── what is due ──

    def _due(self, alert: Alert, at: int) -> Iterator[Telling]:
        """Iterate over what has to be told of an alert now."""
        age = at - alert.opened
        if alert.state == "closed":
            if alert.clear and alert.quiet:
                alert.quiet = False
                self._move(alert)
            return
        if alert.state == "snoozed" and at >= alert.snoozed_until:
            alert.state = "open"
            self._move(alert)
            if alert.told and alert.standing:
                yield self._tell(alert, "reminder")
        if alert.told and alert.grade > alert.told_grade and alert.standing:
            yield self._tell(alert, "worse")
        loud = alert.state == "open"
        gathered = at - alert.grown >= GATHER_MS or age >= GATHER_MOST_MS
        if loud and not alert.told and gathered and alert.standing:
            yield self._tell(alert, "opened")
        elif loud and 0 < alert.told < len(alert.parts) and age >= JOIN_MS and alert.standing:
            yield self._tell(alert, "more")
        if alert.clear and at - alert.clear >= min(self.rule.hold, CALM_MS) and age >= GATHER_MS:
            self._close(alert, at, "all clear")
            if alert.told and self.rule.tell_closed:
                yield self._tell(alert, "closed")

    def _tell(self, alert: Alert, what: What) -> Telling:
        alert.messages += 1
        alert.told = len(alert.parts)
        alert.told_grade = alert.grade
        self.changed[alert.id] = alert
        return Telling(alert, what, alert.messages)

    def _close(self, alert: Alert, at: int, why: str) -> None:
        alert.state = "closed"
        alert.closed = at
        alert.why = why
        self._move(alert)

    def _move(self, alert: Alert) -> None:
        self.changed[alert.id] = alert
        self.moved.add(alert.id)


def _over(part: Part, at: int) -> bool:
    """True if a part has been clear for so long that the next time is another matter."""
    return 0 < part.until < at - JOIN_MS
