"""The mask model of free pictures beside the packaged one, measured and written into docs/models.md.

    GB_DATA=DATA python -m benchmarks.free CHECKPOINT

What always holds: both are judged as files, through the agent's own code, on the same held-out pictures.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.page import markdown, rewrite
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED
from export.errors import TrainError
from export.judge.assess import Assessment, assess, checkpoint_file
from export.judge.evaluate import Score, detector_for
from export.onnx.release import MODELS
from export.train.checkpoint import load_checkpoint

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN = "<!-- free: python -m benchmarks.free CHECKPOINT -->"
END = "<!-- end of free -->"
PACKAGED = MODELS / "gb-yolo-n-mask.onnx"


def rows(free: Sequence[Score], packaged: Sequence[Score]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each source and class: AP50, and the share found at the agent's default score."""
    for one, other in zip(free, packaged, strict=True):
        figures = (str(each.within[key]) for key in ("ap50", "recall") for each in (one, other))
        yield one.source, one.label, str(one.truths), *figures


def text(free: Assessment, packaged: Assessment, pictures: int) -> str:
    """Write both tables."""
    heads = ("source", "class", "boxes", "AP50, free", "AP50, packaged", "recall, free", "recall, packaged")
    assert free.masks
    assert packaged.masks
    states = [
        (name, *(str(each.whole["given found"][key]) for each in (free.masks, packaged.masks)))
        for name, key in (("mask", "mask right"), ("no mask", "no mask right"))
    ]
    return (
        f"Its last training saw {pictures:,} pictures. On the {free.pictures} pictures of `masks/val`, those "
        f"of `aizoo` too, of which the free model has learned none. With 95 % intervals.\n\n"
        f"{markdown(heads, rows(free.scores, packaged.scores))}\n"
        f"State right of found faces:\n\n{markdown(('state', 'free', 'packaged'), states)}"
    )


def main(words: list[str]) -> int:
    """Measure both and write the page."""
    data = Path(os.environ.get("GB_DATA", ""))
    if len(words) != 1 or not (data / "masks" / "val").is_dir():
        print("usage: GB_DATA=DATA python -m benchmarks.free CHECKPOINT", file=sys.stderr)
        return 2
    pictures = read_recipe(load_recipe("mask"), data, "val", JUDGED)
    try:
        state = load_checkpoint(Path(words[0]))
        with tempfile.TemporaryDirectory() as folder:
            path, recipe = checkpoint_file(Path(words[0]), Path(folder), version("gb-fleet"))
            free = assess(detector_for(path), pictures)
    except TrainError as error:
        print(error, file=sys.stderr)
        return 1
    written = text(free, assess(detector_for(PACKAGED), pictures), state["done"] * recipe["batch"])
    rewrite(PAGE, written, BEGIN, END)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
