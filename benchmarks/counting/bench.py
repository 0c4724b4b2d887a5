"""All trackers on all there is: recordings with their own and with perfect boxes, and the built-in street.

One task is one recording or one seed of the street, under every condition, by every tracker; two run at a
time. A task gives back sums only, so that groups of recordings can be added up in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import Array
from pathlib import Path
from typing import Any

from agent import wire
from benchmarks.counting import metrics, street, tune
from benchmarks.counting.crossings import (
    Crossed,
    Lines,
    Score,
    count_told,
    lines_for,
    true_crossings,
)
from benchmarks.counting.peers import Job, Told, as_boxes, run
from benchmarks.counting.sequences import FIXED, MOVING, Boxes, Stream, ours
from benchmarks.counting.sequences import Sequence as Recording

OURS = "ours"
NATIVE = "native"
GAPS = "gaps"


@dataclass(frozen=True, slots=True)
class Case:
    """One stream with what is true of it, under the name (what, condition)."""

    what: str  # own, perfect, exact, shaken or gaps
    condition: str  # native, 10fps, ... or gaps
    stream: Stream
    truth: Boxes | None
    lines: Lines
    crossings: Mapping[str, Sequence[Crossed]]
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What came out: (place, what, condition, tracker) -> sums."""

    identity: dict[tuple[str, str, str, str], metrics.Sums] = field(default_factory=dict)
    counts: dict[tuple[str, str, str, str], Score] = field(default_factory=dict)

    def update(self, other: Outcome) -> None:
        """Take in the outcome of another task."""
        self.identity |= other.identity
        self.counts |= other.counts


def recording(folder: Path) -> Iterator[Case]:
    """Give a recording at each of its rates, with gaps, and with perfect boxes, in every phase."""
    one = Recording(folder)
    lines = lines_for(one.truth, one.size)
    fixed = folder.name in FIXED
    crossings = true_crossings(one.truth, one.fps, one.size, lines) if fixed else {}
    length = one.length / one.fps
    for rate in one.rates():
        condition = NATIVE if rate == one.fps else f"{rate:g}fps"
        for stream in one.streams(rate):
            yield Case("own", condition, stream, stream.seen(one.truth), lines, crossings, length)
        if fixed and condition in (NATIVE, "2.5fps"):
            for stream in one.streams(rate, perfect=True):
                yield Case("perfect", condition, stream, None, lines, crossings, length)
    for stream in one.streams(one.fps, gaps=True):
        yield Case("own", GAPS, stream, stream.seen(one.truth), lines, crossings, length)


def scene(seed: int, seconds: float) -> Iterator[Case]:
    """Give the built-in street under each noise at each rate."""
    place = street.street(seed, seconds)
    crossings = {
        name: [(one.at_seconds, one.direction) for one in each] for name, each in place.crossings.items()
    }
    for noise, kind in street.NOISES.items():
        for rate in street.RATES:
            stream = street.stream(place, rate, kind, seed)
            yield Case(noise, f"{rate:g}fps", stream, None, street.LINES, crossings, seconds)


def settings(case: Case, peer: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a peer's tuned settings for a case; its defaults where none are stored."""
    part = table.get("tracks" if case.what in ("own", "perfect") else "scene", {})
    found: dict[str, Any] = part.get(case.condition, {}).get(peer, {})
    return found


def task(
    name: str,
    cases: Sequence[Case],
    peers: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Let every tracker have every case; return the sums under the task's name."""
    table = tune.tuned()
    outcome = Outcome()
    jobs: list[Job] = []
    labels: list[list[str]] = []  # of each job: where the tuned settings are the defaults, it is both
    for number, case in enumerate(cases):
        _score(outcome, name, case, [OURS], follow(case.stream))
        for peer in peers:
            best = settings(case, peer, table)
            variants = [({}, [peer]), (best, [f"{peer} tuned"])] if best else [({}, [peer, f"{peer} tuned"])]
            jobs += [Job(peer, number, case.stream.rate, chosen) for chosen, _ in variants]
            labels += [names for _, names in variants]
    if jobs:
        told = run([case.stream for case in cases], jobs, progress)
        for job, names, each in zip(jobs, labels, told, strict=True):
            _score(outcome, name, cases[job.stream], names, each)
    return outcome


def follow(stream: Stream) -> list[Told]:
    """Return what our tracker tells, tick by tick; missed ticks do not reach it."""
    tracker = ours()
    told = []
    for now, found, missed in zip(stream.seconds.tolist(), stream.found, stream.missed, strict=True):
        if missed:
            told.append(Told.none())
            continue
        tracks = tracker.update(found, now, stream.size)
        told.append(Told(tracks.track_id, tracks.xyxy, tracks.confidence, tracks.class_id, tracks))
    return told


def _score(outcome: Outcome, place: str, case: Case, trackers: Sequence[str], told: Sequence[Told]) -> None:
    """Note what one run gave, under the name of each tracker that it stands for."""
    keys = [(place, case.what, case.condition, tracker) for tracker in trackers]
    if case.truth is not None:
        found = metrics.sums(case.truth, as_boxes(case.stream, told))
        for key in keys:
            outcome.identity[key] = outcome.identity.get(key, metrics.Sums()) + found
    if case.crossings:
        events: list[wire.AnyEvent] = count_told(case.stream, told, case.lines)
        score = Score()
        score.compare(case.crossings, events, case.stream.rate, case.seconds)
        for key in keys:
            outcome.counts[key] = outcome.counts.get(key, Score()) + score


_shares: Any = None  # in a pool's process: how far each task has come, shared with the parent


def _share(shares: Any) -> None:
    global _shares
    _shares = shares


def _recorded(number: int, folder: Path, peers: Sequence[str]) -> Outcome:
    return task(folder.name.removeprefix("MOT15-"), list(recording(folder)), peers, _note(number))


def _street(number: int, seed: int, seconds: float, peers: Sequence[str]) -> Outcome:
    return task(f"seed {seed}", list(scene(seed, seconds)), peers, _note(number))


def _note(task: int) -> Callable[[int, int], None]:
    def note(done: int, total: int) -> None:
        _shares[task] = 0.9 * done / total  # the rest is comparing

    return note


def everything(
    data: Path | None,
    seeds: Sequence[int],
    seconds: float,
    peers: Sequence[str],
    progress: Callable[[int, int], None],
) -> Outcome:
    """Do all tasks, two at a time, the long ones first; tell the progress in percent."""
    outcome = Outcome()
    names = ("MOT17-04", *(name for name in (*FIXED, *MOVING) if name != "MOT17-04")) if data else ()
    shares = Array("d", max(len(names) + len(seeds), 1), lock=False)
    with ProcessPoolExecutor(2, initializer=_share, initargs=(shares,)) as pool:
        folders = [Path(data or ".") / "tracking" / name for name in names]
        tasks = [pool.submit(_recorded, number, folder, peers) for number, folder in enumerate(folders)]
        for number, seed in enumerate(seeds, len(names)):
            tasks.append(pool.submit(_street, number, seed, seconds, peers))
        left = set(tasks)
        while left:
            done, left = wait(left, 2, FIRST_COMPLETED)
            for each in done:
                outcome.update(each.result())
                shares[tasks.index(each)] = 1.0
            progress(int(100 * sum(shares) / len(tasks)), 100)
    return outcome
