"""The agent keeps little memory, and loses nothing by giving some back."""

from __future__ import annotations

import asyncio
import importlib.util
import mmap
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agent import memory

MAPS = """\
00400000-00500000 r-xp 00000000 08:01 11 /usr/lib/libone.so
Size: 1024 kB
Rss: 800 kB
Anonymous: 0 kB
VmFlags: rd ex mr mw me
00500000-00510000 r--p 00100000 08:01 11 /usr/lib/libone.so
Rss: 64 kB
Anonymous: 64 kB
00510000-00520000 rw-p 00110000 08:01 11 /usr/lib/libone.so
Rss: 64 kB
Anonymous: 0 kB
00600000-00700000 r--p 00000000 08:01 12 /data/a name with spaces
Anonymous: 0 kB
7f0000000000-7f0000100000 r--p 00000000 00:00 0
Anonymous: 0 kB
7f0000100000-7f0000200000 r-xp 00000000 00:00 0 [vdso]
Anonymous: 0 kB
""".splitlines()

HEAD = """
import psutil
from agent import memory
def rss():
    return psutil.Process().memory_info().rss
"""


def run(body: str) -> list[float]:
    """Run lines in a process of its own; return the numbers that it prints."""
    script = HEAD + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def test_only_what_is_still_in_its_file_is_unmapped() -> None:
    """Read-only parts of files to which nothing was written; no written, writable or nameless part."""
    places = [memory.place(line) for line in memory.unchanged(MAPS)]
    assert places == [(0x400000, 0x100000), (0x600000, 0x100000)]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell its mappings")
def test_what_the_start_needed_is_given_back_and_the_model_answers_as_before() -> None:
    """At least 15 MB of the libraries are unmapped, and a look gives the very same boxes afterwards."""
    before, after, same = run(
        """
        import numpy as np
        from agent.see.packaged import MODELS
        from agent.see.infer import Detector
        memory.be_sparing()
        detector = Detector(MODELS / "gb-yolo-n-traffic.onnx", 0.001)
        picture = np.random.default_rng(1).integers(0, 255, (360, 640, 3), np.uint8)
        first = detector.detect(picture)
        print(rss())
        memory.Mapped().give_back()
        print(rss())
        again = detector.detect(picture)
        print(int((first.xyxy == again.xyxy).all() and (first.confidence == again.confidence).all()))
        """
    )
    assert same == 1
    assert before - after >= 15e6


def test_what_was_freed_goes_back_to_the_system() -> None:
    """Of 60 MB in small blocks, between which a few stay, at least 40 MB are given back."""
    full, after = run(
        """
        memory.be_sparing()
        blocks = [bytes(3000) for _ in range(20_000)]
        print(rss())
        kept = blocks[::1000]
        blocks = None
        memory.Mapped().give_back()
        print(rss())
        """
    )
    assert full - after >= 40e6


def test_two_models_compute_in_one_arena() -> None:
    """A second model of the same kind costs less than the first: its pictures take the same memory."""
    first, second = run(
        """
        import numpy as np
        from agent.see.packaged import MODELS
        from agent.see.infer import Detector
        memory.be_sparing()
        import agent.node
        picture = np.zeros((360, 640, 3), np.uint8)
        def cost():
            before = rss()
            detectors.append(Detector(MODELS / "gb-yolo-n-traffic-square.onnx"))
            detectors[-1].detect(picture)
            return rss() - before
        detectors = []
        print(cost(), cost())
        """
    )
    assert second < 0.6 * first


def test_dnspython_is_not_loaded_with_paho_and_stays_importable() -> None:
    """The agent loads no module of dnspython, which paho would; who asks for it afterwards gets it."""
    loaded, importable = run(
        """
        import importlib.util, sys
        import agent.node
        print(sum(name.split(".")[0] == "dns" for name in sys.modules))
        print(int(importlib.util.find_spec("dns") is not None))
        """
    )
    assert loaded == 0
    assert importable == float(importlib.util.find_spec("dns") is not None)


def test_what_is_ordered_once_in_a_box_life_is_loaded_when_it_is_ordered() -> None:
    """Studies, joining, TOML Kit and the support archive take two megabytes; who runs loads none of them."""
    (loaded,) = run(
        """
        import sys
        import agent.node
        rare = {"agent.enrol", "tomlkit", "agent.study.beside", "agent.study.calibrate", "agent.support"}
        print(len(rare & sys.modules.keys()))
        """
    )
    assert loaded == 0


def test_a_session_does_not_keep_the_bytes_of_its_file() -> None:
    """A file of the model is in memory as weights, not a second time as it was read."""
    (kept,) = run(
        """
        import gc
        from agent.see.packaged import MODELS
        from agent.see.infer import Detector
        path = MODELS / "gb-yolo-n-traffic.onnx"
        detector = Detector(path)
        size = path.stat().st_size
        near = gc.get_referents(detector._session)
        seen = near + gc.get_referents(*near)
        print(sum(isinstance(one, bytes) and len(one) == size for one in seen))
        """
    )
    assert kept == 0


def test_what_models_compute_in_is_given_back_while_none_does() -> None:
    """Nothing is left after a look of two models, though their answers are kept; the next says the same."""
    computed, left, same = run(
        """
        import numpy as np
        from agent.see.packaged import MODELS
        from agent.see import arena
        from agent.see.infer import Detector
        memory.be_sparing()
        detectors = [Detector(MODELS / f"gb-yolo-n-{name}.onnx", 0.001) for name in ("traffic", "mask")]
        picture = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
        mapped = memory.Mapped()
        mapped.give_back()
        before = rss()
        first = [detector.detect(picture) for detector in detectors]
        mapped.give_back()
        print(rss() - before)
        arena.empty()
        mapped.give_back()
        print(rss() - before)
        again = [detector.detect(picture) for detector in detectors]
        print(int(all((a.xyxy == b.xyxy).all() for a, b in zip(first, again))))
        """
    )
    assert computed > 8e6
    assert left < 2e6
    assert same == 1


def test_a_look_goes_on_while_memory_is_given_back() -> None:
    """Looks of two threads say what they always say, though what is free is given back all the time."""
    (wrong,) = run(
        """
        import threading
        import numpy as np
        from agent.see.packaged import MODELS
        from agent.see import arena
        from agent.see.infer import Detector
        detector = Detector(MODELS / "gb-yolo-n-traffic.onnx", 0.001)
        picture = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
        right = detector.detect(picture)
        answers = []
        def look():
            answers.extend(detector.detect(picture) for _ in range(20))
        threads = [threading.Thread(target=look) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            arena.empty()
        print(40 - sum(len(one) == len(right) and (one.xyxy == right.xyxy).all() for one in answers))
        """
    )
    assert wrong == 0


def test_it_does_not_matter_which_model_computes_first() -> None:
    """Two models of different inputs take the same memory within 2 MB, whichever looks at a picture first."""
    body = """
        import numpy as np
        from agent.see.packaged import MODELS
        from agent.see.infer import Detector
        memory.be_sparing()
        detectors = [Detector(MODELS / f"gb-yolo-n-{{name}}.onnx") for name in ("traffic", "mask")]
        before = rss()
        for detector in {order}:
            detector.detect(np.zeros((720, 1280, 3), np.uint8))
        memory.Mapped().give_back()
        print(rss() - before)
        """
    (small_first,) = run(body.format(order="detectors"))
    (large_first,) = run(body.format(order="reversed(detectors)"))
    assert abs(small_first - large_first) <= 2e6


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="this system does not tell its mappings")
def test_pages_are_counted_again_only_where_other_files_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time asks for the list of mappings alone; with one more file mapped, for the pages too."""
    asked: list[Path] = []
    read = Path.read_text

    def noted(path: Path, *rest: str) -> str:
        asked.append(path)
        return read(path, *rest)

    monkeypatch.setattr(Path, "read_text", noted)
    mapped = memory.Mapped()
    counts = []
    for _ in range(2):
        mapped.give_back()
        counts.append(asked.count(Path("/proc/self/smaps")))
    with Path(memory.__file__).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        mapped.give_back()
        counts.append(asked.count(Path("/proc/self/smaps")))
    assert counts == [1, 1, 2]


async def test_memory_is_given_back_soon_after_the_start_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the start needed goes back at once, not after the first ten seconds; and it is done again."""
    done = asyncio.Event()
    times = 0

    def note(_: memory.Mapped) -> None:
        nonlocal times
        times += 1
        if times == 3:
            done.set()

    monkeypatch.setattr(memory.Mapped, "give_back", note)
    monkeypatch.setattr(memory, "SETTLED", 0.01)
    monkeypatch.setattr(memory, "AGAIN", 0.01)
    emptied: list[int] = []
    small = asyncio.create_task(memory.stay_small(lambda: emptied.append(times)))
    async with asyncio.timeout(20):
        await done.wait()
    small.cancel()
    await asyncio.gather(small, return_exceptions=True)
    assert emptied == [0, 1, 2]  # before what was freed goes back
