"""Letting boxes in: one by its code, a dozen by one code, with an administrator's word where that is wanted.

What always holds: an invitation lets in as many boxes as it says and no more, however many ask at once, until
its time is over; then its code is taken from the broker. A box is let in under a name that nobody has. A box
that takes another's place takes its name, and with it its lines, its place and its history.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from agent import wire
from agent.mqtt.client import BrokerSettings
from aggregator.config import Config
from aggregator.link import Link
from aggregator.places.documents import Place
from aggregator.places.places import Places
from aggregator.setup import enrol, groups
from aggregator.setup.control import EnrolError, NoRightsError, NoSuchNodeError
from aggregator.site_time import now
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
_CLOSE_SECONDS = 5.0


class Invitation(NamedTuple):
    """A code for several boxes, and the line to run on each."""

    id: str
    line: str
    until: datetime


class Joining:
    """Who may join this centre."""

    def __init__(self, config: Config, store: Store, places: Places, link: Link) -> None:
        self._config = config
        self._store = store
        self._places = places
        self._link = link

    # ── a dozen ──

    async def invite(self, boxes: int, minutes: int, place: Place, fields: dict[str, Any]) -> Invitation:
        """Make a code that lets in some boxes for some minutes; raise EnrolError.

        `place`: where they will stand. `fields`: what else is kept (`by`, `approval`).
        """
        id_ = secrets.token_hex(4)
        secret = secrets.token_hex(16)
        line = groups.line(self._config, id_, secret)
        until = now() + timedelta(minutes=minutes)
        await groups.open_group(self._config, id_, secret)
        row = {"boxes": boxes, "left": boxes, "until": until, "key": _key(secret), **fields}
        await self._store.joins.add(id_, {**row, "place": msgspec.to_builtins(place)})
        return Invitation(id_, line, until)

    async def withdraw(self, id_: str) -> bool:
        """Make a code worth nothing; return whether there was one. Raise EnrolError."""
        await groups.close_group(self._config, id_)
        return await self._store.joins.remove(id_)

    async def apply(self, broker: BrokerSettings, node: str, application: wire.Application) -> wire.Applied:
        """Answer a box that asks to be let in with the code of an invitation; raise StoreError."""
        id_, secret = wire.read_group_code(application.code)
        row = await self._store.joins.take_one(id_, _key(secret))
        if row is None:
            return wire.Applied(False, "the code is used up, has expired or is mistyped; ask for a new one")
        waits = bool(row.get("approval"))
        try:
            why = await groups.admit(broker, node, application.secret, waits=waits)
        except EnrolError as error:
            why = str(error)
        if why:
            await self._store.joins.give_back(id_)
            return wire.Applied(False, why)
        await self._places.put("places", node, msgspec.convert(row["place"], Place))
        if waits:
            await self._store.joins.wait(node, id_)
        entry = {"user": row.get("by", ""), "action": "wait to join" if waits else "join", "node": node}
        await self._store.registry.write_audit({**entry, "what": f"invitation {id_}"})
        _LOG.info("%s %s by invitation %s", node, "waits to join" if waits else "has joined", id_)
        return wire.Applied(True, waits=waits)

    async def approve(self, node: str) -> bool:
        """Let a box in that waits; return whether it did. Raise EnrolError."""
        if node not in [row[0] for row in await self._store.joins.waiting()]:
            return False
        await groups.approve(self._config, node)
        return await self._store.joins.decided(node)

    async def refuse(self, node: str) -> bool:
        """Turn a box away that waits; return whether it did. Raise EnrolError."""
        if not await self._store.joins.decided(node):
            return False
        await self.remove(node)
        return True

    async def run(self) -> None:
        """Take the codes of invitations that are over from the broker, for ever."""
        while True:
            await asyncio.sleep(_CLOSE_SECONDS)
            try:
                for id_ in await self._store.joins.over():
                    await groups.close_group(self._config, id_)
                    await self._store.joins.close(id_)
            except (StoreError, EnrolError) as error:
                _LOG.debug("invitations are closed later: %s", error)

    # ── one ──

    async def add(self, node: str) -> tuple[str, int]:
        """Let one box join; return its line and until when it is good, Unix ms. Raise EnrolError."""
        line = await asyncio.to_thread(enrol.add_node, self._config, node)
        return line, await self._expect(node)

    async def replace(self, node: str) -> tuple[str, int]:
        """Let a new box take a node's name, and with it its lines, place and history; raise EnrolError.

        The old box is cut off at once.
        """
        line = await asyncio.to_thread(enrol.replace_node, self._config, node)
        return line, await self._expect(node)

    async def _expect(self, node: str) -> int:
        until = round((now().timestamp() + self._config.enrol.code_minutes * 60) * 1000)
        await self._store.registry.expect_node(node, until)
        return until

    async def remove(self, node: str) -> None:
        """Take a node's rights and take it off the page; what it sent stays stored. Raise EnrolError."""
        try:
            await asyncio.to_thread(enrol.remove_node, self._config, node)
        except (NoSuchNodeError, NoRightsError) as error:
            _LOG.debug("%s has no rights to be taken: %s", node, error)
        losses = (await self._store.archive.losses()).get(node, 0)
        await self._store.registry.remove_node(node, losses)
        await self._link.forget(node)
        await self._places.load()


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
