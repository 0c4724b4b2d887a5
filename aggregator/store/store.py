"""All of MongoDB: the schema, the durable order of writes, and every question that is asked.

What always holds:

* A batch is stored in this order: claim it with its events, insert the rest, raise the counts, mark it `d`
  with a journaled write. Only what is marked may be acknowledged. Each step can be repeated: ids make inserts
  idempotent, counts move by `$min` and `$max` only.
* Details expire by `stored_at`, the centre's clock, never by a box's, and only while that clock is believed
  (see `clock`): the database deletes nothing by itself.
* What the database cannot do now is a `StoreError` of one line. Motor is imported by this module only.

    events tallies losses resources    what nodes report, see `codec`; `events` of earlier versions
    counts                             bounds of running totals by hour, see `counts`
    days derived                       what days of nodes came to, see `history`
    batches                            what was stored: names, checksums, and events, see `detail`
    quarantine conflicts               what was refused, and why
    nodes wants wanted audit           the fleet, its desired documents and earlier ones, who changed them
    renames                            names that boxes are asked to take
    copies apart                       boxes of which there are two, and what a copy told
    invitations applications           codes for several boxes; boxes that wait for a word
    profiles overrides orders          settings by the clock and by hand; orders and their answers
    departures                         pictures that left boxes
    users sessions tokens              who may log in, who is
    sites groups places                where nodes stand, and what they belong to
    aggregators leases watches         which of them live, which does what, what is looked at there
    system_samples                     what every part spent, see `system`
    boxclocks                          of the boxes, by epoch, see `boxclock`
    clocks                             of the machines on which the centre ran
    outside                            what other systems were told
    alert_rules alert_outlets alerts outbox   see `alert_book`
    meta                               the schema's version
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import InsertOne, WriteConcern
from pymongo.errors import PyMongoError

from aggregator.store import bulk, schema
from aggregator.store.alert_book import AlertBook
from aggregator.store.archive import Archive
from aggregator.store.audit import Audit
from aggregator.store.chains import Chains
from aggregator.store.clocks import Clocks
from aggregator.store.clones import CloneStore
from aggregator.store.codec import EVENTS, LOSSES, RESOURCES, TALLIES, UNKNOWN_LOSSES
from aggregator.store.count_store import CountStore
from aggregator.store.departures import DepartureStore
from aggregator.store.dump import Dump
from aggregator.store.erase import Erase
from aggregator.store.errors import StoreAwayError, StoreError, translated
from aggregator.store.history import History
from aggregator.store.joins import JoinStore
from aggregator.store.kept import KEPT_POISON, Kept
from aggregator.store.leases import Leases
from aggregator.store.many import Many
from aggregator.store.orders import OrderStore
from aggregator.store.outside import OutsideStore
from aggregator.store.parcel import Claim, Poison
from aggregator.store.people import People
from aggregator.store.places import PlaceStore
from aggregator.store.redate import Redate
from aggregator.store.registry import Registry
from aggregator.store.rename import RenameStore
from aggregator.store.retention import Keep, Retention
from aggregator.store.room import Room
from aggregator.store.running_totals import Marks
from aggregator.store.schema import SCHEMA
from aggregator.store.sharding import Sharding
from aggregator.store.slots import Slots
from aggregator.store.system import SystemStore
from aggregator.store.today import Today

__all__ = ["KEPT_POISON", "SCHEMA", "Claim", "Poison", "Store", "connect"]

_LOG = logging.getLogger(__name__)
_PING_SECONDS = 5.0

Document = dict[str, Any]


class Engine(NamedTuple):
    """What kind of database it is: `alone`, `a replica set` or `sharded`."""

    kind: str
    version: tuple[int, ...]


class Store:
    """One database. Made by `connect`.

    `archive` reads back what was stored, `slots` and `chains` tallies and running totals, `today` the day of
    many nodes; `history` keeps days ready to be read for years; `registry` keeps nodes, `people` who may come
    in, `places` where nodes stand, `audit` who did what; `kept` what was refused; `retention` deletes what
    has expired; `clocks` knows by which clocks it was dated; `dump` copies it all, `erase` erases; `leases`
    says which of several aggregators does what is to be done once; `room` how much more there is room for.
    """

    def __init__(self, client: Any, database: str, where: str) -> None:
        self.where = where
        self._client = client
        self._database = client[database]
        self._journaled = self._database.with_options(write_concern=WriteConcern(w="majority", j=True))
        self._counts = CountStore(where)
        self.archive = Archive(self._database, where)
        self.slots = Slots(self._database, where)
        self.chains = Chains(self._database, where)
        self.history = History(self._journaled, where, self.chains, self.slots)
        self.registry = Registry(self._journaled, where)
        self.people = People(self._journaled, where)
        self.places = PlaceStore(self._journaled, where)
        self.clones = CloneStore(self._journaled, where, self.history.mark, self.raise_counts)
        self.renames = RenameStore(self._journaled, where)
        self.joins = JoinStore(self._journaled, where)
        self.orders = OrderStore(self._journaled, where)
        self.departures = DepartureStore(self._journaled, where)
        self.audit = Audit(self._journaled, where)
        self.erase = Erase(self._journaled, where)
        self.kept = Kept(self._journaled, where)
        self.clocks = Clocks(self._journaled, where)
        self.redate = Redate(self._journaled, where, self.raise_counts, self.history.mark)
        self.room = Room(self._journaled, where)
        self.retention = Retention(client, self._journaled, where, self.history, self.room)
        self.sharding = Sharding(client, self._journaled, where)
        self.today = Today(self._database, where)
        self.dump = Dump(self._journaled, where)
        name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
        self.leases = Leases(self._journaled, where, name)
        self.alert_book = AlertBook(self._journaled, where)
        self.outside = OutsideStore(self._journaled, where)
        self.many = Many(self._database, where)
        self.system = SystemStore(self._journaled, where)

    # ── opening ──

    async def prepare(self, keep: Keep) -> None:
        """Check the schema's version, make collections and indexes; raise StoreError."""
        with translated(self.where):
            if "setName" in await self._client.admin.command("hello"):
                self._database = self._journaled  # a replica set: only the majority's word counts
            await schema.check(self._database, self.where)
            await schema.make(self._database)
            await self.orders.prepare()
            await self.departures.prepare()
            await self.history.prepare()
            await self.alert_book.prepare()
            await self.system.prepare()
            await self.retention.prepare(keep)

    async def engine(self) -> Engine:
        """Return what kind of database this is."""
        with translated(self.where):
            hello = await self._client.admin.command("hello")
            info = await self._client.admin.command("buildInfo")
        kind = (
            "sharded"
            if hello.get("msg") == "isdbgrid"
            else "a replica set"
            if "setName" in hello
            else "alone"
        )
        return Engine(kind, tuple(info["versionArray"][:3]))

    async def ping(self) -> None:
        """Raise StoreError if the database does not answer."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                with translated(self.where):
                    await self._client.admin.command("ping")
        except TimeoutError:
            raise StoreError(f"MongoDB at {self.where} does not answer: see whether it is stuck") from None

    # ── the durable order ──

    async def claim(self, claims: Sequence[Claim], stored_at: datetime) -> list[str]:
        """Claim batches; return for each "new", "known" (not yet stored), "stored" or "conflict".

        Raise StoreFullError where there is no room.
        """
        self.room.check()
        rows = [InsertOne(claim.row(stored_at)) for claim in claims]
        with translated(self.where):
            taken = set(await bulk.write(self._database.batches, rows, self.where))
            if not taken:
                return ["new"] * len(claims)
            ids = [claims[place].id for place in taken]
            held = self._database.batches.find({"_id": {"$in": ids}}, {"s": 1, "d": 1})
            found = {row["_id"]: row async for row in held}
        return [
            self._judge(claim, found.get(claim.id)) if place in taken else "new"
            for place, claim in enumerate(claims)
        ]

    @staticmethod
    def _judge(claim: Claim, row: Document | None) -> str:
        if row is None:  # it expired this very moment
            return "known"
        if row["s"] != claim.sum:
            return "conflict"
        return "stored" if row.get("d") else "known"

    async def insert(self, name: str, rows: Sequence[Any]) -> dict[int, str]:
        """Insert documents, those already there ignored; return place -> reason of what is refused."""
        if not rows:
            return {}
        with translated(self.where):
            failed = await bulk.write(self._database[name], [InsertOne(row) for row in rows], self.where)
        return {place: reason for place, (code, reason) in failed.items() if code != bulk.DUPLICATE}

    async def raise_counts(self, marks: Marks, stored_at: datetime) -> None:
        """Widen the bounds of running totals, and note of which days that is late."""
        with translated(self.where):
            await self._counts.widen(self._database.counts, list(marks.bounds(stored_at)))
        if marks.hours:
            await self.history.mark({(key.node, key.hour) for key in marks.hours})

    async def mark_stored(self, ids: Sequence[str]) -> None:
        """Mark batches stored, journaled; when this returns they may be acknowledged."""
        with translated(self.where):
            done = await self._journaled.batches.update_many(
                {"_id": {"$in": list(ids)}}, {"$set": {"d": True}}
            )
        if done.matched_count != len(set(ids)):
            raise StoreError(f"MongoDB at {self.where} lost claims that it had taken; they are written again")

    async def troubles(self) -> dict[str, dict[str, int]]:
        """Return node -> how much of `conflicts`, `quarantine`, `losses` and unknown losses there is."""
        found: dict[str, dict[str, int]] = {}
        unknown = dict.fromkeys(await self.archive.unknown_losses(), 1)
        kinds = {**await self.kept.amounts(), LOSSES: await self.archive.losses(), UNKNOWN_LOSSES: unknown}
        for name, amounts in kinds.items():
            for node, amount in amounts.items():
                found.setdefault(node, {})[name] = amount
        return found

    # ── how much it is ──

    async def size(self) -> Document:
        """Return collection -> (documents, bytes of data and indexes on disk)."""
        sizes: Document = {}
        with translated(self.where):
            await self._client.admin.command({"fsync": 1})
            for name in (EVENTS, TALLIES, LOSSES, RESOURCES, "counts", "days", "batches"):
                stats = await self._database.command("collStats", name)
                sizes[name] = (stats["count"], stats["storageSize"] + stats["totalIndexSize"])
        return sizes


@asynccontextmanager
async def connect(
    uri: str,
    database: str,
    *,
    ca_file: str = "",
    detail_days: int = 30,
    tally_days: int = 730,
    batch_days: int = 90,
    history_days: int = 3650,
    pictures_days: int = 366,
    patience: float = 0.0,
) -> AsyncIterator[Store]:
    """Open the database and make it ready; raise StoreError after `patience` seconds of its absence."""
    options: Document = {"tls": True, "tlsCAFile": ca_file} if ca_file else {}
    try:
        client: Any = AsyncIOMotorClient(
            uri, tz_aware=True, appname="gb-aggregator", serverSelectionTimeoutMS=2000,
            connectTimeoutMS=3000, socketTimeoutMS=20_000, maxPoolSize=32, **options,
        )  # fmt: skip
    except (PyMongoError, ValueError, OSError) as error:
        raise StoreError(f"mongodb.uri: {str(error)[:200]}") from None
    where = uri.rpartition("@")[2].removeprefix("mongodb://").removeprefix("mongodb+srv://")
    store = Store(client, database, where.partition("/")[0])
    try:
        deadline = time.monotonic() + patience
        waiting = False
        while True:
            try:
                await store.prepare(Keep(detail_days, tally_days, batch_days, history_days, pictures_days))
                break
            except StoreAwayError as error:
                if time.monotonic() > deadline:
                    raise
                if not waiting:
                    _LOG.warning("%s; waiting %.0f s for it", error, patience)
                waiting = True
                await asyncio.sleep(0.2)
        yield store
    finally:
        client.close()
