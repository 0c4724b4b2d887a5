"""All of the alerts of one aggregator: the watch, the way out, and the board that every page shows.

What always holds: the page learns of alerts from the store, whichever aggregator judged them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aggregator.alerts import answers, messages
from aggregator.alerts.book import Alert, Telling
from aggregator.alerts.counted import Counted
from aggregator.alerts.delivery import Delivery
from aggregator.alerts.outlets import NamedOutlet, NotSent, Publish, Sender
from aggregator.alerts.places import Membership
from aggregator.alerts.rules import Rule
from aggregator.alerts.watch import RULES, Watch, lines_of, readable
from aggregator.config import Config
from aggregator.fleet import Fleet
from aggregator.metrics import Metrics
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

__all__ = ["OUTLETS", "RULES", "Alerts"]

_LOG = logging.getLogger(__name__)
OUTLETS = "alert_outlets"
_MOST = 200  # alerts that are counted on the board
_BOARD_SECONDS = 2.0
_BOARD = 10  # alerts that the page is told of by themselves


Sees = Callable[[str], bool]


class Alerts:
    """The parts of the alerts. `show`: has every watcher be told of the board."""

    def __init__(
        self,
        config: Config,
        store: Store,
        fleet: Fleet,
        metrics: Metrics,
        publish: Publish,
        deaf: Callable[[], str],
        member: Callable[[str], Membership],
        zone_of: Callable[[str], ZoneInfo],
        show: Callable[[], None],
    ) -> None:
        self.book = store.alert_book
        self.sender = Sender(config, publish)
        self._standing: list[dict[str, Any]] = []
        self._show = show
        delivery = Delivery(self.book, self.sender, metrics, config.alerts.try_hours, _now_ms)
        counted = Counted(store.many, zone_of, lambda: lines_of(fleet))
        self.watch = Watch(self.book, store.leases, fleet, counted, delivery, deaf, store.room, member)

    async def show_board(self) -> None:
        """Keep the board as the store has it, and tell watchers when it changes, for ever."""
        while True:
            try:
                standing = await self.book.board(_MOST)
                if standing != self._standing:
                    self._standing = standing
                    self._show()
            except StoreError as error:
                _LOG.debug("the board of alerts is shown later: %s", error)
            await asyncio.sleep(_BOARD_SECONDS)

    def board(self, sees: Sees) -> answers.Board:
        """Return what somebody is shown of the alerts that are not closed, by which nodes they see."""
        seen = []
        for row in self._standing:
            texts = [text for node, text in zip(row["nodes"], row["texts"], strict=True) if sees(node)]
            if texts:
                seen.append(_brief(row, texts))
        return answers.Board(sum(brief.state == "open" for brief in seen), seen[:_BOARD])

    # ── what is asked ──

    async def rules(self) -> list[Rule]:
        """Return all rules; raise StoreError."""
        return await self.watch.rules()

    async def rule(self, id_: str) -> Rule | None:
        """Return one rule."""
        return next(iter(readable([await self.book.one(RULES, id_)], Rule)), None)

    async def outlets(self) -> list[NamedOutlet]:
        """Return all outlets, secrets and all."""
        return readable(await self.book.all(OUTLETS), NamedOutlet)

    async def history(
        self, query: dict[str, Any], limit: int, sees: Sees | None = None
    ) -> list[answers.AlertRow]:
        """Return alerts with what became of their messages, the newest first. `sees`: only parts of these."""
        alerts = readable(await self.book.history(query, limit), Alert)
        if sees is not None:
            for alert in alerts:
                alert.parts = [part for part in alert.parts if sees(part.node)]
        alerts = [alert for alert in alerts if alert.parts]
        sent: dict[str, list[answers.MessageRow]] = {alert.id: [] for alert in alerts}
        for row in await self.book.outbox.messages(sent):
            told = answers.MessageRow(
                row["what"], row["outlet"], row["state"], row["made"], row["attempts"], row["error"]
            )
            sent[row["alert"]].append(told)
        return [answers.row_of(alert, sent[alert.id]) for alert in alerts]

    async def test(self, name: str, about: str) -> answers.Sent:
        """Send a test message by an outlet, at once; return how it was taken."""
        found = [one for one in await self.outlets() if one.id == name]
        if not found:
            return answers.Sent(name, False, "there is no such outlet any more")
        at = _now_ms()
        alert = Alert(f"test-{secrets.token_hex(8)}", "", about, "test", "info", at)
        telling = Telling(alert, "test", 1)
        content = messages.payload(telling, at)
        try:
            await self.sender.send(found[0].outlet, f"{alert.id}:1:{name}", content)
        except NotSent as error:
            return answers.Sent(name, False, str(error))
        return answers.Sent(name, True)


def _brief(row: dict[str, Any], texts: Sequence[str]) -> answers.Brief:
    about = texts[0] if len(texts) == 1 else f"{len(texts)} places"
    return answers.Brief(
        row["id"], row["name"], row["severity"], row["state"], row["opened"], f"{row['name']}: {about}"
    )


def _now_ms() -> int:
    return int(time.time() * 1000)
