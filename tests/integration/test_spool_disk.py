"""A spool whose disk is read-only, full at the start, gone, or destroyed: the box counts, and says so."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agent import wire
from agent.deliver.spool import Spool
from agent.deliver.spool_db import PAGE
from agent.deliver.spool_wal import ends_of_transactions

from .test_spool import at, crossing, files, unpack

LIMIT = 8 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box" / "spool.db"


def filled(path: Path, events: int, *, killed: bool = False) -> int:
    """Put crossings on disk, and return the epoch; `killed`: leave what a kill leaves."""
    spool = Spool.open(path, LIMIT, at(0))
    for n in range(1, events + 1):
        spool.append([crossing(n)], at(n), {"total": str(n).encode()})
        if n % 33 == 0:
            spool.close_batch()
    spool.take(0, 3, at(events))
    epoch = spool.epoch
    if killed:
        for file in files(path):
            (path.parent / f"{file.name}.copy").write_bytes(file.read_bytes())
    spool.close()
    if killed:
        for copy in path.parent.glob("*.copy"):
            copy.rename(copy.with_suffix(""))
        with (path.parent / "spool.lock").open("r+b") as lock:
            lock.write(b"open\0\0\0\0")
    return epoch


def drained(spool: Spool, ms: int) -> list[wire.AnyEvent]:
    """Take and acknowledge everything; return it."""
    events: list[wire.AnyEvent] = []
    spool.close_batch()
    while sealed := spool.take(0, 32, at(ms)):
        events += unpack(sealed)
        for one in sealed:
            assert spool.acknowledge(one.epoch, [(one.seq, one.seq)], at(ms)) > 0
    return events


def totals(events: list[wire.AnyEvent]) -> list[int]:
    return [event.total for event in events if isinstance(event, wire.Crossing)]


def losses(events: list[wire.AnyEvent]) -> list[tuple[int, bool]]:
    return [(event.count, event.unknown) for event in events if isinstance(event, wire.Lost)]


# ── a destroyed file declares what cannot be known ────────────────────────────────────────────────


def garbage(path: Path) -> None:
    path.write_bytes(b"\xa5" * path.stat().st_size)
    Path(f"{path}-wal").unlink(missing_ok=True)


def headless(path: Path) -> None:
    path.write_bytes(bytes(1024) + path.read_bytes()[1024:])
    Path(f"{path}-wal").unlink(missing_ok=True)


def removed(path: Path) -> None:
    for file in files(path):
        file.unlink()


def without_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def log_broken(path: Path) -> None:
    log = Path(f"{path}-wal")
    content = bytearray(log.read_bytes())
    content[32 + 24 + 100] ^= 0xFF
    log.write_bytes(content)


def log_without_head(path: Path) -> None:
    log = Path(f"{path}-wal")
    log.write_bytes(bytes(32) + log.read_bytes()[32:])


def log_emptied(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"")


def log_cut(path: Path) -> None:
    log = Path(f"{path}-wal")
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])


def log_cut_at_a_transaction(path: Path) -> None:
    log = Path(f"{path}-wal")
    end = ends_of_transactions(log, PAGE)[-30]
    log.write_bytes(log.read_bytes()[: 32 + end * (24 + PAGE)])


def half_and_without_log(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    Path(f"{path}-wal").unlink(missing_ok=True)


def anothers(path: Path) -> None:
    removed(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")


def emptied(path: Path) -> None:
    path.write_bytes(b"")
    Path(f"{path}-wal").unlink(missing_ok=True)


@pytest.mark.parametrize(
    "destroy",
    [
        garbage,
        headless,
        removed,
        without_log,
        log_broken,
        log_without_head,
        log_emptied,
        log_cut,
        log_cut_at_a_transaction,
        half_and_without_log,
        anothers,
        emptied,
    ],
)
def test_a_destroyed_spool_declares_an_unknown_loss(path: Path, destroy) -> None:
    """1,500 events and no way to count them: not "lost 0", but "unknown", and new events flow."""
    filled(path, 1500, killed=True)
    destroy(path)
    spool = Spool.open(path, LIMIT, at(9_000_000))
    assert spool.append([crossing(9999)], at(9_000_001))
    events = drained(spool, 9_000_002)
    assert 9999 in totals(events)
    gone = 1500 - (len(totals(events)) - 1)
    assert gone > 0
    assert any(unknown for _, unknown in losses(events)), losses(events)
    assert sum(count for count, _ in losses(events)) <= gone
    spool.close()
    again = Spool.open(path, LIMIT, at(9_100_000))
    assert losses(drained(again, 9_100_001)) == []
    again.close()


def test_a_clean_end_and_a_kill_declare_nothing(path: Path) -> None:
    """Neither a stop, nor kill -9, nor the very first start is taken for a destroyed spool."""
    filled(path, 100, killed=True)
    spool = Spool.open(path, LIMIT, at(200))
    events = drained(spool, 201)
    assert totals(events) == list(range(1, 101))
    assert losses(events) == []
    spool.close()
    again = Spool.open(path, LIMIT, at(300))
    assert drained(again, 301) == []
    assert again.place.damaged == 0
    again.close()


STEPS = {
    "append": lambda spool: spool.append([crossing(301)], at(301), {"total": b"301"}),
    "seal": lambda spool: spool.take(0, 3, at(301)),
    "acknowledge": lambda spool: spool.acknowledge(spool.epoch, [(1, 1)], at(301)),
}


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in [*files(path), path.with_name("spool.lock")]}


def killed_in(path: Path, step: str) -> tuple[dict[Path, bytes], dict[Path, bytes], list[bytes]]:
    """Do a step of a spool of 300 crossings: its files before and after, and its log at each torn frame.

    SQLite writes a frame's head and its page one after the other, over frames of a log before this one.
    """
    log = Path(f"{path}-wal")
    spool = Spool.open(path, LIMIT, at(0))
    for n in range(1, 301):
        spool.append([crossing(n)], at(n), {"total": str(n).encode()})
        if n == 10:
            spool.close_batch()
            spool.take(0, 1, at(n))
    spool.close_batch()
    before = contents(path)
    STEPS[step](spool)
    after = contents(path)
    spool.close()
    assert before[path] == after[path]  # no checkpoint
    old, new = before[log], after[log]
    assert len(old) == len(new)  # older frames lie behind
    frames = range(32, len(new), 24 + PAGE)
    changed = [start for start in frames if old[start : start + 24] != new[start : start + 24]]
    assert changed
    return before, after, [new[: start + 24] + old[start + 24 :] for start in changed]


def put(contents: dict[Path, bytes]) -> None:
    for file, content in contents.items():
        file.write_bytes(content)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_in_the_middle_of_a_write_declares_nothing(path: Path, step: str) -> None:
    """What had not returned was never accepted: all 300 are there, and nothing is said to be lost."""
    before, _, logs = killed_in(path, step)
    for log in logs:
        put({**before, Path(f"{path}-wal"): log})
        spool = Spool.open(path, LIMIT, at(400))
        events = drained(spool, 401)
        assert totals(events) == list(range(1, 301))
        assert losses(events) == []
        assert spool.status()["lost"] == spool.status()["pending"] == 0
        assert spool.recall("total") == b"300"
        spool.close()


@pytest.mark.parametrize("note", ["says more", "is damaged", "is missing", "and its file are missing"])
def test_a_last_write_that_was_accepted_or_may_have_been_is_declared(path: Path, note: str) -> None:
    """The same torn log, but the note beside the file knows of event 301, or cannot be read."""
    before, after, logs = killed_in(path, "append")
    lock = path.with_name("spool.lock")
    notes = {
        "says more": after[lock],
        "is damaged": before[lock][:-1] + b"?",
        "is missing": before[lock][:8],
        "and its file are missing": b"",
    }
    put({**before, Path(f"{path}-wal"): logs[-1], lock: notes[note]})
    spool = Spool.open(path, LIMIT, at(400))
    events = drained(spool, 401)
    assert totals(events) == list(range(1, 301))
    assert losses(events) == [(0, True)]
    spool.close()


@pytest.mark.parametrize("column", ["next", "committed", "acked", "lost"])
@pytest.mark.parametrize("running", [True, False])
def test_an_altered_number_of_an_epoch_is_noticed(path: Path, column: str, running: bool) -> None:
    """A next number set back would be given twice, a wrong account be a false loss: none is believed."""
    spool = Spool.open(path, LIMIT, at(0))
    given = set()
    for n in range(1, 9):
        spool.append([crossing(n)], at(n))
        spool.close_batch()
        given |= {(one.epoch, one.seq) for one in spool.take(0, 99, at(n))}
    for epoch, seq in given:
        spool.acknowledge(epoch, [(seq, seq)], at(10))
    spool.append([crossing(9)], at(11))
    spool.close_batch()
    spool.place.batches.db.execute(f"UPDATE epochs SET {column} = max({column} - 3, 0) + 1")
    if not running:
        spool.close()
        spool = Spool.open(path, LIMIT, at(20))
    spool.append([crossing(10)], at(21))
    spool.close_batch()
    sealed = spool.take(0, 99, at(22))
    assert not {(one.epoch, one.seq) for one in sealed} & given
    assert totals(unpack(sealed)) == [9, 10]
    assert losses(unpack(sealed)) == [(0, True)]
    assert spool.place.damaged == 1
    spool.close()


# ── a disk that cannot be written ─────────────────────────────────────────────────────────────────

READ_ONLY = textwrap.dedent(
    """
    import json, os, resource, shutil, subprocess, sys
    from pathlib import Path
    from agent.deliver.spool import Spool, read_status
    from tests.integration.test_spool import at, crossing, unpack
    from tests.integration.test_spool_disk import LIMIT, drained, totals, losses

    disk, when = Path(sys.argv[1]), sys.argv[2]
    def mount(how):
        if when == "running":  # a disk in use cannot be made read-only: writing is forbidden to the process
            most = 0 if how == "ro" else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        else:
            subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)
    path = disk / "state" / "spool.db"
    told = {}
    if when != "first":  # an earlier life leaves five events and a total
        before = Spool.open(path, LIMIT, at(0))
        for n in range(1, 6):
            before.append([crossing(n)], at(n), {"total": str(n).encode()})
        if when == "stopped":
            before.close()
        if when == "killed":
            shutil.copytree(disk / "state", disk / "killed")
            before.close()
            path = disk / "killed" / "spool.db"
    if when == "running":
        spool = before
        before.take(0, 1, at(6))
        mount("ro")
    else:
        mount("ro")
        spool = Spool.open(path, LIMIT, at(10))
    first, ms = (1 if when == "first" else 6), 1000
    told["recalled"] = (spool.recall("total") or b"0").decode()
    for n in range(first, first + 30):
        ms += 1000
        told["stored"] = spool.append([crossing(n)], at(ms), {"total": str(n).encode()})
        spool.close_due(at(ms))
    told["problem"], told["in_memory"] = spool.place.problem, spool.in_memory
    spool.close_batch()
    sent = spool.take(0, 2, at(ms))
    told["flows"] = totals(unpack(sent))
    mount("rw")
    for n in range(first + 30, first + 40):
        ms += 1000
        told["back"] = spool.append([crossing(n)], at(ms), {"total": str(n).encode()})
        spool.close_due(at(ms))
    told["after"] = spool.place.problem
    told["same"] = {one.payload for one in sent} <= {one.payload for one in spool.take(0, 99, at(ms))}
    told["committed"] = sum(e["committed"] for e in read_status(path)["epochs"])
    spool.close()
    spool = Spool.open(path, LIMIT, at(ms + 1))
    told["total"] = (spool.recall("total") or b"0").decode()
    events = drained(spool, ms + 2)
    told["totals"], told["losses"] = sorted(totals(events)), losses(events)
    told["last"] = first + 39
    print(json.dumps(told))
    """
)


def in_namespace(script: str, disk: Path, *arguments: str, size: str = "8m") -> dict:
    """Run a script over a small disk of its own, and return what it says."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("`unshare -m` is not allowed here: no disk to mount")
    disk.mkdir()
    words = " ".join([str(disk), *arguments])
    command = f'mount -t tmpfs -o size={size} tmpfs {disk} && exec {sys.executable} -c "$0" {words}'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("when", ["first", "stopped", "killed", "running"])
def test_a_read_only_disk_ends_nothing_and_heals(tmp_path: Path, when: str) -> None:
    """Read-only at the start or later: events flow from memory, the reason is told, and no total goes back.

    When the disk can be written again everything is on it, under the same numbers, each event once.
    """
    told = in_namespace(READ_ONLY, tmp_path / "disk", when)
    assert told["stored"] is False
    assert "cannot be written" in told["problem"]
    assert told["in_memory"] >= 30
    assert len(told["flows"]) >= 1
    assert told["recalled"] == ("0" if when == "first" else "5")
    assert told["back"] is True
    assert told["after"] == ""
    assert told["same"]
    assert told["totals"] == list(range(1, told["last"] + 1))
    assert told["total"] == str(told["last"])
    assert told["losses"] == []


MANY = textwrap.dedent(
    """
    import json, resource, subprocess, sys
    from pathlib import Path
    from agent import wire
    from agent.deliver.spool import MEMORY_BYTES, Spool
    from tests.integration.test_spool import BOX, START, at, crossing
    from tests.integration.test_spool_disk import LIMIT, drained, totals

    disk = Path(sys.argv[1])
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    spool, ms, made = Spool.open(disk / "state" / "spool.db", 64 << 20, at(0)), 0, 0
    def more(rounds):
        global ms, made
        for _ in range(rounds):
            ms += 100
            made += 200
            spool.append([crossing(made - 200 + n) for n in range(1, 201)], at(ms))
    more(1000)
    used, before = spool.place.batches.used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    more(300)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    events = drained(spool, ms + 1)
    lost = sum(event.count for event in events if isinstance(event, wire.Lost))
    print(json.dumps({"used": used, "bound": MEMORY_BYTES, "grown_kb": grown, "made": made, "lost": lost,
                      "kept": len(totals(events)), "last": totals(events)[-1]}))
    """
)


def test_without_a_disk_memory_is_bounded_and_the_ledger_exact(tmp_path: Path) -> None:
    """260,000 crossings for nobody: the oldest go, each of them is counted as lost, and memory stays."""
    told = in_namespace(MANY, tmp_path / "disk")
    assert told["used"] <= told["bound"] + 100_000
    assert told["grown_kb"] < 20_000
    assert told["kept"] + told["lost"] == told["made"] == told["last"]
    assert told["lost"] > 100_000


FULL_AT_START = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from agent.deliver.spool import Spool
    from tests.integration.test_spool import at, crossing
    from tests.integration.test_spool_disk import LIMIT, drained, totals

    disk = Path(sys.argv[1])
    path = disk / "state" / "spool.db"
    before = Spool.open(path, LIMIT, at(0))
    for n in range(1, 101):
        before.append([crossing(n)], at(n), {"total": str(n).encode()})
    before.close()
    if sys.argv[2] == "without":
        (disk / "state" / "spool.ballast").unlink()
    with open(disk / "foreign", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            pass
    spool, ms = Spool.open(path, LIMIT, at(200)), 300
    told = {"recalled": spool.recall("total").decode()}
    for n in range(101, 111):
        ms += 1000
        spool.append([crossing(n)], at(ms), {"total": str(n).encode()})
    spool.place.ballast._try_at = 0
    spool.close_due(at(ms))
    told["problem"] = spool.place.problem
    (disk / "foreign").unlink()
    for n in range(111, 126):
        ms += 1000
        told["back"] = spool.append([crossing(n)], at(ms), {"total": str(n).encode()})
        spool.close_due(at(ms))
    told["after"] = spool.place.problem
    told["totals"] = sorted(totals(drained(spool, ms + 1)))
    print(json.dumps(told))
    """
)


@pytest.mark.parametrize("ballast", ["with", "without"])
def test_a_disk_that_is_full_at_the_start_is_told_and_ends_nothing(tmp_path: Path, ballast: str) -> None:
    """The agent starts, says that the disk is full, knows its totals, and loses no count."""
    told = in_namespace(FULL_AT_START, tmp_path / "disk", ballast, size="4m")
    assert told["recalled"] == "100"
    assert "full" in told["problem"]
    assert told["back"] is True
    assert told["after"] == ""
    assert told["totals"] == list(range(1, 126))
