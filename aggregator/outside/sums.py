"""Running totals by line and direction that never fall, over versions, restarts and wiped boxes.

A box tells a total of each (line, version, direction, label). Here they are added up by line and direction.
What always holds: only what a row gains is added, so a total that is told twice changes nothing. A row of a
newer start of the agent whose total is below the one before comes from a wiped box, and counts from zero; an
older start's row says nothing new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from agent import wire
from aggregator.store import codec
from aggregator.store.parcel import Fact


class Row(msgspec.Struct, array_like=True, frozen=True):
    """What a box counts apart."""

    camera: str
    line: str
    version: int
    direction: str
    label: str


class Gate(msgspec.Struct, array_like=True, frozen=True):
    """What is added up."""

    camera: str
    line: str
    direction: str


class Kept(msgspec.Struct):
    """A node's sums as they are kept: the newest total of each row with its epoch, and the sums."""

    rows: list[tuple[Row, int, int]] = []
    sums: list[tuple[Gate, int]] = []


def totals(fact: Fact) -> Iterator[tuple[Row, int]]:
    """Iterate over the totals of lines that an event tells."""
    event = fact.event
    if isinstance(event, wire.Crossing):
        yield Row(event.camera, event.line, event.version, event.direction, event.label), event.total
    elif isinstance(event, wire.Tally):
        for row in event.totals:
            yield Row(event.camera, row.line, row.version, row.direction, row.label), row.total


class Sums:
    """The sums of one node."""

    def __init__(self, kept: Kept | None = None) -> None:
        kept = kept or Kept()
        self._rows = {row: (epoch, total) for row, epoch, total in kept.rows}
        self._sums = dict(kept.sums)
        self.cameras = {row.camera for row in self._rows}  # of which totals are known
        self.changed = False

    def kept(self) -> Kept:
        """Return them as they are kept."""
        rows = [(row, epoch, total) for row, (epoch, total) in self._rows.items()]
        return Kept(rows, list(self._sums.items()))

    def see(self, fact: Fact) -> None:
        """Take a stored event."""
        epoch = codec.split_id(fact.id)[1]
        for row, total in totals(fact):
            self._advance(row, epoch, total)
        if isinstance(fact.event, wire.Tally):
            self.cameras.add(fact.event.camera)

    def _advance(self, row: Row, epoch: int, total: int) -> None:
        before_epoch, before = self._rows.get(row, (epoch, 0))
        if epoch < before_epoch or (epoch == before_epoch and total <= before):
            return
        gained = total - before if total >= before else total
        gate = Gate(row.camera, row.line, row.direction)
        self._rows[row] = (epoch, total)
        self._sums[gate] = self._sums.get(gate, 0) + gained
        self.changed = True

    def of(self, camera: str, line: str, direction: str) -> int | None:
        """Return a sum; 0 for a line that has counted nothing, None where nothing is known of its camera."""
        if camera not in self.cameras:
            return None
        return self._sums.get(Gate(camera, line, direction), 0)


def folded(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """Return node -> its events that tell of totals."""
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        if isinstance(fact.event, wire.Crossing | wire.Tally):
            found.setdefault(fact.node, []).append(fact)
    return found
