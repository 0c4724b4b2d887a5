"""The spool on a disk that is full, torn or garbled."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from agent import wire
from agent.deliver.spool import Now, Sealed, Spool

START = 1_763_000_000_000
BOX = wire.pack_box(0.1, 0.2, 0.3, 0.4)


def at(ms: int) -> Now:
    return Now(START + ms, ms)


def crossing(total: int) -> wire.Crossing:
    return wire.Crossing(START, "cam0", "main", 1, "AB", "car", total, total, 80)


def unpack(sealed: list[Sealed]) -> list[wire.AnyEvent]:
    events = []
    for one in sealed:
        batch = wire.decode_batch(one.payload)
        events += [wire.decode_event(raw, batch.base) for raw in wire.batch_events(batch)]
    return events


def files(path: Path) -> list[Path]:
    return [file for suffix in ("", "-wal", "-shm") if (file := Path(f"{path}{suffix}")).exists()]


def copy(path: Path, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files(path):
        shutil.copy(file, folder)
    return folder / path.name


def test_a_power_cut_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """The log cut or garbled anywhere behind the last accepted append: that append is there, whole."""
    chance = random.Random(1)
    spool = Spool.open(tmp_path / "box" / "spool.db", 8 << 20, at(0))
    wal = Path(f"{spool.path}-wal")
    total = 0
    acked = 0
    cuts = 0
    while cuts < 60:
        if total and total % 50 == 0:  # numbers are given out, and some come back, on the way
            spool.close_batch()
            acked += spool.acknowledge(spool.epoch, [(0, spool.take(0, 3, at(total))[0].seq)], at(total))
        accepted = total
        size = wal.stat().st_size
        main = spool.path.read_bytes()
        total += 1
        spool.append([crossing(total)], at(total), {"total": str(total).encode()})
        if wal.stat().st_size <= size or spool.path.read_bytes() != main:
            continue  # the log began anew: no cut in the middle of a commit can be made from this copy
        copied = copy(spool.path, tmp_path / "cut")
        tail = wal.stat().st_size - size
        keep = chance.randrange(tail + 1)
        with Path(f"{copied}-wal").open("r+b") as file:
            file.truncate(size + keep)
            file.seek(size)
            torn = bytearray(file.read())
            if torn and chance.random() < 0.5:
                torn[chance.randrange(len(torn))] ^= 0xFF
                file.seek(size)
                file.write(torn)
        began = time.monotonic()
        again = Spool.open(copied, 8 << 20, at(total))
        assert time.monotonic() - began < 2.0
        assert int(again.recall("total") or b"0") in (accepted, total)
        assert again.place.damaged == 0
        seen = [
            event.total
            for event in unpack(again.take(0, 9999, at(total)))
            if isinstance(event, wire.Crossing)
        ]
        assert seen == list(range(acked + 1, int(again.recall("total") or b"0") + 1))
        again.close()
        cuts += 1
    spool.close()


def test_a_killed_process_leaves_what_it_had_accepted(tmp_path: Path) -> None:
    """kill -9 at random moments: every total that was printed is on disk, events and state agree."""
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.integration.test_spool import crossing
        from agent.deliver.spool import Spool, this_moment
        spool = Spool.open(Path(sys.argv[1]), 8 << 20)
        total = int(spool.recall("total") or b"0")
        while True:
            total += 1
            spool.append([crossing(total)], this_moment(), {"total": str(total).encode()})
            print(total, flush=True)
        """
    )
    chance = random.Random(2)
    path = tmp_path / "spool.db"
    printed = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        said = process.communicate()[0].split()
        printed = int(said[-1]) if said else printed
    spool = Spool.open(path, 8 << 20)
    kept = int(spool.recall("total") or b"0")
    assert kept - printed in (0, 1)
    events = unpack(spool.take(0, 99999, at(0)))
    assert [event.total for event in events if isinstance(event, wire.Crossing)] == list(range(1, kept + 1))
    spool.close()


PAGE = 1024


def garble(file: Path, chance: random.Random) -> None:
    """Flip bits, overwrite, zero or cut; or displace whole pages, which SQLite's own check may not see."""
    content = bytearray(file.read_bytes())
    if not content:
        return
    for _ in range(chance.choice([1, 3, 20])):
        place = chance.randrange(len(content))
        kind = chance.randrange(6)
        if kind == 0:
            content[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[place : place + 64] = chance.randbytes(len(content[place : place + 64]))
        elif kind == 2:
            content[place : place + 1024] = bytes(len(content[place : place + 1024]))
        elif kind == 3 and not file.name.endswith(
            "-wal"
        ):  # a log that is cut is not to be told from a short one
            content = content[: max(1, len(content) - chance.randrange(4096))]
        elif len(content) >= 3 * PAGE:
            displace(content, chance, swap=kind == 4)
    file.write_bytes(content)


def displace(content: bytearray, chance: random.Random, *, swap: bool) -> None:
    """Copy a page of the file over another one, or let two change their places."""
    one, two = (PAGE * n for n in chance.sample(range(1, len(content) // PAGE), 2))
    first = bytes(content[one : one + PAGE])
    second = bytes(content[two : two + PAGE])
    content[two : two + PAGE] = first
    if swap:
        content[one : one + PAGE] = second


ROUNDS = int(os.environ.get("GB_GARBLE_ROUNDS", "300"))  # 10,000 is the whole dose


@pytest.mark.parametrize("part", range(3))
def test_a_garbled_file_never_stops_the_box(tmp_path: Path, part: int) -> None:
    """Whatever is overwritten: it opens, new events flow, and no event comes out altered or twice.

    What does not come out is declared: by its number, or as a number that cannot be known.
    """
    spool = Spool.open(tmp_path / "box" / "spool.db", 8 << 20, at(0))
    for n in range(1, 301):
        spool.append([crossing(n)], at(n * 1000), {"total": str(n).encode()})
        spool.close_due(at(n * 1000 + 999))
        if n in (150, 290):
            for one in spool.take(
                0, 2 if n == 150 else 3, at(n * 1000)
            ):  # two are acknowledged, one is sealed
                if n == 150:
                    spool.acknowledge(one.epoch, [(one.seq, one.seq)], at(n * 1000))
    kept = 300 - spool.status()["epochs"][0]["acked"]
    if part:  # what a running agent would have in its log lies in the file
        spool.place.batches.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for n in range(301, 301 + 4 * (part - 1)):
            spool.append([crossing(n)], at(n * 1000))
            kept += 1
    good = set(map(repr, [crossing(n) for n in range(1, 309)]))
    off = []
    for seed in range(part, ROUNDS, 3):
        chance = random.Random(seed)
        copied = copy(spool.path, tmp_path / "garbled")
        garble(chance.choice(files(copied)[: 3 - (part > 0)]), chance)
        if not check_garbled(copied, good, kept):
            off.append(seed)
    spool.close()
    assert off == []


def check_garbled(path: Path, good: set[str], kept: int) -> bool:
    """Check what must hold of every damaged file; say whether the loss that it declares is exact."""
    began = time.monotonic()
    spool = Spool.open(path, 8 << 20, at(500_000))
    assert spool.append([crossing(9999)], at(500_001))
    spool.close_batch()
    sealed = spool.take(0, 9999, at(500_002))
    spool.close_batch()  # what was lost on the way is declared now
    sealed += spool.take(sealed[-1].position, 9999, at(500_003))
    assert time.monotonic() - began < 5.0
    names = {(one.epoch, one.seq) for one in sealed}
    assert len(names) == len(sealed)
    events = unpack(sealed)
    crossings = [repr(event) for event in events if isinstance(event, wire.Crossing)]
    assert repr(crossing(9999)) in crossings
    assert set(crossings) - {repr(crossing(9999))} <= good
    assert max(Counter(crossings).values()) == 1
    lost = [event for event in events if isinstance(event, wire.Lost)]
    declared = sum(event.count for event in lost)
    exact = any(event.unknown for event in lost) or declared == kept + 1 - len(crossings)
    spool.recall("total")
    for one in sealed:
        spool.acknowledge(one.epoch, [(one.seq, one.seq)], at(500_004))
    spool.close()
    Spool.open(path, 8 << 20, at(600_000)).close()  # no crash loop
    return exact


FULL = textwrap.dedent(
    """
    import json, os, random, sys
    from pathlib import Path
    from agent import wire
    from agent.deliver.spool import Now, Spool
    from tests.integration.test_spool import BOX, START, at, crossing, unpack

    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    spool = Spool.open(folder / "spool.db", 16 << 20, at(0))  # the limit is beyond the disk
    made = {"crossing": 0, "detection": 0}
    out, ms, full, refused = [], 0, False, 0

    def drain():
        spool.close_batch()
        for one in spool.take(0, 32, at(ms)):
            out.extend(unpack([one]))
            spool.acknowledge(one.epoch, [(one.seq, one.seq)], at(ms))

    foreign = folder / "foreign"
    for step in range(400):
        ms += 400
        if not full and step in (60, 200, 320):  # somebody else fills the disk to the last byte
            full = True
            if sys.argv[3] == "without":
                (folder / "spool.ballast").unlink(missing_ok=True)
            with open(foreign, "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(chance.choice([512, 1024, 4096])))
                except OSError:
                    pass
        if full and step in (120, 260, 380):
            full = False
            foreign.unlink()
        events = [crossing(made["crossing"] + 1)]
        made["crossing"] += 1
        detections = [wire.Detection(START, "cam0", made["detection"] + n, "car", 80, BOX) for n in range(40)]
        made["detection"] += 40
        stored = spool.append(events + detections, at(ms), {"total": str(made["crossing"]).encode()})
        refused += not stored
        spool.close_due(at(ms))
        if step in (150, 290):
            drain()
    for _ in range(20):
        ms += 1000
        spool.close_due(at(ms))
        drain()
    while spool.status()["pending"]:
        ms += 1000
        drain()
    lost = {}
    for event in out:
        if isinstance(event, wire.Lost):
            lost[event.kind] = lost.get(event.kind, 0) + event.count
    crossings = [event.total for event in out if isinstance(event, wire.Crossing)]
    print(json.dumps({
        "made": made, "crossings": crossings, "lost": lost, "refused": refused, "status": spool.status(),
        "detections": sum(isinstance(event, wire.Detection) for event in out),
        "total": int(spool.recall("total")), "ballast": (folder / "spool.ballast").exists(),
        "damaged": spool.place.damaged,
    }))
    """
)


@pytest.fixture
def may_mount() -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("`unshare -m` is not allowed here: no small disk to fill")


@pytest.mark.usefixtures("may_mount")
@pytest.mark.parametrize(("seed", "ballast"), [(1, "with"), (2, "with"), (3, "without"), (4, "without")])
def test_a_full_disk_ends_nothing_and_no_count_is_lost(tmp_path: Path, seed: int, ballast: str) -> None:
    """Three times full to the last byte: no crash, each crossing once, the ledger of detail exact.

    With the ballast writing goes on at the cost of old detail; without, counts wait in memory.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    command = (
        f'mount -t tmpfs -o size=4m tmpfs {disk} && exec {sys.executable} -c "$0" {disk} {seed} {ballast}'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command, FULL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["crossings"] == list(range(1, 401))
    assert seen["total"] == 400
    assert seen["detections"] + seen["lost"].get("detection", 0) == seen["made"]["detection"]
    assert seen["lost"].keys() <= {"detection"}
    assert seen["status"]["lost"] == seen["lost"].get("detection", 0)
    assert seen["damaged"] == 0
    assert seen["ballast"]
    assert (seen["refused"] > 0) == (ballast == "without")
