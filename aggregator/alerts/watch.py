"""The watch: once for all aggregators, rules are judged against the fleet; what they find is kept and told.

What always holds: one aggregator judges at a time, the one with the lease; when it ends, another goes on
within `_LEASE_SECONDS` with the alerts as they are in the store. Messages are kept before the alert that
they are about, under an id that is the same if it is done twice: so nothing is lost and nothing is told
twice. While the database is away nothing is judged; the page and `/healthz` say so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from agent.tasks import alone
from aggregator.alerts import messages
from aggregator.alerts.book import Alert, Book, Telling
from aggregator.alerts.conditions import judge
from aggregator.alerts.counted import Counted, Lines
from aggregator.alerts.delivery import Delivery
from aggregator.alerts.places import Membership, Verdict
from aggregator.alerts.rules import Rule, Silent, Unusual
from aggregator.alerts.standing import Node, Standing, Told, ZonesNow, node_of
from aggregator.fleet import Fleet
from aggregator.ingest import Fact
from aggregator.slices import in_turns
from aggregator.store.alert_book import AlertBook, last_hour
from aggregator.store.errors import StoreError
from aggregator.store.leases import Leases
from aggregator.store.room import Room

_LOG = logging.getLogger(__name__)
_LEASE = "alerts"
_LEASE_SECONDS = 15.0
_STEP_SECONDS = 2.0
_TOLD_SECONDS = 10.0
_COUNT_SECONDS = 20.0
_HOUR_SECONDS = 300.0
_SETTLE_SECONDS = 10.0  # after the broker is back, until the states that it kept have come

RULES = "alert_rules"

T = TypeVar("T")


class Watch:
    """Judges all rules while it holds the lease.

    `deaf`: why the centre hears no node; empty if it does. `room`: that of its database.
    """

    def __init__(
        self,
        book: AlertBook,
        leases: Leases,
        fleet: Fleet,
        counted: Counted,
        delivery: Delivery,
        deaf: Callable[[], str],
        room: Room,
        member: Callable[[str], Membership],
    ) -> None:
        self.zones = ZonesNow()
        self._book = book
        self._leases = leases
        self._fleet = fleet
        self._counted = counted
        self._delivery = delivery
        self._deaf = deaf
        self._room = room
        self._member = member
        self._books: dict[str, Book] = {}
        self._verdicts: dict[str, tuple[int, float, Verdict]] = {}  # rule -> version, until, what it found
        self._told = Told()
        self._told_at = 0.0
        self._kept_at = 0.0
        self._heard_at = 0.0  # since when the broker is heard

    def see(self, facts: Sequence[Fact]) -> None:
        """Take what was stored just now."""
        self.zones.see(facts)

    async def run(self) -> None:
        """Judge and send whenever this aggregator holds the lease, for ever."""
        while True:
            try:
                if await self._leases.take(_LEASE, _LEASE_SECONDS):
                    await alone(self._hold(), "alerts held")
            except StoreError as error:
                _LOG.debug("alerts are judged later: %s", error)
            await asyncio.sleep(_STEP_SECONDS)

    async def _hold(self) -> None:
        """Judge while the lease is ours; raise StoreError."""
        await self._load()
        sending = asyncio.create_task(self._delivery.run(), name="alerts sent")
        try:
            while not sending.done() and await self._leases.take(_LEASE, _LEASE_SECONDS):
                await self.step()
                await asyncio.sleep(_STEP_SECONDS)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            await self._leases.give_back(_LEASE)

    async def _load(self) -> None:
        """Go on with the alerts as they are in the store."""
        self._books = {}
        self._verdicts = {}
        of_rule: dict[str, list[Alert]] = {}
        for alert in readable(await self._book.standing(), Alert):
            of_rule.setdefault(alert.rule, []).append(alert)
        for rule in await self.rules():
            self._books[rule.id] = Book(rule, of_rule.pop(rule.id, []))
        for alerts in of_rule.values():
            await self._save([_ended(alert, _now_ms()) for alert in alerts])

    async def rules(self) -> list[Rule]:
        """Return all rules; raise StoreError."""
        return readable(await self._book.all(RULES), Rule)

    # ── one step ──

    async def step(self) -> None:
        """Judge every rule once; raise StoreError, after which all is loaded again."""
        await self._renew_books(await self.rules())
        await self._hear_people()
        self._forget_zones()
        judged = [book for book in self._books.values() if book.rule.enabled]
        if self._settling() or not judged:
            return
        standing = await self.standing()
        at = standing.at
        for book in judged:
            verdict = await self._verdict(book.rule, standing)
            told = book.step(verdict, at)
            await self._post(book.rule, told, at)
            await self._save([book])
            await asyncio.sleep(0)

    def _forget_zones(self) -> None:
        """Forget the zones of nodes that are gone, now and then."""
        moment = time.monotonic()
        if moment - self._kept_at > _TOLD_SECONDS:
            self._kept_at = moment
            self.zones.keep(self._fleet.names)

    async def _renew_books(self, rules: Sequence[Rule]) -> None:
        """Take rules as they are now; what a rule found that is gone or switched off is closed."""
        known = {rule.id: rule for rule in rules}
        for id_, book in list(self._books.items()):
            rule = known.get(id_)
            if rule is None or not rule.enabled:
                book.end("the rule was deleted" if rule is None else "the rule was switched off", _now_ms())
                await self._save([book])
            if rule is None:
                del self._books[id_]
        for rule in rules:
            if rule.id in self._books:
                self._books[rule.id].rule = rule
            else:
                self._books[rule.id] = Book(rule, [])

    async def _hear_people(self) -> None:
        """Take over what people have said of alerts, here or at another aggregator."""
        alerts = {alert.id: alert for book in self._books.values() for alert in book.alerts.values()}
        for row in await self._book.states(alerts):
            alert = alerts[row.pop("id")]
            for name, value in row.items():
                setattr(alert, name, value)

    async def standing(self) -> Standing:
        """Return the fleet as it stands now; raise StoreError."""
        moment = time.monotonic()
        if moment - self._told_at > _TOLD_SECONDS:
            wanted = await self._book.wanted_versions()
            self._told = Told(wanted, await self._book.conflicting(last_hour()))
            self._told_at = moment
        at = _now_ms()
        nodes: dict[str, Node] = {}
        async for views in in_turns(self._fleet.views()):
            nodes |= {view.name: node_of(view, at, self._told, self._member(view.name)) for view in views}
        return Standing(at, self._deaf(), self._room.trouble, self._room.level == "full", nodes)

    def _settling(self) -> bool:
        """True for a moment after the broker is back: nodes are not yet heard anew."""
        moment = time.monotonic()
        if self._deaf():
            self._heard_at = 0.0
            return False
        self._heard_at = self._heard_at or moment
        return moment - self._heard_at < _SETTLE_SECONDS

    async def _verdict(self, rule: Rule, standing: Standing) -> Verdict:
        """Return what a rule finds; one that asks the database is asked less often."""
        found = judge(rule, standing, self.zones.of(standing.at))
        if found is not None:
            return found
        version, until, kept = self._verdicts.get(rule.id, (0, 0.0, None))
        moment = time.monotonic()
        if kept is None or version != rule.version or moment >= until:
            kept = await self._counted.judge(rule, standing)
            slow = isinstance(rule.condition, Unusual | Silent)
            pause = _HOUR_SECONDS if slow else _COUNT_SECONDS
            self._verdicts[rule.id] = (rule.version, moment + pause, kept)
        return kept

    async def look(self, rule: Rule) -> Verdict:
        """Return what a rule finds at this moment, without telling anybody; raise StoreError."""
        standing = await self.standing()
        found = judge(rule, standing, self.zones.of(standing.at))
        return found if found is not None else await self._counted.judge(rule, standing)

    async def _post(self, rule: Rule, told: Sequence[Telling], at: int) -> None:
        rows: list[dict[str, Any]] = []
        for telling in told:
            rows += [messages.document(telling, outlet, at) for outlet in rule.outlets]
        await self._book.outbox.post(rows)

    async def _save(self, books: Sequence[Book]) -> None:
        rows = [
            (msgspec.to_builtins(alert), alert.id in book.moved)
            for book in books
            for alert in book.changed.values()
        ]
        await self._book.save(rows)
        for book in books:
            for alert in list(book.changed.values()):
                book.saved(alert)


def readable(rows: Sequence[Any], kind: type[T]) -> list[T]:
    """Return the rows that can be read as a type; one that cannot is told of, and holds up no other."""
    found = []
    for row in rows:
        if row is None:
            continue
        try:
            found.append(msgspec.convert(row, kind))
        except msgspec.ValidationError as error:
            _LOG.warning("%s %s in the database cannot be read: %s", kind.__name__, row.get("id"), error)
    return found


def _ended(alert: Alert, at: int) -> Book:
    """Return a book that closes an alert of which there is no rule any more."""
    rule = Rule(id=alert.rule, name=alert.name, condition=Silent())
    book = Book(rule, [alert])
    book.end("the rule was deleted", at)
    return book


def lines_of(fleet: Fleet) -> Lines:
    """Return (node, camera) -> its lines, as the nodes say that they run them."""
    return {
        (view.name, camera): settings.lines
        for view in fleet.views()
        if view.state
        for camera, settings in view.state.config.document.cameras.items()
    }


def _now_ms() -> int:
    return int(time.time() * 1000)
