"""What the API takes and gives, as types. OpenAPI is made from these. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent import wire

NodeState = Literal["online", "offline", "stale"]
Point = tuple[wire.Fraction, wire.Fraction]


class Reason(Struct):
    """Why a request was refused: a word for programs, a sentence for people."""

    code: str
    message: str


class Error(Struct):
    """The one shape of every error."""

    error: Reason


class CountToday(Struct):
    """How often a line was crossed since the site's midnight."""

    camera: str
    line: str
    direction: str
    label: str
    count: int


class Camera(Struct):
    """A camera as its node sees it, and its day."""

    camera: str
    state: str
    fps: float | None
    watched_seconds_today: float
    blind_seconds_today: float
    reason: str = ""
    since: int = 0
    labels: list[str] = []
    model: str = ""
    size: tuple[int, int] = (0, 0)
    preview: bool = False
    objects_today: dict[str, int] = {}
    p95_ms: int | None = None


class Node(Struct):
    """A node in the fleet. `since`: when it came into its state."""

    node: str
    state: NodeState
    since: int
    cameras: list[Camera]
    cpu_percent: int | None
    memory_bytes: int | None
    counts_today: list[CountToday]
    warnings: list[str]
    last_seen: int | None = None
    version: str = ""
    temperature: int | None = None
    memory_percent: int | None = None
    disk_percent: int | None = None


class ConfigState(Struct):
    """Which document is wanted, which runs, or why not."""

    wanted: int
    applied: int
    error: str
    document: wire.Document


class NodeDetail(Node, kw_only=True):
    """A node and its configuration."""

    config: ConfigState


class Fleet(Struct):
    """All nodes. `join`: the line that adds one."""

    at: int
    nodes: list[Node]
    join: str


class CountRow(Struct):
    """What one row counted in one bucket. A minute that nobody watched is not a minute without traffic."""

    start: int
    camera: str
    line: str
    version: int
    direction: str
    label: str
    count: int
    watched_seconds: float
    blind_seconds: float


class Counts(Struct):
    """Counts by bucket."""

    rows: list[CountRow]


class TallyRow(Struct):
    """A camera's bucket: what was seen of the time, objects that were new in it, frames, latency."""

    start: int
    camera: str
    watched_seconds: float
    blind: dict[str, float]
    objects: dict[str, int]
    captured: int
    inferred: int
    dropped: int
    p50_ms: int
    p95_ms: int


class Tallies(Struct):
    """Tallies by bucket."""

    rows: list[TallyRow]


class Events(Struct):
    """Stored events in their readable form."""

    events: list[dict[str, Any]]


class Resources(Struct):
    """Samples of a box, oldest first."""

    rows: list[dict[str, Any]]


class Epoch(Struct):
    """How many events of one start of an agent are stored."""

    epoch: int
    stored: int


class Delivery(Struct):
    """What arrived of a node, what it says it lost, what was refused."""

    epochs: list[Epoch]
    lost: int
    conflicts: int
    quarantined: int


class LineBody(Struct, forbid_unknown_fields=True):
    """A counting line, drawn P -> Q."""

    points: Annotated[list[Point], Meta(min_length=2, max_length=8)]
    anchor: wire.Anchor = "bottom"
    labels: list[wire.Label] = []


class Version(Struct):
    """The version of the document that was sent to the node."""

    version: int


class LoginBody(Struct, forbid_unknown_fields=True):
    """A token, or a user and a password."""

    token: Annotated[str, Meta(max_length=512)] = ""
    user: Annotated[str, Meta(max_length=64)] = ""
    password: Annotated[str, Meta(max_length=512)] = ""


class Role(Struct):
    """What the one who logged in may do: viewer < operator < admin."""

    role: str


class Site(Struct):
    """What belongs to the place."""

    timezone: str


class Me(Struct):
    """Who asks."""

    user: str
    role: str
    site: Site


class Health(Struct):
    """Whether everything makes progress, and what does not."""

    ok: bool
    reasons: list[str]


class Nothing(Struct):
    """An empty answer."""
