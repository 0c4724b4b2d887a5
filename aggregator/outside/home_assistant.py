"""Home Assistant by MQTT discovery: a device a node, its lines, zones and readings as entities.

What always holds: one aggregator tells, the one with the lease; its last will says that nothing is told any
more. All configuration is retained, and what was published is remembered before it is: so an entity whose
line, camera or node is gone or renamed is taken away by an empty message, also after a restart, and all of
them when this is switched off. A value that is not known is told as unknown, and never as 0.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence

import msgspec

from agent.mqtt.client import BrokerError, Client, Message, connect
from agent.tasks import alone
from aggregator.alerts.standing import ZonesNow
from aggregator.config import Config
from aggregator.fleet import Fleet
from aggregator.ingest import Fact
from aggregator.node_view import NodeView
from aggregator.outside.entities import Names, Zones, config, entities
from aggregator.outside.sums import Kept, Sums, folded
from aggregator.store.errors import StoreError
from aggregator.store.leases import Leases
from aggregator.store.outside import OutsideStore

_LOG = logging.getLogger(__name__)
_LEASE = "home assistant"
_LEASE_SECONDS = 15.0
_STEP_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_KEPT = "home assistant:"


class Memory(msgspec.Struct):
    """What is kept of a node: the topics that were published for it, and its sums."""

    topics: list[str] = []
    sums: Kept = msgspec.field(default_factory=Kept)


class HomeAssistant:
    """Tells Home Assistant of the fleet, or takes back what it was told where that is switched off."""

    def __init__(
        self, settings: Config, store: OutsideStore, leases: Leases, fleet: Fleet, zones: ZonesNow
    ) -> None:
        section = settings.home_assistant
        self._on = section.enabled
        self._names = Names(section.discovery_prefix, section.topic)
        self._settings = settings
        self._store = store
        self._leases = leases
        self._fleet = fleet
        self._zones = zones
        self._unseen: dict[str, list[Fact]] = {}  # node -> what its sums have not taken yet
        self._sums: dict[str, Sums] = {}
        self._topics: dict[str, set[str]] = {}  # node -> topics that may be retained at the broker
        self._said: dict[str, bytes] = {}  # topic -> what was published on it on this connection

    def see(self, facts: Sequence[Fact]) -> None:
        """Take what was stored just now."""
        if self._on:
            for node, some in folded(facts).items():
                self._unseen.setdefault(node, []).extend(some)

    async def run(self) -> None:
        """Tell whenever this aggregator holds the lease, for ever."""
        while True:
            try:
                if await self._leases.take(_LEASE, _LEASE_SECONDS):
                    await alone(self._hold(), "home assistant told")
            except (StoreError, BrokerError) as error:
                _LOG.debug("Home Assistant is told later: %s", error)
            await asyncio.sleep(_RETRY_SECONDS if self._on else _LEASE_SECONDS)

    async def _hold(self) -> None:
        """Tell while the lease is ours; raise StoreError or BrokerError."""
        try:
            await self._load()
            if self._on or self._topics:
                await self._connected()
        finally:
            await self._leases.give_back(_LEASE)

    async def _connected(self) -> None:
        """Tell by a connection of its own, or take all back."""
        will = Message(self._names.centre, b"offline", 1, True)
        broker = self._settings.broker_settings(f"gb-ha-{secrets.token_hex(4)}")
        async with connect(broker, will) as client:
            self._said = {}
            if not self._on:
                await self._take_all_back(client)
                return
            await self._say(client, self._names.centre, b"online")
            while await self._leases.take(_LEASE, _LEASE_SECONDS):
                await self.step(client)
                await asyncio.sleep(_STEP_SECONDS)

    async def _load(self) -> None:
        self._topics = {}
        self._sums = {}
        for node, text in (await self._store.all(_KEPT)).items():
            memory = msgspec.json.decode(text, type=Memory)
            self._topics[node] = set(memory.topics)
            self._sums[node] = Sums(memory.sums)

    async def step(self, client: Client) -> None:
        """Tell what has changed; raise StoreError or BrokerError."""
        at = int(time.time() * 1000)
        minutes = self._zones.of(at)
        views = {view.name: view for view in self._fleet.views()}
        for node in self._topics.keys() - views.keys():
            await self._take_back(client, node)
        for node, view in views.items():
            if view.state is None:
                continue  # what it has is not known yet
            sums = self._sums.setdefault(node, Sums())
            for fact in self._unseen.pop(node, ()):
                sums.see(fact)
            cameras = [report.camera for report in view.state.cameras] if view.state else []
            zones = {camera: minutes.get((node, camera)) for camera in cameras}
            await self._tell(client, view, sums, zones, at)
        self._unseen = {node: some for node, some in self._unseen.items() if node in views}

    async def _tell(self, client: Client, view: NodeView, sums: Sums, zones: Zones, at: int) -> None:
        """Tell of one node what has changed."""
        node = view.name
        names = self._names
        version = view.state.version if view.state else ""
        found = list(entities(view, sums, zones))
        wanted = {names.config(node, one): config(names, node, version, one) for one in found}
        own = {names.state(node), names.available(node)} if wanted else set()
        before = self._topics.get(node, set())
        if sums.changed or not wanted.keys() | own <= before:
            await self._remember(node, before | wanted.keys() | own)
        for topic in before - wanted.keys() - own:
            await client.publish(topic, b"", qos=1, retain=True)
        for topic, content in wanted.items():
            await self._say(client, topic, msgspec.json.encode(content))
        if before - wanted.keys() - own:
            await self._remember(node, wanted.keys() | own)
        if wanted:
            values = {one.key: one.value for one in found}
            await self._say(client, names.state(node), msgspec.json.encode(values))
            is_online = view.standing(at) == "online"
            await self._say(client, names.available(node), b"online" if is_online else b"offline")

    async def _say(self, client: Client, topic: str, payload: bytes) -> None:
        """Publish, retained, what was not said yet."""
        if self._said.get(topic) != payload:
            await client.publish(topic, payload, qos=1, retain=True)
            self._said[topic] = payload

    async def _remember(self, node: str, topics: set[str]) -> None:
        """Keep what may be retained at the broker, and the sums; raise StoreError."""
        sums = self._sums.get(node, Sums())
        text = msgspec.json.encode(Memory(sorted(topics), sums.kept())).decode()
        await self._store.put(_KEPT + node, text)
        self._topics[node] = set(topics)
        sums.changed = False

    async def _take_back(self, client: Client, node: str) -> None:
        """Have a node's device vanish."""
        for topic in self._topics[node]:
            await client.publish(topic, b"", qos=1, retain=True)
            self._said.pop(topic, None)
        await self._store.remove(_KEPT + node)
        del self._topics[node]
        self._sums.pop(node, None)

    async def _take_all_back(self, client: Client) -> None:
        """Have everything vanish: this was switched off."""
        for node in list(self._topics):
            await self._take_back(client, node)
        await client.publish(self._names.centre, b"", qos=1, retain=True)
        _LOG.info("Home Assistant is switched off: its entities were removed")
