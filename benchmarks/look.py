"""What the second look adds, beside the first look alone on the same pictures in the same run.

    GB_DATA=DATA python -m benchmarks.look [--every N] [PART ...]

The parts: `masks` and `traffic` are held-out pictures, each looked at whole and in all of its parts; `walls`
are held-out pictures of faces side by side, as a camera that does not move sees them: with `look_budget =
"half"`, until as many parts were looked at as there are; `above` is the same of vehicles seen from above.
Detectors of others that lie in the folder GB_PEERS look at traffic too. With `--every` only each so many-th
picture is looked at. docs/papers.md gets what was measured, each table in the place of the one before.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from agent.boxes import GREY, Detections, Float32
from agent.look import SecondLook
from agent.look.plan import places
from agent.look.stage import LookStage
from agent.look.still import canvas_of, leans
from agent.progress import watched
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from agent.startup import WEAK
from benchmarks.look_traffic import TOP, beside
from benchmarks.page import markdown, renew
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED, Picture
from export.judge.evaluate import LEAST, Seen, matches, sized
from export.judge.metrics import SIZES, Matched, average_precision, draw, match_picture

PAGE = Path(__file__).parents[1] / "docs" / "papers.md"
BEGIN = "<!-- second look: python -m benchmarks.look -->"
END = "<!-- end of second look -->"
FACES_BY = "gb-yolo-n-mask.onnx"
TRAFFIC_BY = "gb-yolo-n-traffic.onnx"
MASKS = ("aizoo", "andrewmvd")  # `ditface` boxes whole heads
CELL = (320, 270)  # pixels of a wall that a picture has
WALLS = {(1920, 1080): 4, (3840, 2160): 1}  # how many of each size
FACES = (8.0, 20.0)  # pixels: the faces of a wall that are asked about
FPS = 5.0
MOST = 8  # frames a part, where the budget pays for hardly any
SEED = 5


class Row(NamedTuple):
    """Hold one figure of the first look alone and of both."""

    scene: str
    what: str
    truths: int
    first: float
    both: float

    def cells(self) -> tuple[str, ...]:
        """Return it as a row of a table."""
        apart = f"{100 * (self.both - self.first):+.1f}"
        return self.scene, self.what, str(self.truths), f"{self.first:.3f}", f"{self.both:.3f}", apart


class Looks(NamedTuple):
    """Hold what was seen in some pictures by the first look and by both, and seconds of CPU of each."""

    first: list[Seen]
    both: list[Seen]
    first_seconds: float
    both_seconds: float

    @property
    def ratio(self) -> float:
        """How many times the first look's CPU both looks cost."""
        return self.both_seconds / self.first_seconds


# ── stills ────────────────────────────────────────────────────────────────────────────────────────


def stills(model: str, pictures: Sequence[Picture]) -> Looks:
    """Look at pictures once whole, and once more in all of their parts."""
    detector = Detector(MODELS / model, LEAST)
    second = SecondLook(detector)
    looks = Looks([], [], 0.0, 0.0)
    for picture in watched(pictures, "pictures"):
        begin = time.thread_time()
        first = detector.detect(picture.image)
        middle = time.thread_time()
        both = second.detect(picture.image)
        end = time.thread_time()
        looks.first.append(Seen(picture, first))
        looks.both.append(Seen(picture, both))
        looks = looks._replace(
            first_seconds=looks.first_seconds + middle - begin, both_seconds=looks.both_seconds + end - middle
        )
    return looks


def by_class(looks: Looks, names: Sequence[str]) -> Iterator[Row]:
    """Yield AP50 of each source and class that has truths."""
    pairs = zip(matches(looks.first, names), matches(looks.both, names), strict=True)
    for (source, label, first), (_, _, both) in pairs:
        total = sum(len(m.found) for m in first)
        if total:
            what = f"AP50, {label.replace('|', ' or ')}"
            yield Row(source, what, total, _ap50(first, total), _ap50(both, total))


def _ap50(matched: Sequence[Matched], truths: int) -> float:
    scores = np.concatenate([m.scores for m in matched])
    return average_precision(scores, np.concatenate([m.hit[:, 0] for m in matched]), truths)


def whatever_state(seen: Sequence[Seen], classes: int) -> list[Matched]:
    """Match faces, whatever is said of their state."""
    every = np.arange(classes)
    return [
        match_picture(one.found, p.boxes[p.allowed.any(1)], every, p.boxes[~p.allowed.any(1)])
        for one in seen
        for p in (one.picture,)
    ]


def by_size(
    scene: str, looks: Looks, classes: int, sizes: Sequence[tuple[str, float, float]]
) -> Iterator[Row]:
    """Yield the recall at precision 0.9 of faces of each size."""
    first = whatever_state(looks.first, classes)
    both = whatever_state(looks.both, classes)
    drawn = draw(len(first))
    for name, low, high in sizes:
        one = sized(first, low, high, drawn)
        if one.truths:
            other = sized(both, low, high, drawn)
            what = f"recall at precision 0.9, {name} px"
            yield Row(scene, what, one.truths, one.recall_at_90, other.recall_at_90)


# ── walls ─────────────────────────────────────────────────────────────────────────────────────────


def wall(pictures: Sequence[Picture], size: tuple[int, int]) -> Picture:
    """Put pictures side by side, each made to fit into a cell, on a wall of a size (width, height)."""
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    columns = size[0] // CELL[0]
    boxes = []
    for number, picture in enumerate(pictures):
        height, width = picture.image.shape[:2]
        scale = min(CELL[0] / width, CELL[1] / height, 1.0)
        small = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        x = number % columns * CELL[0]
        y = number // columns * CELL[1]
        small = small[: CELL[1], : CELL[0]]
        image[y : y + small.shape[0], x : x + small.shape[1]] = small
        boxes.append(picture.boxes * scale + np.asarray([x, y, x, y], np.float32))
    allowed = np.concatenate([picture.allowed for picture in pictures])
    return Picture(image, np.concatenate(boxes), allowed, pictures[0].unlabelled, "wall")


def hang(pictures: Sequence[Picture], size: tuple[int, int], count: int) -> list[Picture]:
    """Return some walls; the same pictures give the same walls."""
    each = size[0] // CELL[0] * (size[1] // CELL[1])
    order = np.random.default_rng(SEED).permutation(len(pictures))
    chosen = [pictures[row] for row in order[: each * count].tolist()]
    return [wall(chosen[start : start + each], size) for start in range(0, len(chosen), each)]


def watch(detector: Detector, walls: Sequence[Picture]) -> Looks:
    """Watch each wall as a camera with the half budget does, until each part was paid for once."""
    looks = Looks([], [], 0.0, 0.0)
    nothing: Float32 = np.zeros((0, 4), np.float32)
    for picture in watched(walls, "walls"):
        stage = LookStage(detector, None)
        size = (picture.image.shape[1], picture.image.shape[0])
        parts = len(places(size, canvas_of(detector), turned=leans(detector.names)))
        first = both = Detections.empty()
        looked = 0
        for number in range(MOST * parts):
            if looked >= parts:
                break
            begin = time.thread_time()
            first = detector.detect(picture.image)
            middle = time.thread_time()
            both = stage.refine(picture.image, first, number / FPS, nothing)
            end = time.thread_time()
            looks = looks._replace(
                first_seconds=looks.first_seconds + middle - begin,
                both_seconds=looks.both_seconds + end - begin,
            )
            looked += stage.take().regions
        looks.first.append(Seen(picture, first))
        looks.both.append(Seen(picture, both))
    return looks


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────


def held_out(recipe: str, data: Path, every: int) -> tuple[list[Picture], list[str]]:
    """Return each so many-th held-out picture of a recipe, and its classes."""
    known = load_recipe(recipe)
    return read_recipe(known, data, "val", JUDGED)[::every], list(known["names"])


def told(title: str, model: str, looks: Looks, rows: Sequence[Row]) -> str:
    """Write what was measured of a packaged model as a table."""
    heads = ("source", "figure", "truths", "first look", "both looks", "points")
    cost = f"{len(looks.first)} pictures; both looks cost {looks.ratio:.2f} times the first look's CPU."
    known = f"Model: `{model}`, sha256 `{hashlib.sha256((MODELS / model).read_bytes()).hexdigest()[:12]}`."
    return f"### {title}\n\n{markdown(heads, [row.cells() for row in rows])}\n{cost} {known}\n"


def masks(data: Path, every: int) -> Iterator[str]:
    """Tell of faces."""
    pictures, names = held_out("mask", data, every)
    looks = stills(FACES_BY, [picture for picture in pictures if picture.source in MASKS])
    rows = [*by_class(looks, names), *by_size("both sources", looks, len(names), SIZES)]
    yield told("Faces, all parts of each picture", FACES_BY, looks, rows)


def traffic(data: Path, every: int) -> Iterator[str]:
    """Tell of what moves on streets, and others beside."""
    pictures, names = held_out("traffic", data, every)
    pictures = [picture for picture in pictures if picture.source != "scene"]
    looks = stills(TRAFFIC_BY, pictures)
    yield told(
        "Traffic, the wide file, all parts of each picture", TRAFFIC_BY, looks, list(by_class(looks, names))
    )
    square = Detector(MODELS / "gb-yolo-n-traffic-square.onnx", LEAST)
    said = {"first look": looks.first, "both looks": looks.both}
    said["square file"] = [
        Seen(p, square.detect(p.image)) for p in watched(pictures, "pictures, square file")
    ]
    yield f"### Traffic, others on the same pictures\n\n{beside(data, said, names)}"


def above(data: Path, every: int) -> Iterator[str]:
    """Tell of vehicles seen from above, of which a camera pays for each part once."""
    pictures, names = held_out("traffic", data, every)
    pictures = [picture for picture in pictures if picture.source == TOP.sources[0]]
    looks = watch(Detector(MODELS / TRAFFIC_BY, WEAK), pictures)
    yield told('Top view, `look_budget = "half"`', TRAFFIC_BY, looks, list(by_class(looks, names)))


def walls(data: Path, every: int) -> Iterator[str]:
    """Tell of faces that are small in a large picture; the walls are the same, whatever `every` is."""
    pictures, names = held_out("mask", data, 1)
    pictures = [picture for picture in pictures if picture.source in MASKS]
    detector = Detector(MODELS / FACES_BY, WEAK)  # as a camera's
    sizes = [("8-20", *FACES), *SIZES[2:4]]
    for size, count in WALLS.items():
        looks = watch(detector, hang(pictures, size, count))
        scene = f"wall {size[0]}x{size[1]}"
        rows = list(by_size(scene, looks, len(names), sizes))
        yield told(f'Faces on walls of {size[0]}x{size[1]}, `look_budget = "half"`', FACES_BY, looks, rows)


PARTS = {"walls": walls, "above": above, "traffic": traffic, "masks": masks}


def main(words: list[str]) -> int:
    """Measure all parts, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.look")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--every", type=int, default=1, help="take each so many-th picture")
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.parts) - set(PARTS))
    data = Path(os.environ.get("GB_DATA", ""))
    if unknown or arguments.every < 1 or not (data / "masks" / "val").is_dir():
        wrong = f"no such part: {unknown[0]}" if unknown else "set GB_DATA to the folder of development data"
        print(wrong, file=sys.stderr)
        return 2
    cv2.setNumThreads(1)  # what other threads compute would not be counted
    some = f" --every {arguments.every}" if arguments.every > 1 else ""
    for name in arguments.parts or PARTS:
        for text in PARTS[name](data, arguments.every):
            section = f"{text}\nCommand: `python -m benchmarks.look{some} {name}`.\n"
            print(section, flush=True)
            renew(PAGE, section, BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
