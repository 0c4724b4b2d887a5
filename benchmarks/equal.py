"""`n`, YOLOv5n's shape and the literal paper network after the same short training, into docs/papers.md.

    GB_DATA=DATA python -m benchmarks.equal FOLDER      (FOLDER holds equal-NETWORK-SEED/last.pt)

The recipes `equal-n`, `equal-yolov5n`, `equal-paper`, `equal-soft-n`, `equal-soft-yolov5n` and
`equal-taught-n` make the checkpoints: the same pictures, seed, head, loss, length and learning rates. What
always holds: every checkpoint is judged as the file that would be deployed, and a difference is of the same
pictures, redrawn for both networks alike.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.page import markdown, rewrite
from benchmarks.papers import PAGE
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED, Picture
from export.errors import TrainError
from export.judge.assess import checkpoint_file
from export.judge.evaluate import detector_for, look, matches
from export.judge.metrics import Float64, Interval, draw, redraw, within
from export.model.network import Network
from export.model.zoo import make_model, parameters
from export.train.checkpoint import load_checkpoint

BEGIN = "<!-- equal budget: python -m benchmarks.equal -->"
END = "<!-- end of equal budget -->"
NETWORKS = {
    "n": "`n`",
    "yolov5n": "YOLOv5n-shaped, same head",
    "paper": "literal paper network",
    "soft-n": "`n`, soft at first",
    "soft-yolov5n": "YOLOv5n-shaped, soft at first",
    "taught-n": "`n`, taught by the paper network",
}
AGAINST = {
    "n": "yolov5n",
    "paper": "yolov5n",
    "soft-n": "soft-yolov5n",
    "soft-yolov5n": "yolov5n",
    "taught-n": "n",
}
MEAN = ("aizoo", "andrewmvd")  # `ditface` boxes whole heads: reported, left out of the mean


class Trained(NamedTuple):
    """Hold one network after its training: AP50 by source and class, and (DRAWS,) of the redrawn pictures."""

    network: str
    seed: int
    pictures: int
    parameters: int
    ap50: dict[tuple[str, str], float]
    redrawn: dict[tuple[str, str], Float64]

    def mean(self) -> Interval:
        """Return the mean AP50 of the tight sources."""
        return within(*self._means())

    def ahead(self, other: Trained) -> Interval:
        """Return by how much the mean AP50 is larger than another's, on the same pictures."""
        mine = self._means()
        theirs = other._means()
        return within(mine[0] - theirs[0], mine[1] - theirs[1])

    def _means(self) -> tuple[float, Float64]:
        keys = [key for key in self.ap50 if key[0] in MEAN]
        value = float(np.mean([self.ap50[key] for key in keys]))
        return value, np.mean([self.redrawn[key] for key in keys], axis=0)


def judged(checkpoint: Path, network: str, seed: int, pictures: list[Picture]) -> Trained:
    """Write a checkpoint as a file, run it over pictures and work out AP50 of every source and class."""
    with tempfile.TemporaryDirectory() as folder:
        path, recipe = checkpoint_file(checkpoint, Path(folder), version("gb-fleet"))
        detector = detector_for(path)
        seen = look(detector, pictures)
    ap50 = {}
    redrawn = {}
    for source, label, matched in matches(seen, recipe["names"]):
        whole, parts = redraw(matched, draw(len(matched)))
        ap50[source, label] = float(whole[0])
        redrawn[source, label] = parts[:, 0]
    model: Network = make_model(recipe)
    state: dict[str, Any] = load_checkpoint(checkpoint)
    return Trained(network, seed, state["done"] * recipe["batch"], parameters(model), ap50, redrawn)


def checkpoints(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """Yield every finished training there: its checkpoint, network and seed; one under way is left out."""
    for network in NETWORKS:
        for path in sorted(folder.glob(f"equal-{network}-*/last.pt")):
            seed = path.parent.name.removeprefix(f"equal-{network}-")
            try:
                state = load_checkpoint(path)
            except TrainError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            if seed.isdigit() and state["done"] * state["recipe"]["batch"] >= state["recipe"]["images"]:
                yield path, network, int(seed)


def rows(trained: list[Trained]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each training: AP50 of each source and class, the mean, how far from the baseline."""
    known = {(each.network, each.seed): each for each in trained}
    for each in sorted(trained, key=lambda t: (t.seed, list(NETWORKS).index(t.network))):
        figures = [str(within(each.ap50[key], each.redrawn[key])) for key in each.ap50]
        other = known.get((AGAINST.get(each.network, ""), each.seed))
        apart = "-"
        if other:
            value, low, high = (100 * part for part in each.ahead(other))
            apart = f"{value:+.1f} ({low:+.1f} to {high:+.1f}), {NETWORKS[other.network]}"
        name = NETWORKS[each.network]
        million = f"{each.parameters / 1e6:.2f}"
        yield name, str(each.seed), million, *figures, str(each.mean()), apart


def text(trained: list[Trained]) -> str:
    """Write the table and what it says."""
    keys = [f"{source}, {label}" for source, label in trained[0].ap50]
    heads = ("network", "seed", "M parameters", *keys, f"mean of {' and '.join(MEAN)}", "points ahead")
    seen = sorted({each.pictures for each in trained})
    length = " to ".join(f"{count:,}" for count in sorted({seen[0], seen[-1]}))
    return (
        f"{length} training pictures each, from nothing. AP50 on `masks/val`, with 95 % intervals. The "
        "last column is the mean AP50 less that of the network named there, of the same seed, in points; "
        "its interval redraws the same pictures for both.\n\n"
        f"{markdown(heads, rows(trained))}\n{verdict(trained)}\n"
    )


def verdict(trained: Iterable[Trained]) -> str:
    """Say in words what the seeds say of each network, and what one alone cannot."""
    known = {(each.network, each.seed): each for each in trained}
    lines = []
    for network, other in AGAINST.items():
        seeds = [seed for name, seed in known if name == network and (other, seed) in known]
        if seeds:
            apart = [known[network, seed].ahead(known[other, seed]) for seed in seeds]
            name = NETWORKS[network]
            lines.append(f"{name[0].upper()}{name[1:]}: {sentence(apart, NETWORKS[other])}.")
    return "\n".join(lines)


def sentence(apart: list[Interval], other: str) -> str:
    """Say what the differences of all seeds from another network say together."""
    if len(apart) < 2:
        return "one seed alone shows nothing, the difference has to come again"
    if all(each.low > 0 for each in apart):
        return f"ahead of {other} with each of {len(apart)} seeds"
    if all(each.high < 0 for each in apart):
        return f"behind {other} with each of {len(apart)} seeds"
    if all(each.low <= 0 <= each.high for each in apart):
        return f"with each of {len(apart)} seeds the pictures leave open which is ahead"
    return f"the {len(apart)} seeds do not agree, so this shows no difference"


def main(words: list[str]) -> int:
    """Judge every training there is and write the page."""
    data = Path(os.environ.get("GB_DATA", ""))
    if len(words) != 1 or not (data / "masks" / "val").is_dir():
        print("usage: GB_DATA=DATA python -m benchmarks.equal FOLDER", file=sys.stderr)
        return 2
    pictures = read_recipe(load_recipe("mask"), data, "val", JUDGED)
    trained = [judged(*each, pictures) for each in checkpoints(Path(words[0]))]
    if not trained:
        print(f"{words[0]}: no finished equal-NETWORK-SEED/last.pt; train equal-n first", file=sys.stderr)
        return 1
    written = text(trained)
    rewrite(PAGE, written, BEGIN, END)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
