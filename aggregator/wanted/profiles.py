"""Profiles: settings that take the place of others by the clock, or by hand.

What always holds: on a node runs one profile at most. A switch by hand wins until it is over or taken back;
else the first profile by name whose hours it is where the node stands. What people change meanwhile is the
base below the profile, and comes back with the day. Every aggregator comes to the same answer by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from aggregator.desired import NotWanted, Profile
from aggregator.places import documents
from aggregator.places.places import Places
from aggregator.site_time import local, now
from aggregator.store.errors import StoreError
from aggregator.store.places import PlaceStore

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0

ProfileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$")]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours(Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Hours of some days (empty: of all), by the clock of the node's site; past midnight where `to` is less.

    They belong to the day on which they begin. `from` and `to` alike: the whole day.
    """

    since: Clock
    until: Clock
    days: list[Weekday] = []

    def hold(self, at: datetime) -> bool:
        """Return whether a local time is within them."""
        clock = f"{at:%H:%M}"
        today = not self.days or _DAYS[at.weekday()] in self.days
        yesterday = not self.days or _DAYS[at.weekday() - 1] in self.days
        if self.since < self.until:
            return today and self.since <= clock < self.until
        return (today and clock >= self.since) or (
            (yesterday if self.since > self.until else today) and clock < self.until
        )


class ProfileDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A profile: which settings of every camera it replaces, on which nodes, when.

    `sites`, `groups`: only nodes in one of them; empty: all. No `hours`: by hand only.
    """

    title: documents.Title = ""
    settings: dict[str, Any] = {}
    sites: list[str] = []
    groups: list[str] = []
    hours: list[Hours] = []

    def aims_at(self, place: documents.Place) -> bool:
        """Return whether it is for a node of this place."""
        in_a_site = not self.sites or place.site in self.sites
        return in_a_site and (not self.groups or bool(set(self.groups) & set(place.groups)))


class Override(Struct, frozen=True):
    """A switch by hand: to a profile (empty: to none) until then, Unix ms; None: until it is taken back."""

    profile: str = ""
    until: int | None = None


class Profiles:
    """All profiles and switches by hand."""

    def __init__(self, store: PlaceStore, places: Places) -> None:
        self._store = store
        self._places = places
        self._version = -1
        self._loading = asyncio.Lock()
        self.profiles: dict[str, ProfileDocument] = {}
        self.overrides: dict[str, Override] = {}

    def name_for(self, node: str, at: datetime) -> str:
        """Return the profile that ought to run on a node at a time; empty: none."""
        unix_ms = round(at.timestamp() * 1000)
        by_hand = self.overrides.get(node)
        if by_hand is not None and (by_hand.until is None or unix_ms < by_hand.until):
            return by_hand.profile if by_hand.profile in self.profiles else ""
        place = self._places.of(node)
        there = local(unix_ms, self._places.zone_of(node))
        for name, profile in sorted(self.profiles.items()):
            if profile.aims_at(place) and any(hours.hold(there) for hours in profile.hours):
                return name
        return ""

    def profile_of(self, node: str) -> Profile:
        """Return the profile that ought to run on a node now, with a mark that changes with its content."""
        name = self.name_for(node, now())
        if not name:
            return Profile()
        settings = self.profiles[name].settings
        digest = hashlib.blake2b(msgspec.json.encode(settings, order="sorted"), digest_size=4).hexdigest()
        return Profile(f"{name} {digest}", settings)

    async def put(self, name: str, profile: ProfileDocument) -> None:
        """Set a profile."""
        await self._store.put("profiles", name, msgspec.to_builtins(profile))
        await self.load()

    async def delete(self, name: str) -> bool:
        """Take a profile away; return whether there was one."""
        was_there = await self._store.delete("profiles", name)
        await self.load()
        return was_there

    async def switch(self, nodes: Iterable[str], override: Override | None) -> None:
        """Switch nodes by hand; None: back to the clock."""
        for node in nodes:
            if override is None:
                await self._store.delete("overrides", node)
            else:
                await self._store.put("overrides", node, msgspec.to_builtins(override))
        await self.load()

    async def load(self) -> None:
        """Read everything anew, one after the other: what was read before a change would come in after it."""
        async with self._loading:
            self._version = await self._store.version()
            self.profiles = documents.read(await self._store.all("profiles"), ProfileDocument)
            self.overrides = documents.read(await self._store.all("overrides"), Override)

    async def run(
        self,
        nodes: Callable[[], Iterable[str]],
        running: Callable[[], Iterable[str]],
        show: Callable[[str], Awaitable[None]],
    ) -> None:
        """Show each node the profile whose time has come, for ever.

        `nodes`: all; `running`: those that run one, who go back to their own settings when none is left. What
        one node refuses holds up no other.
        """
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                has_changed = await self._store.version() != self._version
                if has_changed:
                    await self.load()
                for node in nodes() if has_changed or self.profiles else running():
                    await _shown(show, node)
            except StoreError as error:
                _LOG.debug("profiles are switched later: %s", error)


async def _shown(show: Callable[[str], Awaitable[None]], node: str) -> None:
    try:
        await show(node)
    except NotWanted as error:
        _LOG.warning("a profile of %s cannot be switched: %s", node, error)
