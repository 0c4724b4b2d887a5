"""How long a history takes to read: a year by day, 100 days by hour, five years by month, a site's month.

A box that counted for a year and a site of many boxes are played over the real wire: tallies with six rows
of running totals, as a box sends them. Then both builds are asked in turns. What version 0.2.0 cannot be
asked at once, all boxes of a site, is asked of it box by box; it is given a tenth of the boxes, because it
takes long to store them, and its time counts ten times.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from agent import wire
from benchmarks import ingest
from benchmarks.builds import TOKEN, Build

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000
LABELS = ("car", "truck", "person")
OLD = "year-1"
_WINDOW = 50  # batches on their way, so that none waits so long that it comes again


@dataclass(frozen=True)
class Scale:
    """How much is played and asked. `every`, `site_every`: minutes between two tallies of a box."""

    days: int = 365
    every: int = 10
    site_nodes: int = 100
    site_nodes_before: int = 10
    site_days: int = 30
    site_every: int = 60
    site_labels: int = 1
    rounds: int = 20
    rounds_before: int = 4


def tallies(
    node: str, epoch: int, span: tuple[int, int], every: int, labels: Sequence[str] = LABELS
) -> Iterator[ingest.Sealed]:
    """Yield a box's tallies in batches of 60: each row counts a few more, by night fewer.

    Args:
        node: its name.
        epoch: the start of its agent.
        span: from when to when, Unix ms.
        every: minutes between two.
        labels: two rows each, one of either direction.
    """
    since, until = span
    totals = dict.fromkeys(((way, label) for way in ("AB", "BA") for label in labels), 0)
    seq = 0
    batch: list[wire.AnyEvent] = []
    for at in range(since, until, every * MINUTE):
        by_day = 6 <= at % DAY // HOUR < 22
        for number, key in enumerate(totals):
            totals[key] += (3 + (at // MINUTE + number) % 7) if by_day else number % 2
        rows = [wire.LineTotal("main", 1, way, label, total) for (way, label), total in totals.items()]  # type: ignore[arg-type]
        objects = {label: totals["AB", label] + totals["BA", label] for label in labels}
        batch.append(wire.Tally(at, "cam0", every * MINUTE, {}, rows, objects, 900, 900, 0, 20, 30))
        if len(batch) == 60 or at + every * MINUTE >= until:
            seq += 1
            events = [wire.encode_event(event, at) for event in batch]
            yield node, epoch, seq, wire.encode_batch(epoch, seq, at, 0, events)
            batch = []


def work(scale: Scale, now: int, site_nodes: int) -> list[ingest.Sealed]:
    """Return the batches of the box with a long history and of a site's boxes, until an hour ago."""
    until = now // HOUR * HOUR - HOUR
    found = list(tallies(OLD, 10, (until - scale.days * DAY, until), scale.every))
    for number in range(site_nodes):
        span = (until - scale.site_days * DAY, until)
        labels = LABELS[: scale.site_labels]
        found += tallies(f"site-{number:03d}", 20 + number, span, scale.site_every, labels)
    return found


class Client:
    """Asks one build's API, and tells how long it took."""

    def __init__(self, build: Build, session: aiohttp.ClientSession) -> None:
        self._url = f"{build.url}/api/v1"
        self._session = session

    async def ask(self, path: str, **query: Any) -> tuple[float, list[dict[str, Any]]]:
        """Return the milliseconds until the whole answer was here, and its rows; raise for a refusal."""
        started = time.perf_counter()
        async with self._session.get(
            self._url + path, params={k: str(v) for k, v in query.items()}
        ) as response:
            response.raise_for_status()
            body = await response.read()
        took = (time.perf_counter() - started) * 1000
        rows: list[dict[str, Any]] = json.loads(body)["rows"]
        return took, rows

    async def site(self, names: list[str], **query: Any) -> tuple[float, int]:
        """Return the milliseconds of a site's counts box by box, and how much was counted."""
        took = 0.0
        counted = 0
        for name in names:
            one, rows = await self.ask(f"/nodes/{name}/counts", **query)
            took += one
            counted += sum(row["count"] for row in rows)
        return took, counted


def p95(values: list[float]) -> float:
    """Return the value that 19 of 20 do not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * 0.95) - 1]


async def fill(build: Build, scale: Scale, now: int, site_nodes: int) -> float:
    """Play the histories into one build; return the seconds until all of it was stored."""
    return (await ingest.drive(build.stack, work(scale, now, site_nodes), 20_000, 60, _WINDOW))[1]


async def ask_in_turns(now_build: Build, before: Build, scale: Scale, now: int) -> dict[str, float]:
    """Ask both builds the same; return p95 of this one, and the other's p95 over it."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    year = {"from": now - scale.days * DAY, "to": now, "bucket": "day"}
    hundred = {"from": now - min(100, scale.days) * DAY, "to": now, "bucket": "hour"}
    month = {"from": now - scale.site_days * DAY, "to": now, "bucket": "hour"}
    five_years = {"from": now - 5 * 365 * DAY, "to": now, "bucket": "month"}
    timeout = aiohttp.ClientTimeout(total=300)
    found: dict[str, float] = {}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        ours = Client(now_build, session)
        theirs = Client(before, session)
        for name, query in (("year_day", year), ("hundred_days_hour", hundred)):
            path = f"/nodes/{OLD}/counts"
            assert _rows(await ours.ask(path, **query)) == _rows(await theirs.ask(path, **query)), name
            mine = []
            other = []
            for number in range(scale.rounds):
                mine.append((await ours.ask(path, **query))[0])
                if number < scale.rounds_before:
                    other.append((await theirs.ask(path, **query))[0])
            found |= {f"{name}_p95_ms": p95(mine), f"{name}_ratio": p95(other) / p95(mine)}
        mine = [(await ours.ask(f"/nodes/{OLD}/counts", **five_years))[0] for _ in range(scale.rounds)]
        found["five_years_month_p95_ms"] = p95(mine)
        return found | await _ask_site(ours, theirs, scale, month)


async def _ask_site(ours: Client, theirs: Client, scale: Scale, month: dict[str, Any]) -> dict[str, float]:
    names = [f"site-{number:03d}" for number in range(scale.site_nodes)]
    some = names[: scale.site_nodes_before]
    took, counted = await theirs.site(some, **month)
    rows = (await ours.ask("/fleet/counts", **month, nodes=",".join(some)))[1]
    assert sum(row["count"] for row in rows) == counted
    whole = {**month, "nodes": ",".join(names)}
    first = (await ours.ask("/fleet/counts", **whole))[0]  # makes the days that are not made yet
    mine = p95([(await ours.ask("/fleet/counts", **whole))[0] for _ in range(scale.rounds)])
    ratio = took * len(names) / len(some) / mine
    return {"site_month_p95_ms": mine, "site_month_first_ms": first, "site_month_ratio": ratio}


def _rows(answer: tuple[float, list[dict[str, Any]]]) -> list[Any]:
    return [(row["start"], row["line"], row["direction"], row["label"], row["count"]) for row in answer[1]]


def measure(now_build: Build, before: Build, scale: Scale) -> dict[str, float]:
    """Fill both builds and ask them in turns."""
    now = int(time.time() * 1000)
    for build, site_nodes in ((now_build, scale.site_nodes), (before, scale.site_nodes_before)):
        took = asyncio.run(fill(build, scale, now, site_nodes))
        print(f"  {build.name}: history of {1 + site_nodes} boxes stored in {took:.0f} s", flush=True)
    return asyncio.run(ask_in_turns(now_build, before, scale, now))
