"""What `GET /system` gives. Times are Unix milliseconds; None: it cannot be known, and `notes` say why."""

from __future__ import annotations

from msgspec import Struct


class AggregatorUse(Struct):
    """The aggregators together: CPU in percent of one core, resident memory."""

    count: int
    cpu_percent: float
    memory_bytes: int


class BrokerUse(Struct):
    """What the broker says of itself under `$SYS/broker`; rates are since the sample before."""

    clients: int | None = None
    memory_bytes: int | None = None
    messages_received_per_second: float | None = None
    messages_sent_per_second: float | None = None
    bytes_received_per_second: float | None = None
    bytes_sent_per_second: float | None = None
    dropped_per_second: float | None = None


class DatabaseUse(Struct):
    """The database. `bytes`: data and indexes on disk; `free_bytes`: of its disk.

    What is not of `dbStats` needs the role clusterMonitor. CPU in percent of one core.
    """

    bytes: int
    free_bytes: int | None = None
    memory_bytes: int | None = None
    connections: int | None = None
    cpu_percent: float | None = None
    operations_per_second: float | None = None


class NodesUse(Struct):
    """The nodes: how many are in which state; over those online their mean and highest figures."""

    online: int
    offline: int
    stale: int
    cpu_percent: float | None = None
    cpu_percent_most: int | None = None
    memory_bytes: int | None = None
    temperature_most: int | None = None
    frames_per_second: float | None = None
    gpu_percent: float | None = None  # of those that have a GPU
    gpu_percent_most: int | None = None
    watts: float | None = None  # of those whose board tells, added
    watts_most: float | None = None
    joules_per_count: float | None = None  # their mean


class SystemRow(Struct):
    """One moment: what each part used; None where it was not measured or did not answer."""

    at: int
    aggregators: AggregatorUse | None = None
    broker: BrokerUse | None = None
    database: DatabaseUse | None = None
    nodes: NodesUse | None = None


class Disk(Struct):
    """The disk of the database.

    `day_bytes`: how much it grew in a day, by the last 24 hours; `measured_seconds`: how long of them was
    measured. `in_30_days`: how much it is then at this rate; None while less than an hour is known.
    """

    bytes: int | None
    free_bytes: int | None
    day_bytes: int | None
    in_30_days: int | None
    measured_seconds: int


class Keeping(Struct):
    """How long what is kept, in days, as it is in force; and what room there is for it.

    `room`: enough, low (details go before their time), full (nothing is stored, the boxes keep it), unknown.
    `low_bytes`, `full_bytes`: below which of `room_bytes` it is so; `trouble`: what to do, empty if nothing.
    """

    detail_days: int
    tally_days: int
    batch_days: int
    history_days: int
    pictures_days: int
    room: str
    room_bytes: int | None
    low_bytes: int
    full_bytes: int
    trouble: str


class System(Struct):
    """Resource use of every part, oldest first, a row each `step_seconds`; `notes`: what cannot be known."""

    at: int
    step_seconds: int
    rows: list[SystemRow]
    disk: Disk
    keeping: Keeping
    notes: list[str]
