"""How the judge of enlarged faces learns: by steps, in six folds, with two seeds; and texture beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from agent.boxes import Float32
from benchmarks.page import markdown
from export.crops.assess import crossed, precision, right
from export.crops.command import crops_of
from export.crops.cut import NO_FACE, Crops
from export.crops.learn import Schedule, learn, probabilities
from export.crops.network import CropNetwork
from export.crops.texture import neighbours_say
from export.data.recipe import load_recipe

LARGE = 32.0  # pixels: of these faces the states are told apart
FOLD = 4  # a fold learns so many times fewer steps
SEEDS = (7, 8)  # of the networks; folds are the same of both


def states(crops: Crops, says: Float32) -> tuple[str, ...]:
    """Return, as a row of a table: precision and recall of masks; masked and bare of LARGE ones right."""
    figures = [f"{figure:.3f}" for figure in precision(crops, says)]
    return *figures, *(str(right(crops, says, state, LARGE)) for state in range(NO_FACE))


HEADS = ("precision", "recall", f"mask right, from {LARGE:g} px", "no mask right")


def by_steps(crops: Crops, held: Crops, schedule: Schedule) -> Iterator[tuple[str, ...]]:
    """Yield a row for each mark of one training, judged on held-out crops."""
    rows: list[tuple[str, ...]] = []

    def told(step: int, network: CropNetwork) -> None:
        rows.append((str(schedule.seed), str(step), *states(held, probabilities(network, held))))

    learn(crops, schedule, told)
    yield from rows


def in_folds(crops: Crops, schedule: Schedule) -> Iterator[tuple[str, ...]]:
    """Yield a row for each of six folds, and their mean and deviation."""
    figures = np.asarray(crossed(crops, schedule))
    seed = str(schedule.seed)
    for number, row in enumerate(figures, 1):
        yield seed, str(number), *(f"{figure:.3f}" for figure in row)
    deviation = figures.std(0, ddof=1)
    yield seed, "mean", *(f"{m:.3f} +- {d:.3f}" for m, d in zip(figures.mean(0), deviation, strict=True))


def textured(crops: Crops, held: Crops) -> tuple[str, ...]:
    """Return the row of texture and neighbours."""
    faces = held.some(held.state != NO_FACE)
    return states(faces, neighbours_say(crops, faces))


def learnt(data: Path, steps: int) -> Iterator[str]:
    """Learn, and write the tables."""
    torch.set_num_threads(1)
    recipe = load_recipe("mask")
    held = crops_of(recipe, data, "val")
    crops = crops_of(recipe, data, "train")
    words = f"{len(crops)} crops to learn from, {len(held)} held out, of all sources"
    rows = [row for seed in SEEDS for row in by_steps(crops, held, Schedule(steps, seed))]
    rows.append(("", "texture (GLCM, KNN)", *textured(crops, held)))
    yield f"### The judge by steps of its training\n\n{words}.\n\n{markdown(('seed', 'steps', *HEADS), rows)}"
    heads = ("seed", "fold", "precision", "recall", "state right")
    part = steps // FOLD
    table = markdown(heads, [row for seed in SEEDS for row in in_folds(crops, Schedule(part, seed))])
    yield f"### The judge in six folds of the training pictures, {part} steps each\n\n{table}"
