"""Runs other people's trackers inside their own virtual environment: numpy, the peer, nothing of ours.

    python worker.py IN.npz JOBS.json OUT.npz

IN holds streams: for stream s `s_count` (T,) detections a tick, `s_at` (T,) its seconds, `s_missed` (T,)
whether no frame came, `s_box` (N,4), `s_sure` (N,), `s_kind` (N,). A tick without detections is an empty
update; a tracker that is told the time gets none where no frame came. OUT holds for job j `j_count` (T,),
`j_id`, `j_box`, `j_sure`, `j_kind` of what the tracker told. Jobs to `time` or `grow` measure milliseconds an
update or MB instead.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = Any
Told = tuple[Array, Array, Array, Array]  # ids, boxes, confidences, classes
Update = Callable[[Array, Array, Array, float, bool], Told]  # boxes, confidences, classes, seconds, missed


def supervision_bytetrack(rate: float, settings: dict[str, Any]) -> Update:
    """sv.ByteTrack; it knows the frame rate and scales its buffer by it."""
    import supervision as sv

    tracker = sv.ByteTrack(frame_rate=rate, **settings)

    def update(box: Array, sure: Array, kind: Array, at: float, missed: bool) -> Told:
        told = tracker.update_with_detections(sv.Detections(xyxy=box, confidence=sure, class_id=kind))
        return told.tracker_id, told.xyxy, told.confidence, told.class_id

    return update


def _roboflow(name: str, timed: bool) -> Callable[[float, dict[str, Any]], Update]:
    """Return a tracker of `trackers`; it knows the frame rate and, if `timed`, when each frame was taken."""

    def make(rate: float, settings: dict[str, Any]) -> Update:
        import supervision as sv
        import trackers

        tracker = getattr(trackers, name)(frame_rate=rate, **settings)

        def update(box: Array, sure: Array, kind: Array, at: float, missed: bool) -> Told:
            if timed and missed:
                return np.zeros(0, np.int64), box, sure, kind
            found = sv.Detections(xyxy=box, confidence=sure, class_id=kind)
            told = tracker.update(found, timestamp=at if timed else None)
            told = told[told.tracker_id >= 0]
            return told.tracker_id, told.xyxy, told.confidence, told.class_id

        return update

    return make


def norfair(rate: float, settings: dict[str, Any]) -> Update:
    """norfair with the distance that it recommends for boxes: 1 - IoU, at most 0.7.

    `matched` tells only what was seen now, where it was seen; without it every live object is told where the
    filter believes it to be, as norfair's own evaluation does.
    """
    import norfair

    settings = dict(settings)
    matched = settings.pop("matched", False)
    cut = settings.pop("confidence", 0.0)
    if "seconds" in settings:
        settings["hit_counter_max"] = max(2, round(settings.pop("seconds") * rate))
    settings = {"distance_function": "iou", "distance_threshold": 0.7} | settings
    tracker = norfair.Tracker(**settings)
    ticks = iter(range(1 << 40))

    def update(box: Array, sure: Array, kind: Array, at: float, missed: bool) -> Told:
        now = next(ticks)
        here = np.flatnonzero(sure >= cut)
        found = [norfair.Detection(box[i].reshape(2, 2), data=(now, sure[i], kind[i])) for i in here]
        told = tracker.update(found or None)
        if matched:
            told = [one for one in told if one.last_detection.data[0] == now]
        boxes = [one.last_detection.points if matched else one.estimate for one in told]
        return (
            np.array([one.id for one in told], np.int64),
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array([one.last_detection.data[1] for one in told], np.float32),
            np.array([one.last_detection.data[2] for one in told], np.int64),
        )

    return update


TRACKERS = {
    "trackers ByteTrack": "ByteTrackTracker",
    "trackers SORT": "SORTTracker",
    "trackers OC-SORT": "OCSORTTracker",
    "trackers C-BIoU": "CBIoUTracker",
    "trackers BoT-SORT": "BoTSORTTracker",
}
PEERS: dict[str, Callable[[float, dict[str, Any]], Update]] = {
    "supervision ByteTrack": supervision_bytetrack,
    **{name: _roboflow(kind, timed=False) for name, kind in TRACKERS.items()},
    **{f"{name} timed": _roboflow(kind, timed=True) for name, kind in TRACKERS.items()},
    "norfair": norfair,
}


def ticks(streams: Any, stream: int) -> Iterator[tuple[Array, Array, Array, float, bool]]:
    """Give boxes, confidences, classes, seconds of each tick, and whether no frame came."""
    ends = np.cumsum(streams[f"{stream}_count"])
    box, sure, kind = (streams[f"{stream}_{name}"] for name in ("box", "sure", "kind"))
    at = streams[f"{stream}_at"].tolist()
    missed = streams[f"{stream}_missed"].tolist()
    for number, (end, count) in enumerate(zip(ends, streams[f"{stream}_count"], strict=True)):
        part = slice(end - count, end)
        yield box[part], sure[part], kind[part], at[number], missed[number]


def follow(update: Update, streams: Any, stream: int, job: int) -> dict[str, Array]:
    """Return what a tracker told of a stream."""
    told = [update(*tick) for tick in ticks(streams, stream)]
    ids, boxes, sure, kinds = zip(*told, strict=True)
    return {
        f"{job}_count": np.array([len(each) for each in ids], np.int64),
        f"{job}_id": np.concatenate(ids).astype(np.int64),
        f"{job}_box": np.concatenate([np.reshape(each, (-1, 4)) for each in boxes]).astype(np.float32),
        f"{job}_sure": np.concatenate(sure).astype(np.float32),
        f"{job}_kind": np.concatenate(kinds).astype(np.int64),
    }


def clock(update: Update, streams: Any, stream: int, job: int) -> dict[str, Array]:
    """Return the milliseconds of each update; the first ten are warm-up."""
    took = []
    for tick in ticks(streams, stream):
        begun = time.perf_counter()
        update(*tick)
        took.append(time.perf_counter() - begun)
    return {f"{job}_ms": np.array(took[10:]) * 1000}


def grow(update: Update, streams: Any, stream: int, job: int) -> dict[str, Array]:
    """Return the resident MB after each tenth of a stream."""
    every = max(len(streams[f"{stream}_count"]) // 10, 1)
    megabytes = []
    for number, tick in enumerate(ticks(streams, stream), 1):
        update(*tick)
        if number % every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            megabytes.append(pages * 4096 / 1e6)
    return {f"{job}_mb": np.array(megabytes)}


DO = {"follow": follow, "time": clock, "grow": grow}


def main() -> None:
    """Do all jobs; say after each how many are done."""
    warnings.simplefilter("ignore")
    streams = dict(np.load(sys.argv[1]))
    jobs = json.loads(Path(sys.argv[2]).read_text())
    out = dict[str, Array]()
    for number, job in enumerate(jobs):
        update = PEERS[job["peer"]](job["rate"], job["settings"])
        out |= DO[job["do"]](update, streams, job["stream"], number)
        print(number + 1, flush=True)
    np.savez(sys.argv[3], **out)


if __name__ == "__main__":
    main()
