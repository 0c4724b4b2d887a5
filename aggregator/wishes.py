"""Lines that somebody drew at a box itself become the centre's, so that both agree.

What always holds: a wish that the wanted document fulfils already changes nothing, however often and at
however many aggregators it is heard. What is refused is told in the log, and not tried again until the wish
changes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from agent import wire
from aggregator.desired import Change, DesiredDocuments, NotWanted
from aggregator.store.errors import StoreError

USER = "the box's page"
_LOG = logging.getLogger(__name__)
_DONE = "fulfilled"


class Wishes:
    """What the boxes wish for, heard at this aggregator."""

    def __init__(self, wants: DesiredDocuments) -> None:
        self._wants = wants
        self._refused: set[tuple[str, bytes]] = set()

    async def take(self, node: str, wishes: Sequence[wire.Wish]) -> None:
        """Fulfil what a node wishes for."""
        for wish in wishes:
            key = (node, msgspec.json.encode(wish))
            if key in self._refused:
                continue
            action = f"{'put' if wish.points else 'delete'} line {wish.camera}/{wish.line}"
            try:
                await self._wants.change(node, USER, action, _change(wish))
            except NotWanted as refusal:
                if refusal.code == _DONE:
                    continue
                self._refused.add(key)
                _LOG.warning("a change asked for on the own page of %s is refused: %s", node, refusal)
            except StoreError as error:
                _LOG.warning("a change asked for on the own page of %s waits: %s", node, error)


def _change(wish: wire.Wish) -> Change:
    """Return the change that fulfils a wish; it raises NotWanted where nothing is left to do."""

    def apply(document: wire.Document, version: int) -> wire.Document:
        settings = document.cameras.get(wish.camera)
        if settings is None:
            raise NotWanted("no_camera", f"the node has no camera {wish.camera[:48]!r}")
        line = settings.lines.get(wish.line)
        if (line.points if line else None) == wish.points:
            raise NotWanted(_DONE, "the document says so already")
        lines = {name: kept for name, kept in settings.lines.items() if name != wish.line}
        if wish.points is not None:
            bare = line or wire.Line(wish.points)
            lines[wish.line] = msgspec.structs.replace(bare, points=wish.points, version=version)
        drawn = msgspec.structs.replace(settings, lines=lines)
        return wire.Document(version, {**document.cameras, wish.camera: drawn})

    return apply
