"""One aggregator, whole: store, ingest, fleet, live and the link to the broker, joined.

The life of it: what takes things in starts last and stops first. Every task has a name and one owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from agent import wire
from agent.mqtt.client import Message
from agent.tasks import lasting
from aggregator import schemas
from aggregator.alerts.alerts import Alerts
from aggregator.alerts.places import Membership
from aggregator.auth import Auth
from aggregator.clones.clones import Clones
from aggregator.config import Config
from aggregator.config_show import ConfigShow
from aggregator.desired import DesiredDocuments
from aggregator.fleet import Fleet
from aggregator.ingest import Fact, Ingest
from aggregator.joining.joining import Joining
from aggregator.joining.renaming import Renaming
from aggregator.keeping import Keeping
from aggregator.lateness import Lateness
from aggregator.link import Link
from aggregator.live import Hub
from aggregator.metrics import Metrics
from aggregator.opening import follow, open_store
from aggregator.orders.orders import Orders
from aggregator.outside.outside import Outside
from aggregator.peers import Beside
from aggregator.people.proxy import ProxySignIn
from aggregator.pictures import Pictures
from aggregator.places.places import Places
from aggregator.pulse import Pulse
from aggregator.reload import Reload
from aggregator.setup import groups
from aggregator.setup.admit import take_joins
from aggregator.setup.control import EnrolError, NoRightsError
from aggregator.store.clock import Clock
from aggregator.store.errors import StoreError
from aggregator.store.store import Store
from aggregator.system.sampler import Sampler
from aggregator.timing import Timing
from aggregator.wanted.profiles import Profiles
from aggregator.watches import Watches
from aggregator.wishes import Wishes

_LOG = logging.getLogger(__name__)
_HEALTH_SECONDS = 2.0


class Centre:
    """The parts of one aggregator."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config = config
        self.store = store
        self.metrics = Metrics()
        self.hub = Hub(self.metrics)
        self.fleet = Fleet(store, self.hub, config.zone)
        self.pulse = Pulse(store, self.fleet, self.hub, self.metrics)
        self.lateness = Lateness()
        self.link = Link(config, self.metrics, self.lateness)
        self.clock = Clock(store, self._clock_was_set)
        self.timing = Timing(
            store,
            self.clock.stamp,
            lambda: not self.clock.trouble and not self.clock.doubt,
            self.lateness,
            self.fleet.on_clock,
            self.fleet.on_right,
        )
        self.fleet.on_moment = self.timing.state
        self.wants = DesiredDocuments(store, self.fleet, self.hub, self.link.want)
        self.pictures = Pictures(store.departures)
        self.wishes = Wishes(self.wants)
        self.orders = Orders(store.orders, self.link.command)
        self.places = Places(store.places, config.zone)
        self.fleet.dress = self.places.dress
        self.fleet.zone_of = self.places.zone_of
        self.places.on_change = self.fleet.show_again
        self.clones = Clones(store.clones, self.link.command, self.fleet.keep_apart, self.fleet.count_anew)
        self.fleet.on_turns = self.clones.take_turns
        self.fleet.is_apart = self.clones.hears
        self.joining = Joining(config, store, self.places, self.link)
        self.renaming = Renaming(config, store, self.fleet, self.link, self.places, self.wants.publish_again)
        self.profiles = Profiles(store.places, self.places)
        self.wants.profile_of = self.profiles.profile_of
        self.auth = Auth(
            store, config.token(), config.http.session_hours, config.http.origins, _proxy_sign_in(config)
        )
        self.ingest = self._make_ingest()
        self.ingest.is_apart = lambda node, epoch: (
            self.clones.is_apart(node, epoch) or self.renaming.holds(node)
        )
        self.ingest.is_watched = lambda: self.hub.watched or bool(self.beside.others)
        self.keeping = Keeping(
            store, lambda: self.fleet.names, lambda: not self.clock.trouble and not self.clock.doubt
        )
        self.beside = Beside(store, self._show)
        self.watches = Watches(self.link.command, self.beside.watch)
        self.configs = ConfigShow(self.wants, self.hub)
        self.fleet.on_config = self.configs.changed
        self.health = schemas.Health(True, [])
        self.alerts = self._make_alerts()
        self.reload = Reload(config, self._apply)
        self.system = Sampler(config, store, self.fleet, self.metrics, self.clock.stamp)
        self.outside = Outside(
            config, store, self.fleet, self.metrics, self.link.tell, self.alerts.watch.zones
        )

    def _make_ingest(self) -> Ingest:
        """Return what stores events, joined to those that are told of them."""
        return Ingest(
            self.store,
            self.metrics,
            self.link.acknowledge,
            self._on_stored,
            on_batches=self.fleet.on_batches,
            stamp=self.clock.stamp,
            timing=self.timing,
            queue_batches=self.config.ingest.queue_batches,
            group_batches=self.config.ingest.group_batches,
            linger=self.config.ingest.linger_ms / 1000,
        )

    def _make_alerts(self) -> Alerts:
        """Return what judges rules, joined to what it asks and to what shows it."""
        return Alerts(
            self.config,
            self.store,
            self.fleet,
            self.metrics,
            self.link.tell,
            deaf=lambda: self.link.trouble,
            member=self._membership,
            zone_of=self.places.zone_of,
            show=lambda: self.hub.board(self.alerts.board),
        )

    def _apply(self, config: Config) -> None:
        self.config = config
        follow(self.store, config.mongodb)
        self.places.change_zone(config.zone)

    def _membership(self, node: str) -> Membership:
        place = self.places.of(node)
        return Membership(place.site, tuple(place.groups), tuple(place.labels))

    def _on_stored(self, facts: Sequence[Fact]) -> None:
        self.beside.stored_here(facts)
        self.outside.stored_here(facts)
        self._show(facts)

    def _show(self, facts: Sequence[Fact]) -> None:
        self.fleet.on_stored(facts)
        self.hub.facts(facts)
        self.alerts.watch.see(facts)
        self.outside.stored(facts)

    async def take(self, message: Message) -> None:
        """Take a state, an answer or a live frame; what is malformed goes to quarantine."""
        try:
            node, kind = wire.parse_topic(message.topic)
            if kind == "state" and self.renaming.hears(node, message.payload):
                return
            if kind == "state":
                self.fleet.on_state(node, message.payload, message.retain, message.came)
                if state := self.fleet.state(node):
                    await self.pictures.take(node, state.departures)
                    await self.wishes.take(node, state.wishes)
            elif kind == "live":
                live = wire.decode_live(message.payload)
                labels = self.fleet.view(node).labels(live.camera) if self.fleet.known(node) else []
                self.hub.live(node, live, labels)
            elif kind == "rsp":
                response: wire.Response = wire.decode_json(message.payload, wire.Response)
                if not response.ok:
                    _LOG.info("%s refused an order: %s", node, response.error[:200])
                if not self.renaming.on_response(node, response):
                    await self.orders.on_response(node, response)
        except wire.WireError as error:
            self.ingest.refuse(message, str(error))

    def _clock_was_set(self, by: int) -> None:
        self.fleet.shift(by)
        self.timing.shift(by)

    async def unhealthy(self) -> list[str]:
        """Return why this aggregator makes no progress; empty if it does."""
        reasons = [reason for reason in (self.link.trouble, self.ingest.stuck()) if reason]
        try:
            await self.store.ping()
        except StoreError as error:
            reasons.append(str(error))
        return list(dict.fromkeys(reasons))

    async def show_health(self) -> None:
        """Tell watchers when this aggregator stops and starts to make progress, for ever."""
        await self.link.tried()
        while True:
            reasons = await self.unhealthy()
            reasons += [self.clock.trouble, self.clock.doubt, self.store.room.trouble]
            reasons = list(dict.fromkeys(filter(None, reasons)))
            if reasons != self.health.reasons:
                self.health = schemas.Health(not reasons, reasons)
                self.hub.health(self.health)
            await asyncio.sleep(_HEALTH_SECONDS)

    async def take_joins(self) -> None:
        """Let joining boxes in, for ever; returns at once where the broker gives no rights."""
        while True:
            try:
                await groups.widen(self.config)
                break
            except NoRightsError:
                return
            except EnrolError as error:
                _LOG.debug("joining boxes have to wait: %s", error)
                await asyncio.sleep(_HEALTH_SECONDS)
        await take_joins(self.config, self.joining.apply)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Run all tasks while this is open."""
        await self.clock.start()
        await self.places.load()
        await self.clones.load()
        await self.renaming.load()
        await self.profiles.load()
        await self.wants.load()
        await self.fleet.load()
        parts = {
            "clock": self.clock.run(),
            "timing": self.timing.run(),
            "lateness": self.lateness.watch_loop(),
            "ingest": self.ingest.run(),
            "fleet": self.pulse.run(),
            "watches": self.watches.run(),
            "beside": self.beside.run(),
            "history": self.keeping.run(),
            "room": self.store.room.run(),
            "reload": self.reload.run(),
            "places": self.places.run(),
            "joining": self.joining.run(),
            "clones": self.clones.run(),
            "renaming": self.renaming.run(),
            "profiles": self.profiles.run(
                lambda: self.fleet.names, self.wants.in_profiles, self.wants.show_profile
            ),
            "configs": self.configs.run(),
            "wants": self.wants.run(),
            "health": self.show_health(),
            "alerts": self.alerts.watch.run(),
            "system": self.system.run(),
            "broker": self.system.broker.run(),
            "board": self.alerts.show_board(),
            **self.outside.parts(),
            "rest": self.link.take_rest(self.take, self.wants.publish_again),
            "events": self.link.take_events(self.ingest.put),
        }
        async with asyncio.TaskGroup() as group:
            joins = lasting(self.take_joins(), "joins", asked=lambda: True)
            tasks = [group.create_task(joins, name="joins lasts")]
            for name, work in parts.items():
                tasks.append(group.create_task(lasting(work, name), name=f"{name} lasts"))
            try:
                yield group
            finally:
                self.hub.close()
                for task in reversed(tasks):
                    task.cancel()


def _proxy_sign_in(config: Config) -> ProxySignIn | None:
    http = config.http
    if not http.sign_in_header:
        return None
    return ProxySignIn(http.sign_in_header, http.sign_in_from, http.sign_in_role)


@asynccontextmanager
async def open_centre(config: Config, patience: float = 0.0) -> AsyncIterator[Centre]:
    """Open the database and join the parts; raise StoreError or ConfigError."""
    async with open_store(config, patience) as store:
        await store.dump.check_whole()
        yield Centre(config, store)
