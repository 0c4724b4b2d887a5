from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent import wire
from agent.deliver.spool import Now, Sealed, Spool, SpoolError, SpoolWorker, read_status

START = 1_763_000_000_000
BOX = wire.pack_box(0.1, 0.2, 0.3, 0.4)


def at(ms: int) -> Now:
    return Now(START + ms, 5_000 + ms)


def crossing(track: int) -> wire.Crossing:
    return wire.Crossing(START, "cam0", "main", 1, "AB", "car", track, track, 80)


def detection(track: int) -> wire.Detection:
    return wire.Detection(START, "cam0", track, "car", 80, BOX)


def resources() -> wire.Resources:
    return wire.Resources(START, "", 20, 10, 1000, 10, 10, None, 0, 0, False, {})


def unpack(sealed: list[Sealed]) -> list[wire.AnyEvent]:
    events = []
    for one in sealed:
        batch = wire.decode_batch(one.payload)
        assert (batch.epoch, batch.seq) == (one.epoch, one.seq)
        events += [wire.decode_event(raw, batch.base) for raw in wire.batch_events(batch)]
    return events


def balanced(spool: Spool) -> bool:
    """committed = acknowledged + pending + lost, where pending is counted in the file."""
    status = spool.status()
    pending = spool.place.batches.db.execute("SELECT count(*) FROM events").fetchone()[0]
    return (
        pending
        == status["pending"]
        == sum(epoch["committed"] - epoch["acked"] - epoch["lost"] for epoch in status["epochs"])
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool.db"


@pytest.fixture
def spool(path: Path):
    with_limit = Spool.open(path, 1 << 20, at(0))
    yield with_limit
    with_limit.close()


def test_an_urgent_event_closes_its_batch_after_a_second_and_telemetry_after_a_minute(spool: Spool) -> None:
    """Telemetry waits a minute for company; an urgent event takes all along within a second."""
    spool.append([resources()], at(0))
    assert spool.close_due(at(59_999)) == at(60_000).mono
    spool.append([crossing(1)], at(30_000))
    assert spool.close_due(at(30_999)) == at(31_000).mono
    assert spool.take(0, 9, at(30_999)) == []
    assert spool.close_due(at(31_000)) is None
    assert unpack(spool.take(0, 9, at(31_000))) == [resources(), crossing(1)]


def test_a_batch_is_closed_at_100_events_and_at_32_kilobytes(spool: Spool) -> None:
    """Neither limit of a batch is ever exceeded by what is put into it."""
    spool.append([crossing(n) for n in range(250)], at(0))
    path = b"12345678" * 1500
    spool.append([wire.Track(START, "cam0", n, "car", 80, 1, 1, path) for n in range(5)], at(1))
    spool.close_batch()
    sealed = spool.take(0, 99, at(2))
    sizes = [len(wire.batch_events(wire.decode_batch(one.payload))) for one in sealed]
    assert sizes[:2] == [100, 100]
    assert sum(sizes) == 255
    assert all(len(one.payload) <= wire.BATCH_BYTES for one in sealed)


def test_an_event_larger_than_any_batch_is_counted_as_lost(spool: Spool) -> None:
    """What could never be sent does not block the rest, and is declared."""
    spool.append([wire.Track(START, "cam0", 1, "car", 80, 1, 1, b"12345678" * 40_000), crossing(2)], at(0))
    spool.close_batch()
    good, lost = unpack(spool.take(0, 9, at(1)))
    assert good == crossing(2)
    assert isinstance(lost, wire.Lost)
    assert (lost.kind, lost.count) == ("track", 1)
    assert balanced(spool)


def test_a_payload_is_the_same_bytes_for_ever(spool: Spool, path: Path) -> None:
    """A resend, also after a restart, is byte-identical, and only an acknowledgement ends it."""
    spool.append([crossing(n) for n in range(130)], at(0))
    spool.close_batch()
    first = spool.take(0, 9, at(1))
    assert spool.take(0, 9, at(2)) == first
    spool.close()
    again = Spool.open(path, 1 << 20, at(3))
    assert again.take(0, 9, at(4)) == first
    assert again.acknowledge(first[0].epoch, [(1, 1)], at(5)) == 100
    assert again.take(0, 9, at(6)) == first[1:]
    again.close()


def test_each_start_has_an_epoch_of_its_own_and_numbers_go_on(path: Path) -> None:
    """What an earlier run left keeps its epoch; no number is given twice."""
    one = Spool.open(path, 1 << 20, at(0))
    one.append([crossing(1)], at(0))
    one.close_batch()
    (first,) = one.take(0, 9, at(1))
    one.append([crossing(2)], at(2))
    one.close()
    two = Spool.open(path, 1 << 20, at(3))
    two.append([crossing(3)], at(4))
    two.close_batch()
    sealed = two.take(0, 9, at(5))
    assert two.epoch != one.epoch < 2**48
    assert [(s.epoch, s.seq) for s in sealed] == [(one.epoch, 1), (one.epoch, 2), (two.epoch, 1)]
    assert sealed[0] == first
    two.close()


def test_unknown_doubled_and_absurd_acknowledgements_change_nothing(spool: Spool) -> None:
    """Only numbers that were sent and still wait are forgotten, once."""
    spool.append([crossing(1)], at(0))
    spool.close_batch()
    assert spool.acknowledge(spool.epoch, [(0, 2**70)], at(0)) == 0  # closed, but never sent
    spool.take(0, 9, at(1))
    for epoch, ranges in [(spool.epoch + 1, [(1, 1)]), (2**70, [(1, 1)]), (-1, [(1, 1)]),
                          (spool.epoch, [(5, 1), (-9, 0), (2**65, 2**66)])]:  # fmt: skip
        assert spool.acknowledge(epoch, ranges, at(2)) == 0
    assert spool.acknowledge(spool.epoch, [(-(2**70), 2**70)], at(3)) == 1
    assert spool.acknowledge(spool.epoch, [(1, 1)], at(3)) == 0
    assert spool.status()["pending"] == 0


def test_above_the_limit_detail_goes_oldest_first_and_counts_stay(spool: Spool) -> None:
    """The ledger of what was dropped is exact, and no crossing is in it."""
    for n in range(0, 40_000, 100):
        spool.append([crossing(n), *[detection(m) for m in range(n, n + 99)]], at(n))
    spool.close_batch()
    assert balanced(spool)
    events = unpack(spool.take(0, 10_000, at(40_001)))
    kept = [event.track for event in events if isinstance(event, wire.Detection)]
    declared = Counter({e.kind: 0 for e in events if isinstance(e, wire.Lost)})
    for event in events:
        if isinstance(event, wire.Lost):
            declared[event.kind] += event.count
    assert declared == {"detection": 400 * 99 - len(kept)} != {"detection": 0}
    assert kept == sorted(kept)
    assert kept[-1] == 39_998
    assert sum(isinstance(event, wire.Crossing) for event in events) == 400
    assert spool.status()["lost"] == declared["detection"]


def test_a_sealed_batch_is_never_dropped_or_changed(spool: Spool) -> None:
    """The limit takes its toll from what was never handed out."""
    spool.append([detection(n) for n in range(3200)], at(0))
    spool.close_batch()
    window = spool.take(0, 32, at(1))
    for n in range(300):
        spool.append([detection(m) for m in range(100)], at(2 + n))
    assert spool.status()["lost"] > 0
    assert spool.take(0, 32, at(400)) == window


def test_counts_alone_may_outgrow_the_limit(path: Path) -> None:
    """Where nothing may be dropped nothing is, and the spool goes on."""
    spool = Spool.open(path, 64 * 1024, at(0))
    for n in range(30):
        spool.append([crossing(n * 100 + m) for m in range(100)], at(n))
    spool.close_batch()
    assert len(unpack(spool.take(0, 999, at(99)))) == 3000
    spool.close()


def test_state_and_events_are_written_together(spool: Spool, path: Path) -> None:
    """What was remembered with an event is there after a restart, also for keys never set."""
    spool.append([crossing(1)], at(0), {"totals": b"1"})
    spool.append([crossing(2)], at(0), {"totals": b"2", "document": b"{}"})
    spool.close()
    again = Spool.open(path, 1 << 20, at(1))
    assert (again.recall("totals"), again.recall("document"), again.recall("x")) == (b"2", b"{}", None)
    again.close()


def test_a_second_agent_is_kept_out_with_one_line(spool: Spool, path: Path) -> None:
    """Two agents on one spool would give numbers twice."""
    with pytest.raises(SpoolError, match="in use by another agent"):
        Spool.open(path, 1 << 20)


def test_status_is_read_from_outside_while_the_agent_runs_and_after(spool: Spool, path: Path) -> None:
    """The account is there for another process, with the agent up or down."""
    with pytest.raises(SpoolError, match="no spool yet"):
        read_status(path.with_name("other.db"))
    spool.append([crossing(1)], at(0))
    assert read_status(path) == spool.status()
    spool.close()
    assert read_status(path)["pending"] == 1


def test_a_file_that_is_no_database_is_set_aside_and_counted(path: Path) -> None:
    """No crash loop: the agent starts, says so, and keeps the evidence."""
    path.parent.mkdir()
    path.write_bytes(b"nonsense " * 5000)
    spool = Spool.open(path, 1 << 20, at(0))
    spool.append([crossing(1)], at(1))
    spool.close_batch()
    lost, good = unpack(spool.take(0, 9, at(2)))
    assert good == crossing(1)
    assert isinstance(lost, wire.Lost)
    assert "spool.damaged-1" in lost.reason
    assert path.with_name("spool.damaged-1").read_bytes().startswith(b"nonsense")
    assert balanced(spool)
    spool.close()


@pytest.fixture
def damaged(path: Path) -> Spool:
    """A spool whose file was no database as it was opened."""
    path.parent.mkdir()
    path.write_bytes(b"nonsense " * 5000)
    return Spool.open(path, 1 << 20)


async def test_a_file_that_was_set_aside_is_told_to_who_wants_to_know(damaged: Spool) -> None:
    """The worker counts it and says so, once, so that the state of the box can name it."""
    told: list[int] = []
    worker = SpoolWorker(damaged)
    worker.on_problem = lambda: told.append(worker.damaged)
    async with worker:
        await worker.append([crossing(1)])
        await worker.append([crossing(2)])
    assert told == [1]


def test_a_page_in_anothers_place_is_found_as_the_file_is_opened(path: Path) -> None:
    """SQLite finds nothing wrong with such a file; it is set aside, and what is gone is told exactly."""
    spool = Spool.open(path, 8 << 20, at(0))
    for n in range(1, 301):
        spool.append([crossing(n)], at(n * 1000))
        spool.close_due(at(n * 1000 + 999))
    root = spool.place.batches.db.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'events'"
    ).fetchone()[0]
    spool.close()
    content = path.read_bytes()
    leaves = [
        page
        for page in range(len(content) // 1024)
        if page != root - 1
        and content[page * 1024] == 10
        and b"main" in content[page * 1024 : page * 1024 + 1024]
    ]
    one, two = (page * 1024 for page in leaves[1:3])
    path.write_bytes(content[:two] + content[one : one + 1024] + content[two + 1024 :])
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    spool = Spool.open(path, 8 << 20, at(400_000))
    assert spool.place.damaged == 1
    spool.close_batch()
    events = unpack(spool.take(0, 9999, at(400_001)))
    whole = [event for event in events if isinstance(event, wire.Crossing)]
    lost = [event for event in events if isinstance(event, wire.Lost)]
    assert [event.unknown for event in lost] == [False]
    assert lost[0].count == 300 - len(whole) > 0
    spool.close()


def test_a_flipped_bit_in_an_event_costs_that_event_alone(spool: Spool) -> None:
    """SQLite does not see it; the row's checksum does, and the rest of the batch is sent."""
    spool.append([crossing(n) for n in range(10)], at(0))
    spool.place.batches.db.execute("UPDATE events SET body = zeroblob(9) WHERE i = 4")
    spool.close_batch()
    events = unpack(spool.take(0, 9, at(1)))
    assert [e.track for e in events if isinstance(e, wire.Crossing)] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    spool.close_batch()
    (lost,) = unpack(spool.take(1, 9, at(2)))
    assert isinstance(lost, wire.Lost)
    assert lost.count == 1
    assert balanced(spool)


def test_positions_go_on_behind_a_file_that_was_replaced(spool: Spool) -> None:
    """A publisher that stands at a position misses nothing that comes after the damage."""
    spool.append([crossing(n) for n in range(250)], at(0))
    spool.close_batch()
    position = spool.take(0, 9, at(1))[-1].position
    epoch = spool.epoch
    spool.path.write_bytes(b"garbage " * 2000)
    spool.place._replace(at(2))  # what any read that meets the damage does
    spool.append([crossing(999)], at(2))
    spool.close_batch()
    assert crossing(999) in unpack(spool.take(position, 9, at(3)))
    assert spool.place.damaged == 1
    assert spool.epoch != epoch
    assert balanced(spool)


class SpoolModel(RuleBasedStateMachine):
    """The spool beside a plain ledger of everything that was ever appended."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-", dir=os.environ.get("GB_FAST_TMP")))
        self.ms = 0
        self.tracks = 0
        self.appended: Counter[str] = Counter()
        self.payloads: dict[tuple[int, int], bytes] = {}
        self.acked: set[tuple[int, int]] = set()
        self.epochs: set[int] = set()
        self.lives = 0

    def now(self) -> Now:
        self.ms += 7
        return at(self.ms)

    @initialize(limit=st.sampled_from([24_000, 60_000, 4_000_000]))
    def start(self, limit: int) -> None:
        self.limit = limit
        self.open()

    def open(self) -> None:
        self.lives += 1
        self.spool = Spool.open(self.folder / f"{self.lives}" / "spool.db", self.limit, self.now())
        assert self.spool.epoch not in self.epochs
        self.epochs.add(self.spool.epoch)
        self.position = 0

    @rule(kinds=st.lists(st.sampled_from("cdr"), min_size=1, max_size=130))
    def append(self, kinds: list[str]) -> None:
        events: list[wire.AnyEvent] = []
        for kind in kinds:
            self.tracks += 1
            make = {"c": crossing, "d": detection, "r": lambda _: resources()}[kind]
            events.append(make(self.tracks))
        assert self.spool.append(events, self.now(), {"tracks": str(self.tracks).encode()})
        self.appended.update(wire.EVENT_NAMES[type(event)] for event in events)

    @rule(ms=st.sampled_from([10, 1000, 60_000]))
    def wait(self, ms: int) -> None:
        self.ms += ms
        self.spool.close_due(self.now())

    @rule(room=st.integers(1, 8), behind=st.booleans())
    def take(self, room: int, behind: bool) -> None:
        for sealed in self.spool.take(self.position if behind else 0, room, self.now()):
            name = sealed.epoch, sealed.seq
            assert name not in self.acked
            assert self.payloads.setdefault(name, sealed.payload) == sealed.payload
            self.position = max(self.position, sealed.position)

    @rule(pick=st.randoms(use_true_random=False), share=st.floats(0, 1))
    def acknowledge(self, pick, share: float) -> None:
        names = [name for name in sorted(self.payloads) if pick.random() < share]
        pick.shuffle(names)
        for epoch, seq in names:
            self.spool.acknowledge(epoch, [(seq, seq)], self.now())
        self.acked.update(names)

    @rule(epoch=st.integers(0, 2**48), seq=st.integers(0, 50))
    def acknowledge_what_is_unknown(self, epoch: int, seq: int) -> None:
        if epoch not in self.epochs:
            assert self.spool.acknowledge(epoch, [(0, seq)], self.now()) == 0

    @rule()
    def killed(self) -> None:
        """What a kill leaves: the files as they are, without a clean close."""
        shutil.copytree(self.spool.path.parent, self.folder / f"{self.lives + 1}")
        self.spool.close()
        self.open()

    @invariant()
    def account_is_balanced(self) -> None:
        if self.lives:
            assert balanced(self.spool)
            if self.tracks:
                assert self.spool.recall("tracks") == str(self.tracks).encode()

    def teardown(self) -> None:
        if self.lives:
            self.spool.close_batch()
            for sealed in self.spool.take(0, 100_000, self.now()):
                assert self.payloads.setdefault((sealed.epoch, sealed.seq), sealed.payload) == sealed.payload
            self.judge(unpack([Sealed(0, *name, payload) for name, payload in self.payloads.items()]))
            self.spool.close()
        shutil.rmtree(self.folder)

    def judge(self, events: list[wire.AnyEvent]) -> None:
        """Everything appended arrived once, or is declared lost; no count is lost."""
        arrived = Counter(wire.EVENT_NAMES[type(event)] for event in events)
        del arrived["lost"]
        for event in events:
            if isinstance(event, wire.Lost):
                arrived[event.kind] += event.count
                assert event.kind in ("detection", "resources")
        assert arrived == self.appended
        tracks = [e.track for e in events if isinstance(e, wire.Crossing | wire.Detection)]
        assert len(tracks) == len(set(tracks))


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(
    max_examples=int(os.environ.get("GB_SPOOL_EXAMPLES", "15")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_sleep_of_the_machine_is_no_clock_that_was_set() -> None:
    """The second clock of a moment counts the hour for which the machine slept, as the wall's does: between
    them nothing has changed. The kernel is told that the machine slept an hour longer (`unshare --boottime`).
    """
    slept = ["unshare", "--time", "--boottime", "3600"]
    if subprocess.run([*slept, "true"], capture_output=True, check=False).returncode:
        pytest.skip("`unshare --time` is not allowed here: no machine that slept")
    code = "import time; from agent.deliver.spool import this_moment; "
    code += "print(this_moment().mono / 1000 - time.monotonic())"
    hour, zero = (
        float(subprocess.run([*how, sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for how in (slept, [])
    )
    assert hour - zero == pytest.approx(3600, abs=1)
