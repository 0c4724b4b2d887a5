"""The command `gb-export judge`: learn the judge of enlarged faces from a recipe's pictures, and write it.

What always holds: it is learnt from training pictures alone; what is printed of it is of validation pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from export.crops.assess import table
from export.crops.cut import Crops, cut
from export.crops.learn import Schedule, learn, progress
from export.data.recipe import load_recipe, read_recipe
from export.errors import UsageError

LONGEST = 1024  # pixels of a picture: faces are cut from what is really there
LICENCE = "licence"


def crops_of(recipe: dict[str, Any], data: Path, split: str) -> Crops:
    """Return the crops of one split; raises `UsageError` where the recipe is not about masks."""
    if recipe.get("task") != "mask":
        raise UsageError(
            f"{recipe['name']}: its classes are no states of faces: a judge needs the recipe mask"
        )
    return cut(read_recipe({**recipe, "balance": 0.0}, data, split, LONGEST), recipe["names"])


def run(arguments: argparse.Namespace, data: Path, version: str) -> None:
    """Learn, write, and say how good it is."""
    from export.crops.write import write_judge

    torch.set_num_threads(1)  # so small a network gains nothing from a second
    recipe = load_recipe(arguments.recipe)
    held = crops_of(recipe, data, "val")
    crops = crops_of(recipe, data, "train")
    schedule = Schedule(arguments.steps, arguments.seed)
    network = learn(crops, schedule, lambda step, so_far: progress(step, table(so_far, held)))
    metadata = {
        "licence": recipe[LICENCE],
        "crops": str(len(crops)),
        "steps": str(schedule.steps),
        "seed": str(schedule.seed),
        "version": version,
    }
    differs = write_judge(network, arguments.out, metadata)
    size = arguments.out.stat().st_size
    print(f"{arguments.out}: {size:,} bytes; differs from PyTorch by {differs:.1g}")
    print(table(network, held))
