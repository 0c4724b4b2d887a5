"""What the API takes and gives, as types. OpenAPI is made from these. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent import wire

NodeState = Literal["online", "offline", "stale"]
Point = tuple[wire.Fraction, wire.Fraction]
Direction = Annotated[str, Meta(extra_json_schema={"enum": list(wire.DIRECTIONS)})]
RoleName = Annotated[str, Meta(extra_json_schema={"enum": ["viewer", "operator", "admin"]})]


class Reason(Struct, omit_defaults=True):
    """Why a request was refused: a word for programs, a sentence for people, at times more for programs."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class Error(Struct):
    """The one shape of every error."""

    error: Reason


class CountToday(Struct):
    """How often a line was crossed since the site's midnight."""

    camera: str
    line: str
    direction: Direction
    label: str
    count: int


class Camera(Struct):
    """A camera as its node sees it, and its day. `last_known`: as it was when the node was last heard.

    `first_seen`: when it was first told of; what lies before is not time in which nobody watched.
    `looked_regions`: what the second look took in its last minute, `oldest_region_seconds`: for how long the
    place that waits longest was not looked at again; both unknown where it has not told of a minute.
    `health`: what ails a camera that shows something all the same: that it has moved, by how much, since
    when, and which lines and zones are off.
    """

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
    last_known: bool = False
    first_seen: int | None = None
    looked_regions: int | None = None
    oldest_region_seconds: float | None = None
    health: list[wire.Ailment] = []
    source: str = ""
    from_centre: bool = False


class Node(Struct):
    """A node in the fleet. `since`: when it came into its state; `title`: how people call it.

    `timezone`: in which its days and hours begin. `allows`: what the box's owner lets the centre do:
    "cameras", to add and change them.
    """

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
    site: str = ""
    groups: list[str] = []
    labels: list[str] = []
    title: str = ""
    timezone: str = ""
    allows: list[str] = []


class ConfigState(Struct):
    """Which document is wanted, which runs, or why not.

    `refused`: what of the document has no effect on the node -> why. `since`, `by`: when and by whom the
    wanted one was set. `profile`: which runs, empty: none.
    """

    wanted: int
    applied: int
    error: str
    document: wire.Document
    refused: dict[str, str] = {}
    since: int | None = None
    by: str = ""
    profile: str = ""


class NodeDetail(Node, kw_only=True):
    """A node and its configuration."""

    config: ConfigState


class Waiting(Struct):
    """A node that was added and has not come yet; its line is good until then."""

    node: str
    until: int


class FleetSummary(Struct):
    """How many nodes are in which state; `blind`: cameras that see nothing now."""

    total: int
    online: int
    offline: int
    stale: int
    blind: int


class Fleet(Struct):
    """The nodes that were asked for. `join`: the line that adds one. `waiting`: who has not come yet.

    `summary` is of all that fit the question, not of this page only. `offset`: where the page begins.
    `next`: what to give as `after` for the next page; empty: this was the last.
    """

    at: int
    nodes: list[Node]
    join: str
    waiting: list[Waiting] = []
    summary: FleetSummary | None = None
    offset: int = 0
    next: str = ""


class Events(Struct):
    """Stored events in their readable form."""

    events: list[dict[str, Any]]


class Resources(Struct):
    """Samples of a box, oldest first."""

    rows: list[dict[str, Any]]


class Epoch(Struct):
    """How many events of one start of an agent are stored.

    `missing`: batches between its first and its last that are not: on their way, or lost with a database.
    """

    epoch: int
    stored: int
    missing: int = 0


class Departures(Struct):
    """Pictures that left a box, a row for each series of them, the newest first."""

    rows: list[wire.Departure]


class Delivery(Struct):
    """What arrived of a node, what it says it lost, what was refused.

    `lost_unknown`: more than `lost` may be gone; how many events cannot be known.
    """

    epochs: list[Epoch]
    lost: int
    conflicts: int
    quarantined: int
    lost_unknown: bool = False


class EraseBody(Struct, forbid_unknown_fields=True):
    """What is to be erased: single events from `since` to before `until`, Unix ms; neither: everything.

    `node`: its name once more, so that nothing is erased by mistake.
    """

    node: str
    since: Annotated[int, Meta(ge=0, le=7_258_118_400_000)] | None = None
    until: Annotated[int, Meta(ge=0, le=7_258_118_400_000)] | None = None


class Receipt(Struct):
    """What was erased, by collection; `left`: how much was found after, 0. The audit log has it too."""

    node: str
    at: int
    since: int | None
    until: int | None
    erased: dict[str, int]
    left: int


class LineBody(Struct, forbid_unknown_fields=True):
    """A counting line, drawn P -> Q."""

    points: wire.LinePoints
    anchor: wire.Anchor = "bottom"
    labels: list[wire.Label] = []


class ZoneBody(Struct, forbid_unknown_fields=True):
    """A zone: a polygon whose last point is joined to its first."""

    points: wire.ZonePoints
    anchor: wire.Anchor = "bottom"
    labels: list[wire.Label] = []


class PlaneBody(Struct, forbid_unknown_fields=True):
    """The road plane: four points round a patch of it, and where they lie on it in metres."""

    points: wire.PlanePoints
    metres: wire.PlaneMetres


class Version(Struct):
    """The version of the document that was sent to the node."""

    version: int


class LoginBody(Struct, forbid_unknown_fields=True):
    """A token, or a user and a password. `path`: below which the page lies, as the browser sees it."""

    token: Annotated[str, Meta(max_length=512)] = ""
    user: Annotated[str, Meta(max_length=64)] = ""
    password: Annotated[str, Meta(max_length=512)] = ""
    path: Annotated[str, Meta(max_length=200, pattern=r"^/([A-Za-z0-9._~%!$&'()*+=:@-]+/)*$")] = "/"


class Role(Struct):
    """What the one who logged in may do: viewer < operator < admin."""

    role: RoleName


class Site(Struct):
    """What belongs to the place."""

    timezone: str


class Me(Struct):
    """Who asks. `sites`, `groups`: to which nodes that is limited; both empty: all.

    `first`: nobody has a name and a password yet, and this one may make the first administrator.
    """

    user: str
    role: RoleName
    site: Site
    sites: list[str] = []
    groups: list[str] = []
    first: bool = False


class Health(Struct):
    """Whether everything makes progress, and what does not."""

    ok: bool
    reasons: list[str]


class Nothing(Struct):
    """An empty answer."""
