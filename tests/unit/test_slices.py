"""What is done for a fleet of thousands leaves the event loop to others, and is done for what changed."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Mapping
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent import wire
from aggregator import fleet_page, garbage
from aggregator.alerts.standing import ZonesNow
from aggregator.fleet import Fleet
from aggregator.fleet_page import Ranks
from aggregator.ingest import Fact
from aggregator.live import Hub
from aggregator.metrics import Metrics
from aggregator.node_view import NodeView
from aggregator.slices import in_turns
from aggregator.store.store import Store

AT = 1_800_000_000_000


def view(name: str, cpu: int, unranked: set[NodeView]) -> NodeView:
    """Return an online node with a sample."""
    made = NodeView(name, AT, unranked)
    made.state = wire.State(name, True, AT, cameras=[wire.CameraReport("cam0", "ok", AT)])
    made.online = True
    made.resources = wire.Resources(AT, "", cpu, 0, 0, 0, 0, None, 0, 0, False, {})
    return made


async def turns_of_others(work: Any) -> int:
    """Do a piece of work; return how often another task had its turn meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other(), name="other")
    await work
    task.cancel()
    await asyncio.wait([task])
    return turns


async def test_others_have_their_turn_after_each_slice() -> None:
    """A list of 1,000 in slices of 100 comes whole, in order, and lets others in ten times."""
    found: list[int] = []

    async def work() -> None:
        async for part in in_turns(range(1000), 100):
            found.extend(part)

    assert await turns_of_others(work()) >= 10
    assert found == list(range(1000))


async def test_ranks_are_found_anew_for_what_changed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 nodes of which one changes, comes or goes, one is judged again; the order is always right."""
    judged: list[str] = []

    def rank(one: NodeView, at: int) -> fleet_page.Rank:
        judged.append(one.name)
        return right(one, at)

    right = fleet_page.rank
    monkeypatch.setattr(fleet_page, "rank", rank)
    views: dict[str, NodeView] = {}
    ranks = Ranks(views)
    for number in range(1000):
        views[f"n-{number:04d}"] = view(f"n-{number:04d}", number % 90, ranks.unranked)
    assert await turns_of_others(ranks.renew(AT)) >= 10
    assert len(judged) == 1000

    def ordered() -> list[str]:
        judged.clear()
        found = list(ranks.ordered(ranks.names, "-cpu", AT))
        cpu = {name: one.resources.cpu_percent for name, one in views.items() if one.resources}
        assert found == sorted(views, key=lambda name: (-cpu[name], name))
        return list(judged)

    assert ordered() == []
    views["n-0500"].resources = msgspec.structs.replace(views["n-0500"].resources, cpu_percent=99)
    views["n-0500"].changed = True
    assert ordered() == ["n-0500"]
    views["a-new-one"] = view("a-new-one", 95, ranks.unranked)
    ranks.members_changed()
    assert ordered() == ["a-new-one"]
    del views["n-0000"]
    views["n-0001"] = view(
        "n-0001", 98, ranks.unranked
    )  # it was removed, and another has come under its name
    ranks.members_changed()
    assert ordered() == ["n-0001"]
    summary = ranks.summary(ranks.names, AT)
    assert (summary.total, summary.online, summary.blind) == (1000, 1000, 0)


def test_a_renamed_node_has_its_place_under_the_new_name() -> None:
    """The list of names follows a rename at once, so no page asks for a node that is there no more."""
    fleet = Fleet(cast(Store, _NoStore()), Hub(Metrics()), ZoneInfo("UTC"))
    for name in ("b-1", "c-1"):
        state = wire.State(name, True, AT, epoch=7, cameras=[])
        fleet.on_state(name, msgspec.json.encode(state), False)
    assert list(fleet.names) == ["b-1", "c-1"]
    fleet.rename("b-1", "d-1")
    assert list(fleet.names) == ["c-1", "d-1"]
    assert fleet.ranks.summary(fleet.names, AT).total == 2


class _NoStore:
    """What a fleet asks of a store when it is told of a rename."""

    archive: Any = type("Archive", (), {"forget_first": staticmethod(lambda node: None)})


class _Names(list[str]):
    """A list in which nobody may look for a name one after the other."""

    def __contains__(self, name: object) -> bool:
        raise AssertionError("a search through all names for each camera")


def test_zones_of_nodes_that_are_gone_are_forgotten_in_one_pass() -> None:
    """A list of all names is gone through once, not once a camera: that held 10,000 nodes up for a second."""
    zones = ZonesNow()
    tally = wire.Tally(AT, "cam0", 60_000, {}, [], {}, 600, 600, 0, 60, 110)
    zones.see([Fact(node, f"{node}:1:1:0", tally) for node in ("stays", "goes")])
    zones.keep(_Names(["stays"]))
    told: Mapping[tuple[str, str], Any] = zones.of(AT)
    assert set(told) == {("stays", "cam0")}


class _Thing:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_set_aside_is_not_looked_at_but_freed_all_the_same() -> None:
    """What nobody refers to goes at once; a cycle that died later goes when everything is looked through."""
    try:
        alone: set[int] | None = {1}
        thing: _Thing | None = _Thing()
        gone = weakref.ref(alone)
        cycle = weakref.ref(thing)
        garbage.set_aside()
        assert gc.get_freeze_count() > 1000
        alone = None
        assert gone() is None
        thing = None
        gc.collect()
        assert cycle() is not None
        garbage.look_through()
        assert cycle() is None
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
    assert alone is thing is None


async def test_collections_are_calm_while_a_centre_runs() -> None:
    """What lives at the start is set aside, and given back at the end."""
    async with garbage.calm():
        await asyncio.sleep(0)
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0
