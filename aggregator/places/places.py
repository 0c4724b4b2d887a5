"""Sites, groups and labels of all nodes, at hand without a question to the database.

What always holds: what this aggregator writes it knows at once, what another one writes within seconds. A
node of which nothing was said has no site, no groups and no labels, and is seen only by who sees all nodes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from aggregator import schemas
from aggregator.people.identity import Reach, Refused
from aggregator.places import documents
from aggregator.store.errors import StoreError
from aggregator.store.places import PlaceStore

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
NOWHERE = documents.Place()

Part = Literal["site", "group"]


class Places:
    """What is known of all places. `zone`: of a node without a site, or whose site names none."""

    def __init__(self, store: PlaceStore, zone: ZoneInfo) -> None:
        self._store = store
        self._zone = zone
        self._version = -1
        self._places: dict[str, documents.Place] = {}
        self.sites: dict[str, documents.SiteDocument] = {}
        self.groups: dict[str, documents.GroupDocument] = {}
        self._loading = asyncio.Lock()
        self.on_change: Callable[[str], None] = lambda node: None

    # ── what is asked ──

    def of(self, node: str) -> documents.Place:
        """Return where a node stands."""
        return self._places.get(node, NOWHERE)

    def sees(self, reach: Reach, node: str) -> bool:
        """Return whether somebody of this reach may know of a node."""
        place = self.of(node)
        return reach.meets(place.site, place.groups)

    def known(self, part: Part) -> Mapping[str, documents.SiteDocument | documents.GroupDocument]:
        """Return the sites or the groups, by name."""
        return self.sites if part == "site" else self.groups

    def shows(self, reach: Reach, part: Part, name: str) -> bool:
        """Return whether somebody may know of a site or a group: it is theirs, or a node in it is."""
        theirs = reach.sites if part == "site" else reach.groups
        return (
            reach.whole or name in theirs or any(self.sees(reach, node) for node in self.inside(part, name))
        )

    def check(self, site: str, groups: Iterable[str]) -> None:
        """Raise Refused if a site (empty: none) or a group is not there."""
        asked: list[tuple[Part, str]] = [("group", group) for group in groups]
        if site:
            asked.insert(0, ("site", site))
        for part, name in asked:
            if name not in self.known(part):
                why = f"there is no {part} {name[:64]!r}: PUT /{part}s/… adds it"
                raise Refused(404, f"no_{part}", why)

    def zone_of(self, node: str) -> ZoneInfo:
        """Return the time zone in which a node's day begins."""
        site = self.sites.get(self.of(node).site)
        return ZoneInfo(site.timezone) if site and site.timezone else self._zone

    def zone_of_all(self, nodes: Iterable[str]) -> ZoneInfo:
        """Return the time zone in which the days of several nodes begin; the centre's where they differ."""
        zones = {self.zone_of(node) for node in nodes}
        return zones.pop() if len(zones) == 1 else self._zone

    def dress(self, entry: schemas.Node) -> schemas.Node:
        """Return a node's entry with its place in it."""
        place = self.of(entry.node)
        return msgspec.structs.replace(
            entry, site=place.site, groups=place.groups, labels=place.labels, title=place.title,
            timezone=self.zone_of(entry.node).key,
        )  # fmt: skip

    def inside(self, part: Part, name: str) -> list[str]:
        """Return the nodes of a site or a group, by name."""
        return sorted(
            node
            for node, place in self._places.items()
            if name in ((place.site,) if part == "site" else place.groups)
        )

    # ── what changes ──

    async def put(self, kind: str, name: str, document: msgspec.Struct) -> bool:
        """Set a site (`sites`), a group (`groups`) or a node's place (`places`); return whether it is new."""
        is_new = await self._store.put(kind, name, msgspec.to_builtins(document))
        await self.load()
        return is_new

    async def patch(self, node: str, fields: dict[str, Any]) -> documents.Place:
        """Change some fields of a node's place; return it as it is then."""
        await self._store.patch("places", node, fields)
        await self.load()
        return self.of(node)

    async def delete(self, kind: str, name: str) -> bool:
        """Take one of them away; return whether there was one."""
        was_there = await self._store.delete(kind, name)
        await self.load()
        return was_there

    async def load(self) -> None:
        """Read everything anew; tell of each node whose place has changed.

        One after the other: what was read before a change would else come in after it.
        """
        async with self._loading:
            await self._load()

    async def _load(self) -> None:
        self._version = await self._store.version()
        before = self._places
        self.sites = documents.read(await self._store.all("sites"), documents.SiteDocument)
        self.groups = documents.read(await self._store.all("groups"), documents.GroupDocument)
        self._places = documents.read(await self._store.all("places"), documents.Place)
        for node in before.keys() | self._places.keys():
            if before.get(node) != self._places.get(node):
                self.on_change(node)

    def change_zone(self, zone: ZoneInfo) -> None:
        """Let the days of nodes whose site names no zone begin in another one from now on."""
        self._zone = zone
        for node in self._places:
            self.on_change(node)

    async def run(self) -> None:
        """Notice what other aggregators have changed, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if await self._store.version() != self._version:
                    await self.load()
            except StoreError as error:
                _LOG.debug("the places are read later: %s", error)
