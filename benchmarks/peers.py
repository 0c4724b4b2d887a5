"""Ours beside the small detectors of others: the same pictures, one thread, one run.

    GB_PEERS=FOLDER GB_DATA=DATA python -m benchmarks.peers [MODEL.onnx ...]

Every packaged float file of ours and the street's int8 one are measured, or those that are named. Without
GB_PEERS, or for a file that is not in it, the table says so. What always holds: a class is judged in pictures
where people labelled it, or where two other models looked for it (`pseudo.csv`; what one of them alone saw
counts for nobody); intervals come from drawing whole groups of pictures, since frames of one camera resemble
each other.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Detections, Uint8, letterbox
from agent.progress import watched
from agent.see.infer import Detector
from benchmarks.face_rivals import Rfb
from benchmarks.model import cpu, take_turns
from benchmarks.page import markdown, rewrite
from benchmarks.rivals import FastestDet, PicoDet, Rival, YoloX
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED, Picture
from export.judge.evaluate import detector_for
from export.judge.metrics import Float64, Interval, Matched, draw, match_picture, precision_interval, side
from export.onnx.release import MODELS

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN = "<!-- peers: python -m benchmarks.peers -->"
END = "<!-- end of peers -->"
ANY = 1e9  # pixels
TIMED = 12  # pictures: a file may look a second time where it is in doubt, so noise says nothing


class Finder(Protocol):
    """Whatever finds objects in a picture."""

    def detect(self, image: Uint8) -> Detections:
        """Return what it sees in a picture (H,W,3) BGR."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row: which classes, in pictures of which sources, of which size in pixels (side of a square)."""

    words: str
    names: tuple[str, ...]
    sources: tuple[str, ...]
    low: float = 0
    high: float = ANY


STREETS = (
    "wall",
    "cap2",
    "modes",
    "coco",
    "bic2000",
    "bic5000",
    "bic6000",
    "tfld",
    "tflj",
    "meva",
    "intelclip",
)
VEHICLES = ("atl", "hwyid", "oiveh", "coco128", "pennfudan")
ROADSIDE = ("modes", "tfld", "tflj")
FOUR = ("car", "motorcycle", "bus", "truck")
STREET: tuple[Question, ...] = (
    Question("person, streets", ("person",), STREETS),
    Question("person of 16-150 px, streets", ("person",), STREETS, 16, 150),
    Question("person, a camera nobody trained on", ("person",), ("intelclip",)),
    Question("bicycle, streets", ("bicycle",), STREETS),
    Question("bicycle, a camera nobody trained on", ("bicycle",), ("intelclip",)),
    Question("motorcycle, roadside", ("motorcycle",), ROADSIDE),
    Question("bus, roadside", ("bus",), ROADSIDE),
    Question("person, vehicles", ("person",), VEHICLES),
    *(Question(f"{name}, vehicles", (name,), VEHICLES) for name in FOUR),
)
FACES: tuple[Question, ...] = tuple(
    Question(f"{name}, {source}", (name,), (source,))
    for source in ("aizoo", "andrewmvd")
    for name in ("with_mask", "without_mask")
)


def rivals(folder: Path | None, task: str) -> Iterator[tuple[str, Rival | str]]:
    """Yield each rival of a task with its name, or with why it is not there."""
    known: dict[str, list[tuple[str, str, Callable[[Path], Rival]]]] = {
        "traffic": [
            ("YOLOX-nano 416", "yolox_nano_416.onnx", YoloX),
            ("YOLOX-nano 640", "yolox_nano_416.onnx", lambda path: YoloX(path, (640, 640))),
            ("PicoDet-S 416", "picodet_s_416.onnx", PicoDet),
            ("FastestDet 352", "fastestdet.onnx", FastestDet),
        ],
        "mask": [("RFB-640", "RFB-640-masked_face-v2.onnx", Rfb)],
    }
    for name, file, kind in known[task]:
        if folder is None:
            yield name, "GB_PEERS names no folder"
        elif not (folder / file).exists():
            yield name, f"no {file} in GB_PEERS"
        else:
            yield name, kind(folder / file)


def chosen(pictures: Sequence[Picture], question: Question, names: Sequence[str]) -> NDArray[np.int64]:
    """Return which pictures a question is asked in: of its sources, where its class is known."""
    column = [list(names).index(name) for name in question.names]
    return np.asarray(
        [
            n
            for n, p in enumerate(pictures)
            if p.source in question.sources and not p.unlabelled[column].any()
        ],
        np.int64,
    )


def of_size(matched: Matched, low: float, high: float) -> Matched:
    """Leave out truths of other sizes, what finds them, and what finds nothing and is of another size."""
    size = np.where(matched.hit[:, 0], matched.truth_size, matched.box_size)
    mine = (size >= low) & (size < high)
    truths = (matched.size >= low) & (matched.size < high)
    return Matched(
        matched.scores[mine],
        matched.hit[mine],
        matched.found[truths],
        matched.size[truths],
        matched.box_size[mine],
        matched.truth_size[mine],
    )


def matches(
    pictures: Sequence[Picture], seen: Sequence[Detections], question: Question, names: Sequence[str]
) -> list[Matched]:
    """Match what was seen in the pictures of a question with their boxes."""
    wanted = np.asarray([name in question.names for name in names])
    result = []
    for number in chosen(pictures, question, names).tolist():
        picture = pictures[number]
        found = seen[number]
        mine = (picture.allowed & wanted).any(1)
        hidden = picture.boxes[~picture.allowed.any(1)]
        matched = match_picture(found, picture.boxes[mine], np.flatnonzero(wanted), hidden)
        result.append(of_size(matched, question.low, question.high))
    return result


def groups(data: Path) -> dict[str, str]:
    """Return each picture's group, by its name."""
    found: dict[str, str] = {}
    for table in sorted(data.glob("*/sources.csv")):
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found[row["file"]] = f"{table.parent.name} {row.get('group') or row['file']}"
    return found


def redrawn(owners: Sequence[str]) -> Float64:
    """Return how often each picture is in each redrawn set: (DRAWS, pictures); whole groups are drawn."""
    places = {group: place for place, group in enumerate(sorted(set(owners)))}
    return draw(len(places))[:, [places[group] for group in owners]]


def answer(
    pictures: Sequence[Picture],
    seen: Sequence[Detections],
    question: Question,
    names: Sequence[str],
    group: dict[str, str],
) -> Interval:
    """Return the AP50 of one detector for one question."""
    rows = chosen(pictures, question, names)
    owners = [group.get(pictures[row].name, pictures[row].name) for row in rows]
    return precision_interval(matches(pictures, seen, question, names), redrawn(owners))[0]


def truths(pictures: Sequence[Picture], question: Question, names: Sequence[str]) -> int:
    """Count the boxes that a question is about."""
    wanted = np.asarray([name in question.names for name in names])
    total = 0
    for number in chosen(pictures, question, names).tolist():
        picture = pictures[number]
        size = side(picture.boxes[(picture.allowed & wanted).any(1)])
        total += int(((size >= question.low) & (size < question.high)).sum())
    return total


def bare(finder: Finder, image: Uint8) -> Callable[[], object]:
    """Return a run of a finder's session alone, on one picture that is ready for it."""
    if isinstance(finder, Detector):
        canvas = letterbox(image, finder.input_size)[0]
        return lambda: finder._run(canvas)
    if isinstance(finder, Rival):
        blob = finder.blob(image)[0]
        return lambda: finder.run(blob)
    return lambda: finder.detect(image)


def times(finders: dict[str, Finder], images: Sequence[Uint8]) -> dict[str, float]:
    """Time the bare sessions on one thread, in turns; the mean milliseconds of a picture by name."""

    def through(runs: Sequence[Callable[[], object]]) -> None:
        for run in runs:
            run()

    work: dict[str, Callable[[], object]] = {}
    for name, finder in finders.items():
        work[name] = partial(through, [bare(finder, image) for image in images])
    return {name: took / len(images) for name, took in take_turns(work).items()}


def table(
    pictures: Sequence[Picture],
    finders: dict[str, Finder],
    questions: Sequence[Question],
    names: Sequence[str],
    group: dict[str, str],
) -> str:
    """Judge and time all detectors; one column each."""
    seen = {
        name: [finder.detect(picture.image) for picture in watched(pictures, f"pictures, {name}")]
        for name, finder in finders.items()
    }
    spread = range(0, len(pictures), max(1, len(pictures) // TIMED))
    took = times(finders, [pictures[n].image for n in spread[:TIMED]])
    rows = [("ms, one thread", "", *(f"{took[name]:.1f}" for name in finders))]
    for question in questions:
        cells = [str(answer(pictures, seen[name], question, names, group)) for name in finders]
        rows.append((question.words, str(truths(pictures, question, names)), *cells))
    return markdown(("AP50 (95 %)", "boxes", *finders), rows)


def section(data: Path, task: str, ours: dict[str, Path], questions: Sequence[Question]) -> str:
    """Measure one task; say which rivals are not there."""
    recipe = load_recipe(task)
    folder = os.environ.get("GB_PEERS")
    others = list(rivals(Path(folder) if folder else None, task))
    finders: dict[str, Finder] = {name: detector_for(path) for name, path in ours.items()}
    finders |= {name: rival for name, rival in others if not isinstance(rival, str)}
    away = [f"{name}: not measured, {why}." for name, why in others if isinstance(why, str)]
    pictures = read_recipe(recipe, data, "val", JUDGED)
    written = table(pictures, finders, questions, recipe["names"], groups(data))
    return "\n".join([f"{cpu()}.", "", written, *away])


def main(words: list[str]) -> int:
    """Measure both tasks and write the page; named files are only printed."""
    data = Path(os.environ.get("GB_DATA", ""))
    if not (data / "streets" / "val").is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    if words:
        print(section(data, "traffic", {Path(word).stem: Path(word) for word in words}, STREET))
        return 0
    street = {
        name: MODELS / f"gb-yolo-n-{name}.onnx"
        for name in ("traffic", "traffic-int8", "traffic-large", "traffic-square")
    }
    faces = {name: MODELS / f"gb-yolo-n-{name}.onnx" for name in ("mask", "mask-free")}
    text = f"{section(data, 'traffic', street, STREET)}\n{section(data, 'mask', faces, FACES)}"
    rewrite(PAGE, text, BEGIN, END)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
