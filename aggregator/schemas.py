"""What the API takes and gives, as types. OpenAPI is made from these. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent import wire

NodeState = Literal["online", "offline", "stale"]
Point = tuple[wire.Fraction, wire.Fraction]


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
    direction: str
    label: str
    count: int


class Camera(Struct):
    """A camera as its node sees it, and its day. `last_known`: as it was when the node was last heard.

    `first_seen`: when it was first told of; what lies before is not time in which nobody watched.
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


class Node(Struct):
    """A node in the fleet. `since`: when it came into its state; `title`: how people call it."""

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


class Fleet(Struct):
    """All nodes. `join`: the line that adds one. `waiting`: who was added and has not come yet."""

    at: int
    nodes: list[Node]
    join: str
    waiting: list[Waiting] = []


class CountRow(Struct):
    """What one row counted in one bucket. A minute that nobody watched is not a minute without traffic.

    `rate`: how many in an hour of watching; null where nothing was watched.
    """

    start: int
    camera: str
    line: str
    version: int
    direction: str
    label: str
    count: int
    watched_seconds: float
    blind_seconds: float
    rate: float | None


class Counts(Struct):
    """Counts by bucket."""

    rows: list[CountRow]


class FleetCountRow(Struct):
    """What lines of one name counted in one bucket, over several nodes; by node: what one row of it counted.

    `watched_seconds`: of all cameras that were asked for (by node: of this camera). `node` and `camera` are
    empty and `version` is 0 where several are added up.
    """

    start: int
    node: str
    camera: str
    line: str
    version: int
    direction: str
    label: str
    count: int
    watched_seconds: float


class FleetCounts(Struct):
    """Counts of several nodes by bucket; `nodes`: how many were asked."""

    rows: list[FleetCountRow]
    nodes: int


class TallyRow(Struct):
    """A camera's bucket: what was seen of the time, objects that were new in it, frames, latency.

    `unseen`: spans (from, to) in which nothing was seen, blind or never told of. A bucket of which nothing
    at all was told has no row and is unseen as a whole.
    """

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
    unseen: list[tuple[int, int]] = []


class Tallies(Struct):
    """Tallies by bucket."""

    rows: list[TallyRow]


class ShareRow(Struct):
    """A label's share of a bucket's objects, with its 95 % interval after Wilson, `low` to `high`.

    `total`: the objects whose label is known; for "unknown" itself, all objects. Null where there are none.
    """

    start: int
    camera: str
    label: str
    count: int
    total: int
    share: float | None
    low: float | None
    high: float | None


class Shares(Struct):
    """Shares by bucket."""

    rows: list[ShareRow]


class SpeedRow(Struct):
    """How fast a line was crossed: how often that is known, mean, median and 85th percentile, km/h."""

    camera: str
    line: str
    direction: str
    label: str
    count: int
    mean: float
    p50: float
    p85: float


class Speeds(Struct):
    """Speeds by line, direction and label."""

    rows: list[SpeedRow]


class TripRow(Struct):
    """Objects that went from one gate (`line:AB`, or a zone) to another; the median of their seconds.

    `seconds_p50` is null where the tracks have expired.
    """

    camera: str
    origin: str
    destination: str
    label: str
    count: int
    seconds_p50: float | None


class Trips(Struct):
    """Trips, the most frequent first."""

    rows: list[TripRow]


class ZoneRow(Struct):
    """A zone's bucket: who came in and left, how full it and its queue were, how long stays were.

    Means are over the watched time; they and the peaks are null where nothing was watched. `stays`: how many
    ended whose length is known; `dwell_p50`: the median of these, seconds.
    """

    start: int
    camera: str
    zone: str
    version: int
    entered: int
    left: int
    occupancy_mean: float | None
    occupancy_peak: int | None
    queue_mean: float | None
    queue_peak: int | None
    stays: int
    dwell_p50: float | None
    watched_seconds: float


class Zones(Struct):
    """Zones by bucket."""

    rows: list[ZoneRow]


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

    role: str


class Site(Struct):
    """What belongs to the place."""

    timezone: str


class Me(Struct):
    """Who asks. `sites`, `groups`: to which nodes that is limited; both empty: all.

    `first`: nobody has a name and a password yet, and this one may make the first administrator.
    """

    user: str
    role: str
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
