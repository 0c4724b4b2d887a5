"""The tables of the API, as types: what was counted and seen, by bucket. Times are Unix milliseconds."""

from __future__ import annotations

from msgspec import Struct

from aggregator.schemas import Direction


class CountRow(Struct):
    """What one row counted in one bucket. A minute that nobody watched is not a minute without traffic.

    `rate`: how many in an hour of watching; null where nothing was watched.
    """

    start: int
    camera: str
    line: str
    version: int
    direction: Direction
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
    direction: Direction
    label: str
    count: int
    watched_seconds: float


class FleetCounts(Struct):
    """Counts of several nodes by bucket; `nodes`: how many were asked.

    `timezone`: in which the buckets begin: the nodes' own where they share one, else the centre's.
    """

    rows: list[FleetCountRow]
    nodes: int
    timezone: str


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
    direction: Direction
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
