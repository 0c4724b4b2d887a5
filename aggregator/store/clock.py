"""This centre's own clock: what was stored while it was wrong, and whether it may be believed.

Machines without a battery start in 1970 or 2016 and learn the time later; a broken one may be years ahead.
What is stored carries the time of this clock, and expires by it. So:

* Nothing is deleted by the database itself. `expire` deletes, and only while the clock is believed: it is
  neither before the newest time that was ever believed nor before this program was written, the database's
  clock agrees, and it has not leapt for a day.
* A leap is noticed within a second, by the clock that counts since the machine started and cannot leap. What
  was stored before it is dated anew (`stored_as` keeps the old date), sessions move along, and so does what
  the fleet remembers. A leap while no centre ran is found at the next start.
* What is stored is in order: each group's time is above the one before, also where the clock was set back.

Times here are Unix milliseconds; `clocks` keeps one document for each start of the machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aggregator.store.clocks import Reading, read
from aggregator.store.errors import StoreError
from aggregator.store.store import Store

_LOG = logging.getLogger(__name__)
WRITTEN = 1_767_225_600_000  # 2026-01-01: this program is newer, and so is every right clock
LEAP_MS = 3_600_000  # from here on, what was stored is dated anew
_STEP_MS = 1_000
_DAY_MS = 86_400_000
_LOOK_SECONDS = 1.0
_SAVE_SECONDS = 10.0
_EXPIRE_SECONDS = 60.0
_EXPIRE_LEASE_SECONDS = 90.0
_AGAIN_SECONDS = 30.0  # a group that was being written at the leap is stored by then
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return what names this start of the machine."""
    return _BOOT_ID.read_text().strip()


def words(moment: int) -> str:
    """Return a time for people."""
    return f"{datetime.fromtimestamp(moment / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


class Clock:
    """The clock of one aggregator. `on_step`: called with the milliseconds of each step."""

    def __init__(
        self,
        store: Store,
        on_step: Callable[[int], None] = lambda step: None,
        hold_seconds: float = 86_400.0,
    ) -> None:
        self.trouble = ""  # why the clock cannot be right, for a person
        self.doubt = ""  # why it may not be
        self._store = store
        self._on_step = on_step
        self._hold_ms = int(hold_seconds * 1000)
        self._boot = boot_id()
        self._offset = read().offset
        self._floor = WRITTEN  # a right clock is not before it
        self._hold_until = 0  # since boot
        self._last_stamp = 0
        self._due_again: list[tuple[float, dict[str, Any]]] = []

    def stamp(self) -> datetime:
        """Return the time of what is stored now: this clock's, but above that of what was stored before."""
        wall = read().wall
        ahead = self._last_stamp - wall
        self._last_stamp = self._last_stamp + 1 if 0 <= ahead < LEAP_MS else wall
        return datetime.fromtimestamp(self._last_stamp / 1000, UTC)

    async def start(self) -> None:
        """Look whether the clock leapt while no centre ran; raise StoreError."""
        now = read()
        clocks = self._store.clocks
        row = await clocks.of_boot(self._boot)
        confirmed = await clocks.confirmed()
        self._floor = max(WRITTEN, confirmed - LEAP_MS)
        if row is None:
            if confirmed and now.wall > confirmed + _DAY_MS:
                self._hold_until = now.since_boot + self._hold_ms
            await clocks.begin(self._boot, now.offset, now.wall)
        else:
            self._hold_until = int(row.get("hold", 0))
            self._offset = int(row["offset"])
        for open_ in await clocks.open_steps():
            await self._store.retention.date_anew(open_)
            await clocks.close_step(open_)
        await self._look(now)
        await self._resolve(now)

    async def _resolve(self, now: Reading) -> None:
        """Date anew what earlier starts of the machine stored under a clock that was never put right."""
        if self.trouble:
            return
        for row in await self._store.clocks.wrong(self._boot):
            step = {"id": now.wall, "from": row["since"], "to": row["last"], "by": now.wall - row["last"] - 1}
            _LOG.warning(
                "what was stored between %s and %s was dated by a wrong clock; it counts as stored now",
                words(row["since"]), words(row["last"]),
            )  # fmt: skip
            await self._store.retention.date_anew(step)
            await self._store.clocks.resolve(row["_id"])

    async def run(self) -> None:
        """Watch the clock, keep what is known of it, and delete what has expired, for ever."""
        saved = expired = -_EXPIRE_SECONDS
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            at = time.monotonic()
            try:
                await self._look(read())
                await self._date_again(at)
                if at - saved > _SAVE_SECONDS:
                    saved = at
                    await self._store.clocks.save(self._boot, read().wall, bool(self.trouble))
                if at - expired > _EXPIRE_SECONDS:
                    expired = at
                    await self.expire()
            except StoreError as error:
                _LOG.debug("the clock is looked after later: %s", error)

    async def _look(self, now: Reading) -> None:
        """Notice a step of the clock since it was looked at last, and whether it can be right."""
        step = now.offset - self._offset
        if abs(step) >= _STEP_MS:
            await self._stepped(now, step)
        self._offset = now.offset
        wrong = now.wall < self._floor
        self.trouble = (
            f"this machine's clock says {words(now.wall)}, which cannot be: set it" if wrong else ""
        )

    async def _stepped(self, now: Reading, step: int) -> None:
        leap = abs(step) >= LEAP_MS
        if leap:
            self._hold_until = now.since_boot + self._hold_ms
            self._last_stamp = 0
        change = await self._store.clocks.step(self._boot, self._offset, now, leap, self._hold_until)
        text = f"this machine's clock was set from {words(now.wall - step)} to {words(now.wall)}"
        _LOG.warning("%s", text)
        self._offset = now.offset
        self._on_step(step)
        if change:  # else another aggregator of this machine does it
            self._due_again.append((time.monotonic() + _AGAIN_SECONDS, change))
            dated = await self._store.retention.date_anew(change)
            _LOG.warning("%d documents that were stored under a wrong time are dated again", dated)
            await self._store.retention.move_sessions(step)
            action = f"{text}; {dated} documents were dated again"
            await self._store.registry.write_audit({"user": "the centre", "action": action})
        if now.wall >= self._floor:
            await self._resolve(now)

    async def _date_again(self, at: float) -> None:
        while self._due_again and self._due_again[0][0] <= at:
            change = self._due_again[0][1]
            await self._store.retention.date_anew(change)
            await self._store.clocks.close_step(change)
            del self._due_again[0]

    async def expire(self) -> int:
        """Delete what has expired, if the clock is believed; return how much. Raise StoreError."""
        now = read()
        if self.trouble or now.since_boot < self._hold_until:
            return 0
        other = await self._store.retention.server_time()
        agrees = abs(other - now.wall) < LEAP_MS
        if not agrees and not self.doubt:
            _LOG.warning("nothing is deleted while the database's clock says %s", words(other))
        says = (
            f"this machine's clock says {words(now.wall)}, the database's {words(other)}: set the wrong one"
        )
        self.doubt = "" if agrees else says
        if not agrees:
            return 0
        await self._store.clocks.confirm(now.wall)
        if not await self._store.leases.take("retention", _EXPIRE_LEASE_SECONDS):
            return 0  # another aggregator does it
        return await self._store.retention.expire(now.wall)
