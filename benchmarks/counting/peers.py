"""Other people's trackers beside ours: where they live, what they are given, what they tell.

They bring their own OpenCV and their own numpy, so each family has a virtual environment of its own in the
user's cache folder, made on demand. `worker.py` runs in there; arrays go in and come out as .npz files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections
from agent.track.tracker import Tracks
from benchmarks.counting.sequences import Boxes, Stream

WORKER = Path(__file__).with_name("worker.py")
ENVIRONMENTS = {
    "roboflow": ("supervision==0.30.0", "trackers==2.6.1"),
    "norfair": ("norfair==2.3.0",),  # wants numpy 1, the others numpy 2
}
TIMED = " timed"  # the end of a name: the same tracker, told the time of each frame
_TRACKERS = tuple(f"trackers {name}" for name in ("ByteTrack", "SORT", "OC-SORT", "C-BIoU", "BoT-SORT"))
PEERS = {
    "supervision ByteTrack": "roboflow",
    **{name + part: "roboflow" for name in _TRACKERS for part in ("", TIMED)},
    "norfair": "norfair",
}


class PeersError(RuntimeError):
    """The peers cannot be had or failed; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a tracker told at one tick: ids (N,), boxes (N,4), confidences (N,), classes (N,).

    Ours also tells first sights and ends (`tracks`).
    """

    ids: NDArray[np.int64]
    boxes: NDArray[np.float32]
    sure: NDArray[np.float32]
    kinds: NDArray[np.int64]
    tracks: Tracks | None = None

    @classmethod
    def none(cls) -> Told:
        """Return nothing told."""
        empty = Detections.empty()
        return cls(np.zeros(0, np.int64), empty.xyxy, empty.confidence, empty.class_id)


@dataclass(frozen=True, slots=True)
class Job:
    """One tracker with some settings on one stream; `do` is follow, time or grow."""

    peer: str
    stream: int
    rate: float
    settings: dict[str, Any] = field(default_factory=dict)
    do: str = "follow"


def home() -> Path:
    """Return the folder of the peers' environments."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gb-fleet" / "peers"


def available(say: Callable[[str], None] = print) -> bool:
    """Make the environments where they are not there; say in one line why they cannot be made."""
    try:
        for name, wanted in ENVIRONMENTS.items():
            _make(name, wanted, say)
    except PeersError as error:
        say(f"no peers: {error}; going on with ours alone")
        return False
    return True


def _make(name: str, wanted: Sequence[str], say: Callable[[str], None]) -> None:
    """Make one environment; a mark in it says that it is whole, and with what."""
    folder = home() / name
    mark = home() / name / "packages.txt"
    if mark.is_file() and mark.read_text().split() == list(wanted):
        return
    say(f"installing {' '.join(wanted)} into {folder} ...")
    try:
        venv.create(folder, with_pip=True, clear=True)
        pip = [_python(name), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
        done = subprocess.run(pip, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeersError(
            f"{folder} cannot be made: {error}; free space there or set XDG_CACHE_HOME"
        ) from error
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "pip failed")
        raise PeersError(f"{reason.removeprefix('ERROR: ')}; see that pip can install {' '.join(wanted)}")
    mark.write_text("\n".join(wanted) + "\n")


def _python(name: str) -> str:
    return str(home() / name / "bin" / "python")


def run(
    streams: Sequence[Stream], jobs: Sequence[Job], progress: Callable[[int, int], None] | None = None
) -> list[Any]:
    """Do all jobs, the environments side by side; return for each job a list of Told, or an array of figures.

    Raises PeersError if a worker fails.
    """
    results: list[Any] = [None] * len(jobs)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        packed: dict[str, Any] = _packed(streams)
        np.savez(place / "in.npz", **packed)
        workers = {}
        for name in ENVIRONMENTS:
            numbers = [index for index, job in enumerate(jobs) if PEERS[job.peer] == name]
            if numbers:
                workers[name] = (_start(name, [jobs[index] for index in numbers], place), numbers)
        try:
            done = 0
            for name, (worker, numbers) in workers.items():
                done = _wait(name, worker, done, len(jobs), progress)
                with np.load(place / f"{name}.npz") as out:
                    for index, number in enumerate(numbers):
                        results[number] = _unpacked(out, index)
        finally:
            for worker, _ in workers.values():
                worker.kill()
                worker.wait()
    return results


def _start(name: str, jobs: Sequence[Job], place: Path) -> subprocess.Popen[str]:
    """Start a worker on one thread, politely."""
    plain = [
        {"peer": job.peer, "stream": job.stream, "rate": job.rate, "settings": job.settings, "do": job.do}
        for job in jobs
    ]
    (place / f"{name}.json").write_text(json.dumps(plain))
    command = [_python(name), str(WORKER), str(place / "in.npz")]
    command += [str(place / f"{name}.json"), str(place / f"{name}.npz")]
    threads = {key: "1" for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    errors = (place / f"{name}.err").open("w")
    with errors:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | threads, cwd=place
        )


def _wait(
    name: str,
    worker: subprocess.Popen[str],
    done: int,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Read a worker's progress to its end; return how many jobs are done."""
    assert worker.stdout is not None
    for _ in worker.stdout:
        done += 1
        if progress:
            progress(done, total)
    if worker.wait():
        last = (Path(worker.args[2]).parent / f"{name}.err").read_text().strip().splitlines()  # type: ignore[index, arg-type]
        raise PeersError(f"the worker for {name} failed: {last[-1] if last else worker.returncode}")
    return done


def _packed(streams: Sequence[Stream]) -> dict[str, NDArray[Any]]:
    """Return all streams as flat arrays."""
    packed: dict[str, NDArray[Any]] = {}
    for number, stream in enumerate(streams):
        packed[f"{number}_count"] = np.array([len(found) for found in stream.found], np.int64)
        packed[f"{number}_at"] = stream.seconds
        packed[f"{number}_missed"] = stream.missed
        found = [Detections.empty(), *stream.found]
        packed[f"{number}_box"] = np.concatenate([each.xyxy for each in found])
        packed[f"{number}_sure"] = np.concatenate([each.confidence for each in found])
        packed[f"{number}_kind"] = np.concatenate([each.class_id for each in found])
    return packed


def _unpacked(out: Any, job: int) -> Any:
    """Return what one job told, or measured."""
    for measured in (f"{job}_ms", f"{job}_mb"):
        if measured in out:
            return out[measured]
    ends = np.cumsum(out[f"{job}_count"])[:-1]
    columns = (np.split(out[f"{job}_{name}"], ends) for name in ("id", "box", "sure", "kind"))
    return [Told(*each) for each in zip(*columns, strict=True)]


def as_boxes(stream: Stream, told: Sequence[Told]) -> Boxes:
    """Return what was told at the ticks that were not missed."""
    every = {frame: (one.ids, one.boxes) for frame, one in zip(stream.frames.tolist(), told, strict=True)}
    return stream.seen(every)


if __name__ == "__main__":
    sys.exit(not available())
