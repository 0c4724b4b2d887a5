"""The best settings of each peer from one small grid, per frame rate, on the tuning sequences.

Twelve settings each: three confidences, two bounds on the match, two ways to wait (as delivered; remember
twice as long and believe an object at its first sight, or second where that is the least it takes).
"""

from __future__ import annotations

import itertools
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.counting import metrics, street
from benchmarks.counting.peers import PEERS, TIMED, Job, as_boxes, run
from benchmarks.counting.sequences import TUNING, Boxes, Stream
from benchmarks.counting.sequences import Sequence as Recording

TABLE = Path(__file__).with_name("tuned.toml")
Settings = dict[str, Any]

_AXES: dict[str, tuple[list[Settings], list[Settings], list[Settings]]] = {
    "supervision ByteTrack": (
        [{}, {"track_activation_threshold": 0.5}, {"track_activation_threshold": 0.7}],
        [{}, {"minimum_matching_threshold": 0.95}],
        [{}, {"lost_track_buffer": 60}],
    ),
    "trackers ByteTrack": (
        [
            {},
            {"track_activation_threshold": 0.4, "high_conf_det_threshold": 0.3},
            {"track_activation_threshold": 0.8, "high_conf_det_threshold": 0.7},
        ],
        [{}, {"minimum_iou_threshold": 0.01}],
        [{}, {"lost_track_buffer": 60, "minimum_consecutive_frames": 1}],
    ),
    "trackers SORT": (
        [{}, {"track_activation_threshold": 0.5}, {"track_activation_threshold": 0.7}],
        [{}, {"minimum_iou_threshold": 0.05}],
        [{}, {"lost_track_buffer": 60, "minimum_consecutive_frames": 1}],
    ),
    "trackers OC-SORT": (
        [{}, {"high_conf_det_threshold": 0.3}, {"high_conf_det_threshold": 0.75}],
        [{}, {"minimum_iou_threshold": 0.05}],
        [{}, {"lost_track_buffer": 60, "minimum_consecutive_frames": 1}],
    ),
    "trackers C-BIoU": (
        [
            {},
            {"track_activation_threshold": 0.4, "high_conf_det_threshold": 0.3},
            {"track_activation_threshold": 0.8, "high_conf_det_threshold": 0.7},
        ],
        [{}, {"buffer_ratio_first": 0.5, "buffer_ratio_second": 0.7}],
        [{}, {"lost_track_buffer": 60, "minimum_consecutive_frames": 1}],
    ),
    "trackers BoT-SORT": (
        [
            {},
            {"track_activation_threshold": 0.4, "high_conf_det_threshold": 0.3},
            {"track_activation_threshold": 0.8, "high_conf_det_threshold": 0.7},
        ],
        [{}, {"minimum_iou_threshold_first_assoc": 0.02}],
        [{}, {"lost_track_buffer": 60, "minimum_consecutive_frames": 1}],
    ),
    "norfair": (
        [{}, {"confidence": 0.4}, {"confidence": 0.6}],
        [{}, {"distance_threshold": 0.95}],
        [{}, {"seconds": 2.0, "initialization_delay": 1, "matched": True}],
    ),
}


def grid(peer: str) -> list[Settings]:
    """Return the twelve settings of a peer; the first are its defaults."""
    axes = _AXES[peer.removesuffix(TIMED)]
    return [one | two | three for one, two, three in itertools.product(*axes)]


Tuning = list[tuple[Stream, Boxes]]


def conditions() -> Iterator[tuple[str, str]]:
    """Give what is tuned apart: (what, condition)."""
    yield from (("tracks", name) for name in ("native", "10fps", "5fps", "2.5fps", "gaps"))
    yield from (("scene", f"{rate:g}fps") for rate in street.RATES)


def tracks(data: Path, condition: str) -> Tuning:
    """Return the tuning sequences under a condition, rates in every phase, with their truth."""
    result = []
    for name in TUNING:
        recording = Recording(data / "tracking" / name)
        rate = recording.fps if condition in ("native", "gaps") else float(condition.removesuffix("fps"))
        streams = [recording.stream(rate, gaps=True)] if condition == "gaps" else recording.streams(rate)
        result += [(stream, stream.seen(recording.truth)) for stream in streams]
    return result


def choose(
    tuning: Tuning, peers: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> dict[str, list[tuple[float, Settings]]]:
    """Return for each peer (IDF1, settings), the best first; the defaults win where nothing is better."""
    jobs = [
        Job(peer, number, stream.rate, settings)
        for peer in peers
        for settings in grid(peer)
        for number, (stream, _) in enumerate(tuning)
    ]
    told = iter(run([stream for stream, _ in tuning], jobs, progress))
    chosen = {}
    for peer in peers:
        tried = []
        for settings in grid(peer):
            found = [metrics.sums(truth, as_boxes(stream, next(told))) for stream, truth in tuning]
            tried.append((sum(found, metrics.Sums()).agreement().idf1, settings))
        chosen[peer] = sorted(tried, key=lambda each: -each[0])
    return chosen


def tuned() -> dict[str, dict[str, dict[str, Settings]]]:
    """Return the stored choices: what -> condition -> peer -> settings."""
    return tomllib.loads(TABLE.read_text()) if TABLE.is_file() else {}


def scene(condition: str, seeds: Sequence[int] = (100, 101), seconds: float = 20.0) -> Tuning:
    """Return the built-in street at a rate, shaken and with gaps, with who is visible where."""
    rate = float(condition.removesuffix("fps"))
    result = []
    for seed in seeds:
        place = street.street(seed, seconds)
        truth = street.truth(place)
        for noise in ("shaken", "gaps"):
            stream = street.stream(place, rate, street.NOISES[noise], seed)
            result.append((stream, stream.seen(truth)))
    return result


def tune(data: Path, say: Callable[[str], None]) -> None:
    """Try every setting of every peer under every condition and write the best to the table."""
    chosen: dict[str, dict[str, dict[str, Settings]]] = {}
    for what, condition in conditions():
        begun = time.monotonic()
        tuning = tracks(data, condition) if what == "tracks" else scene(condition)
        for peer, tried in choose(tuning, list(PEERS)).items():
            chosen.setdefault(what, {}).setdefault(condition, {})[peer] = tried[0][1]
        say(f"tuned {what} {condition} in {time.monotonic() - begun:.0f} s")
        TABLE.write_text(_toml(chosen))


def _toml(chosen: dict[str, dict[str, dict[str, Settings]]]) -> str:
    lines = ["# The best of the grid by IDF1; remade by `python -m benchmarks.count --tune`."]
    for what, per_condition in chosen.items():
        for condition, per_peer in per_condition.items():
            lines += ["", f'[{what}."{condition}"]']
            for peer, settings in per_peer.items():
                told = ", ".join(f"{key} = {str(value).lower()}" for key, value in settings.items())
                lines.append(f'"{peer}" = {{ {told} }}' if told else f'"{peer}" = {{}}')
    return "\n".join(lines) + "\n"
