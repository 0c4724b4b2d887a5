"""What a rule says: a condition, where it applies, how long it has to hold, and who is told.

What always holds: a rule is strict when it is written (an unknown key is refused with its path) and each
kind of condition is a type of its own, told apart by `kind`. `over` means more than, `under` fewer than.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent import wire

Severity = Literal["info", "warning", "critical"]
Text = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
Pattern = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Patterns = Annotated[list[Pattern], Meta(max_length=500)]
Amount = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Share = Annotated[float, Meta(ge=0, le=100)]
Minutes = Annotated[int, Meta(ge=1, le=1440)]
Weeks = Annotated[int, Meta(ge=2, le=26)]
OutletName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
LEAST_WEEKS = 2  # of the same weekday-hour that were watched, before anything is called usual


class Condition(Struct, forbid_unknown_fields=True, frozen=True, tag_field="kind"):
    """What all conditions have: nothing but their kind."""


class Offline(Condition, tag="offline", frozen=True):
    """A node is offline, or nothing has been heard of it for 150 s."""


class Camera(Condition, tag="camera", frozen=True):
    """A camera of a node that is online gives no pictures: any state but ok and ended."""


class Blind(Condition, tag="blind", frozen=True):
    """A camera told that it was blind for more than a share of the last minutes."""

    percent: Share = 50.0
    minutes: Minutes = 60


class Moved(Condition, tag="moved", frozen=True):
    """A camera does not look any more where it looked when its lines were drawn."""


class Dark(Condition, tag="dark", frozen=True):
    """A camera's picture is too dark to be counted on."""


class Unfocused(Condition, tag="unfocused", frozen=True):
    """A camera's picture is not sharp any more."""


class Dirty(Condition, tag="dirty", frozen=True):
    """A part of a camera's picture does not change any more: something is on the lens, or before it."""


class Flickering(Condition, tag="flickering", frozen=True):
    """A camera's picture grows bright and dark in turn."""


class Frozen(Condition, tag="frozen", frozen=True):
    """A camera gives the same picture again and again; its time is blind."""


class Heat(Condition, tag="heat", frozen=True):
    """A box is hotter than so many degrees Celsius."""

    degrees: Annotated[int, Meta(ge=0, le=150)] = 80


class Disk(Condition, tag="disk", frozen=True):
    """A box's disk is fuller than this."""

    percent: Share = 90.0


class Storage(Condition, tag="storage", frozen=True):
    """The database's disk has little room left: single events go before their time, or nothing is stored."""


class Drift(Condition, tag="drift", frozen=True):
    """A node does not run the document that is wanted of it, or refused it."""


class Clone(Condition, tag="clone", frozen=True):
    """Two boxes send under one name."""


class Limits(Condition, frozen=True):
    """More than `over` or fewer than `under`; one of them at least."""

    over: Share | None = None
    under: Share | None = None

    def __post_init__(self) -> None:
        if self.over is None and self.under is None:
            raise ValueError("say `over` or `under`")

    def broken(self, value: float) -> str:
        """Return how a value breaks the limits, in words; empty if it keeps them."""
        if self.over is not None and value > self.over:
            return f"more than {self.over:g}"
        if self.under is not None and value < self.under:
            return f"less than {self.under:g}"
        return ""


class Count(Limits, tag="count", frozen=True):
    """Crossings of a line within the last minutes. `under` is judged only of time that was watched."""

    over: Amount | None = None
    under: Amount | None = None
    minutes: Minutes = 60
    direction: Literal["", "AB", "BA"] = ""
    labels: list[wire.Label] = []


class Unusual(Condition, tag="unusual", frozen=True):
    """A line's last whole hour differs from the median of the same weekday's hours before.

    `percent`: by how much; `least`: how many an hour are usual at least. Hours are compared by watched time.
    """

    percent: Annotated[float, Meta(ge=1, le=1000)] = 50.0
    side: Literal["both", "more", "fewer"] = "both"
    weeks: Weeks = 8
    least: Amount = 20


class Silent(Condition, tag="silent", frozen=True):
    """A line counted nothing in its last whole hour, which was watched, where something always is.

    `least`: the fewest of the same weekday's hours before.
    """

    weeks: Weeks = 8
    least: Annotated[int, Meta(ge=1, le=1_000_000)] = 5


class Occupancy(Limits, tag="occupancy", frozen=True):
    """How many are in a zone, by its last minute: as it ended, on average, or at most."""

    over: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    under: Annotated[float, Meta(ge=0, le=100_000)] | None = None
    measure: Literal["now", "mean", "peak"] = "now"
    queue: bool = False


class ShareOf(Limits, tag="share", frozen=True):
    """A label's percentage of the objects whose label is known, where they are `people` at least."""

    label: wire.Label = "with_mask"
    people: Annotated[int, Meta(ge=1, le=1_000_000)] = 20
    minutes: Minutes = 60


AnyCondition = (
    Offline | Camera | Blind | Moved | Dark | Unfocused | Dirty | Flickering | Frozen
    | Heat | Disk | Storage | Drift | Clone | Count | Unusual | Silent | Occupancy | ShareOf
)  # fmt: skip

# Seconds for which a condition has to hold before it is an alert, where the rule does not say.
HOLD: dict[type, int] = {Offline: 120, Camera: 120, Frozen: 60, Heat: 60, Disk: 60, Storage: 30, Drift: 300}


class Scope(Struct, forbid_unknown_fields=True, frozen=True):
    """Where a rule applies; an empty list means everywhere. `*` in a name stands for any letters.

    `sites`, `groups` and `labels` are those of the nodes.
    """

    nodes: Patterns = []
    cameras: Patterns = []
    lines: Patterns = []
    zones: Patterns = []
    sites: Patterns = []
    groups: Patterns = []
    labels: Patterns = []


class RuleBody(Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule as it is written. `hold_seconds`: null means as its kind says."""

    name: Text
    condition: AnyCondition
    scope: Scope = Scope()
    severity: Severity = "warning"
    outlets: Annotated[list[OutletName], Meta(max_length=20)] = []
    hold_seconds: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    tell_closed: bool = True
    enabled: bool = True


class Rule(RuleBody, kw_only=True):
    """A rule as it is kept. `version` grows with each change."""

    id: str
    version: int = 1
    changed: int = 0
    changed_by: str = ""

    @property
    def kind(self) -> str:
        """The name of its kind of condition."""
        return str(type(self.condition).__struct_config__.tag)

    @property
    def hold(self) -> int:
        """For how many ms the condition has to hold."""
        seconds = HOLD.get(type(self.condition), 0) if self.hold_seconds is None else self.hold_seconds
        return seconds * 1000
