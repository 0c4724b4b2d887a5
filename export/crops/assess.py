"""How right a judge of faces is: by size, over the steps of its training, and in six folds.

What always holds: a face counts as right where the more probable of its two states is the labelled one; what
the judge would rather not say is told beside it; folds never divide the crops of one picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from agent.boxes import Float32, Int64
from agent.look.judge import SURE
from export.crops.cut import NO_FACE, STATES, Crops
from export.crops.learn import Schedule, learn, probabilities
from export.crops.network import CropNetwork
from export.judge.metrics import Interval, draw, ratio

FOLDS = 6
SIZES = ((8.0, 16.0), (16.0, 32.0), (32.0, 1e9))


def right(crops: Crops, says: Float32, state: int, least: float = 0.0, most: float = 1e9) -> Interval:
    """Return the share of the faces of one state and size that are called right; `says` (N,states)."""
    mine = (crops.state == state) & (crops.size >= least) & (crops.size < most)
    hit = mine & (says[:, :NO_FACE].argmax(1) == state)
    pictures = int(crops.owner.max(initial=0)) + 1
    count = [np.bincount(crops.owner[rows], minlength=pictures) for rows in (hit, mine)]
    return ratio(count[0], count[1], draw(pictures))


def told(says: Float32) -> float:
    """Return the share of crops (N,states) of which a state is told."""
    sure = (says.argmax(1) != NO_FACE) & (says.max(1) >= SURE)
    return float(sure.mean()) if len(says) else float("nan")


def table(network: CropNetwork, crops: Crops) -> str:
    """Return one line: right masked and bare by size, told of faces and of places without any."""
    says = probabilities(network, crops)
    parts = []
    for least, most in SIZES:
        name = f"{least:g}-{most:g}" if most < 1e9 else f">={least:g}"
        figures = [right(crops, says, state, least, most).value for state in range(NO_FACE)]
        parts.append(f"{name} px {figures[0]:.3f} {figures[1]:.3f}")
    face = crops.state != NO_FACE
    parts.append(f"told {told(says[face]):.3f} of faces, {told(says[~face]):.3f} elsewhere")
    return " | ".join(parts)


def precision(crops: Crops, says: Float32) -> tuple[float, float]:
    """Return precision and recall of masks among faces, as the paper's table over training steps has them."""
    face = crops.state != NO_FACE
    said = says[face, :NO_FACE].argmax(1) == 0
    masked = crops.state[face] == STATES.index("with_mask")
    hits = float((said & masked).sum())
    return hits / max(float(said.sum()), 1.0), hits / max(float(masked.sum()), 1.0)


def folds(crops: Crops, seed: int = 7) -> Iterator[tuple[Int64, Int64]]:
    """Yield the rows to learn from and to judge by, six times; crops of one picture stay together."""
    owners = np.random.default_rng(seed).permutation(np.unique(crops.owner))
    for part in range(FOLDS):
        held = np.isin(crops.owner, owners[part::FOLDS])
        yield np.flatnonzero(~held), np.flatnonzero(held)


def crossed(
    crops: Crops, schedule: Schedule, notice: Callable[[int, Float32, Crops], None] | None = None
) -> list[tuple[float, float, float]]:
    """Learn and judge six times; return precision and recall of masks and the share right, of each fold."""
    rows = []
    for number, (mine, held) in enumerate(folds(crops)):
        judged = crops.some(held)
        says = probabilities(learn(crops.some(mine), schedule), judged)
        face = judged.state != NO_FACE
        correct = says[face, :NO_FACE].argmax(1) == judged.state[face]
        rows.append((*precision(judged, says), float(correct.mean())))
        if notice:
            notice(number, says, judged)
    return rows
