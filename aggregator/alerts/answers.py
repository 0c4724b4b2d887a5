"""What the API of alerts takes and gives, beside rules and outlets. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from aggregator.alerts.book import Alert, Part, State
from aggregator.alerts.messages import body, title
from aggregator.alerts.outlets import AnyOutlet, NamedOutlet
from aggregator.alerts.rules import AnyCondition, OutletName, Rule, Scope, Severity, Text


class Rules(Struct):
    """All rules."""

    rules: list[Rule]


class Outlets(Struct):
    """All outlets. Without the role admin, of a webhook's address only its host is shown."""

    outlets: list[NamedOutlet]


class RulePatch(Struct, forbid_unknown_fields=True):
    """What is to change of a rule. `version`: the one that was read; if another came since, it is refused."""

    name: Text | UnsetType = UNSET
    condition: AnyCondition | UnsetType = UNSET
    scope: Scope | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    outlets: Annotated[list[OutletName], Meta(max_length=20)] | UnsetType = UNSET
    hold_seconds: Annotated[int, Meta(ge=0, le=86_400)] | UnsetType | None = UNSET
    tell_closed: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    version: int | UnsetType = UNSET


class AlertPatch(Struct, forbid_unknown_fields=True):
    """What a person says of an alert. `minutes`: for how long it is snoozed."""

    state: Literal["open", "acknowledged", "snoozed", "closed"]
    minutes: Annotated[int, Meta(ge=1, le=43_200)] = 60


class OutletBody(Struct, forbid_unknown_fields=True):
    """An outlet as it is written."""

    outlet: AnyOutlet


class MessageRow(Struct):
    """A message of an alert, and what became of it: waiting, sent or given up."""

    what: str
    outlet: str
    state: str
    at: int
    attempts: int = 0
    error: str = ""


class AlertRow(Struct):
    """An alert. `count`: how many places; `standing`: those not clear; `parts`: the first of them."""

    id: str
    rule: str
    name: str
    kind: str
    severity: Severity
    state: State
    opened: int
    closed: int | None
    title: str
    text: str
    count: int
    standing: int
    parts: list[Part]
    snoozed_until: int | None = None
    changed_by: str = ""
    why: str = ""
    messages: list[MessageRow] = []


class History(Struct):
    """Alerts, the newest first."""

    alerts: list[AlertRow]


class Match(Struct):
    """Where a rule's condition holds now."""

    node: str
    camera: str
    gate: str
    text: str


class Sent(Struct):
    """How an outlet took a test message."""

    outlet: str
    ok: bool
    error: str = ""


class Tested(Struct):
    """What a rule would find now (`unknown`: where that cannot be said), and how its outlets took a test."""

    matches: list[Match]
    unknown: int
    sent: list[Sent]


class Brief(Struct):
    """An alert in a line, for the page's badge and toast."""

    id: str
    name: str
    severity: Severity
    state: State
    opened: int
    title: str


class Board(Struct):
    """The alerts that are not closed: how many nobody has taken on, and the newest."""

    open: int
    alerts: list[Brief]


_PARTS = 100


def row_of(alert: Alert, messages: list[MessageRow]) -> AlertRow:
    """Return an alert as the API shows it."""
    parts = sorted(alert.parts, key=lambda part: (part.until > 0, part.place))
    return AlertRow(
        id=alert.id, rule=alert.rule, name=alert.name, kind=alert.kind, severity=alert.severity,
        state=alert.state, opened=alert.opened, closed=alert.closed or None, title=title(alert, "opened"),
        text=body(alert, "opened"), count=len(parts), standing=len(alert.standing), parts=parts[:_PARTS],
        snoozed_until=alert.snoozed_until if alert.state == "snoozed" else None,
        changed_by=alert.changed_by, why=alert.why, messages=messages,
    )  # fmt: skip
