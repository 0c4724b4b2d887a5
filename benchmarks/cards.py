"""The card of every model that comes along, measured and written into agent/models/README.md.

    GB_DATA=DATA python -m benchmarks.cards

For each packaged file: what it is, its hash, and how well it does by source, class and size on pictures that
it has not learned from. What always holds: nothing is typed by hand, and a test compares the hashes with the
files, so no figure outlives its file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.page import markdown, rewrite
from export.data.recipe import read_recipe
from export.data.sample import JUDGED, Picture
from export.judge.assess import Assessment, assess
from export.judge.evaluate import Score, detector_for
from export.judge.metrics import SIZES
from export.judge.reliability import EDGES
from export.onnx.release import FILES, MODELS

PAGE = MODELS / "README.md"
BEGIN = "<!-- figures: python -m benchmarks.cards -->"
END = "<!-- end of figures -->"
LEAST = 10  # boxes: a source and class with fewer has no row


def measure(data: Path, folder: Path = MODELS) -> dict[str, Assessment]:
    """Judge every packaged file on the pictures kept to judge by; by the file's name."""
    pictures: dict[str, list[Picture]] = {}
    result = {}
    for file in FILES:
        detector = detector_for(folder / file.name)
        if file.task not in pictures:
            pictures[file.task] = read_recipe(json.loads(detector.metadata["recipe"]), data, "val", JUDGED)
        result[file.name] = assess(detector, pictures[file.task])
    return result


def rows(scores: Iterable[Score]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each source and class: AP50, AP50-95, and the share found of each size."""
    for s in (s for s in scores if s.truths >= LEAST):
        ap50, ap = (str(s.within[key]) for key in ("ap50", "ap"))
        sized = [s.by_size.get(name) for name, _, _ in SIZES]
        found = [f"{size.recall.value:.2f} of {size.truths}" if size else "-" for size in sized]
        yield s.source, s.label.replace("|", " or "), str(s.truths), ap50, ap, *found


def worth(assessment: Assessment) -> Iterator[tuple[str, ...]]:
    """Yield a row for each class: of the boxes told at a score, the share right and how many."""
    for name, told in assessment.reliability.items():
        cells = {one.low: f"{one.right.value:.2f} of {one.boxes}" for one in told}
        yield name, *(cells.get(low, "-") for low in EDGES[:-1])


def mean(assessment: Assessment) -> float:
    """Return the mean AP50 over the sources and classes that have a row."""
    return float(np.mean([score.ap50 for score in assessment.scores if score.truths >= LEAST]))


def cards(measured: dict[str, Assessment]) -> str:
    """Write the cards of all files."""
    scores = ("told at", *(f"{low:.1f}-{high:.1f}" for low, high in pairwise(EDGES)))
    heads = ("source", "class", "boxes", "AP50 (95 %)", "AP50-95 (95 %)", *(f"{n} px" for n, _, _ in SIZES))
    parts = []
    for file in FILES:
        one = measured[file.name]
        sizes = (one.input_size, one.second_size) if one.second_size else (one.input_size,)
        looks = " and ".join("x".join(map(str, size)) for size in sizes)
        looks += ", mirrored too" if file.mirrored else ""
        words = f"Input {looks}, {'int8' if file.int8 else 'float'}, sha256 `{one.sha256[:12]}`, "
        words += f"{one.pictures} pictures, mean AP50 of the rows {mean(one):.3f}"
        if file.int8:
            whole = measured[file._replace(suffix="", int8=False).name]
            words += f" ({100 * (mean(one) - mean(whole)):+.2f} points against float)"
        parts.append(f"### `{file.name}`\n\n{words}.\n\n{markdown(heads, rows(one.scores))}")
        parts.append(f"Right of the boxes told, by score:\n\n{markdown(scores, worth(one))}")
    return "\n".join(parts)


def main() -> int:
    """Measure and write the page."""
    data = Path(os.environ.get("GB_DATA", ""))
    if not (data / "masks" / "val").is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    text = cards(measure(data))
    rewrite(PAGE, text, BEGIN, END)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
