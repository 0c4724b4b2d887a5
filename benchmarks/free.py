"""The mask model of free pictures beside the packaged one, measured and written into docs/models.md.

    GB_DATA=DATA python -m benchmarks.free

What always holds: both are judged as files, through the agent's own code, on the same held-out pictures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.page import markdown, rewrite
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED
from export.judge.assess import Assessment, assess
from export.judge.evaluate import Score, detector_for
from export.onnx.release import MODELS

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN = "<!-- free: python -m benchmarks.free -->"
END = "<!-- end of free -->"
FREE = MODELS / "gb-yolo-n-mask-free.onnx"
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


def main() -> int:
    """Measure both and write the page."""
    data = Path(os.environ.get("GB_DATA", ""))
    if not (data / "masks" / "val").is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    pictures = read_recipe(load_recipe("mask"), data, "val", JUDGED)
    detector = detector_for(FREE)
    seen = int(detector.metadata["pictures_seen"])
    written = text(assess(detector, pictures), assess(detector_for(PACKAGED), pictures), seen)
    rewrite(PAGE, written, BEGIN, END)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
