"""`GET /system`: what every part spends, over time, and how much disk that comes to in 30 days."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, span_of
from aggregator.store.store import Store
from aggregator.store.system import PARTS
from aggregator.system.schemas import AggregatorUse, Disk, Keeping, System, SystemRow

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_LEAST_MS = 3_600_000  # of measuring, before a day is reckoned from it
_MOST_ROWS = 720
_DAYS = 30


async def system(request: web.Request) -> web.Response:
    """Return resource use of every part over time; a day, where no time is asked for."""
    centre = request.app[CENTRE]
    at = int(time.time() * 1000)
    since, until = span_of(request, at - _DAY_MS, at + 1)
    step = max(_MINUTE_MS, -(-(until - since) // _MOST_ROWS // _MINUTE_MS) * _MINUTE_MS)
    rows = await centre.store.system.read(since, until, step)
    disk = reckon(*await centre.store.system.sizes(at - _DAY_MS))
    return answer(System(at, step // 1000, joined(rows), disk, keeping(centre.store), centre.system.notes))


def keeping(store: Store) -> Keeping:
    """Return how long what is kept, and what room there is."""
    room = store.room
    low, full = (mb << 20 for mb in room.limits)
    return Keeping(*store.retention.keep, room.level, room.free, low, full, room.trouble)


def joined(samples: list[dict[str, Any]]) -> list[SystemRow]:
    """Return one row a step: the aggregators added up, and the parts that they share."""
    rows: dict[int, SystemRow] = {}
    for sample in samples:
        start = sample["start"]
        row = rows.setdefault(start, SystemRow(start))
        known = {name: sample[name] for name in PARTS if name in sample}
        own = msgspec.convert(sample["aggregators"], AggregatorUse)
        if row.aggregators is not None:
            own.count += row.aggregators.count
            own.cpu_percent = round(own.cpu_percent + row.aggregators.cpu_percent, 1)
            own.memory_bytes += row.aggregators.memory_bytes
        shared = msgspec.convert({"at": start, **known}, SystemRow)
        for name in known:
            setattr(row, name, getattr(shared, name))
        row.aggregators = own
    return list(rows.values())


def reckon(first: dict[str, Any] | None, last: dict[str, Any] | None) -> Disk:
    """Return the disk of the database now and in 30 days, by its first and last sample of a day."""
    if first is None or last is None:
        return Disk(None, None, None, None, 0)
    now = last["database"]["bytes"]
    free = last["database"]["free_bytes"]
    measured = last["at"] - first["at"]
    if measured < _LEAST_MS:
        return Disk(now, free, None, None, measured // 1000)
    day = round((now - first["database"]["bytes"]) * _DAY_MS / measured)
    return Disk(now, free, day, max(0, now + _DAYS * day), measured // 1000)


ROUTES = (
    Route("GET", "/system", system, "What every part spends, over time", answer=System, query=("from", "to"),
          whole=True),
)  # fmt: skip
