"""`python -m export.onnx.release`: the files that come along, from the weights of three tasks in one go.

    GB_DATA=DATA python -m export.onnx.release TRAFFIC MASK MASK-FREE [FOLDER]

    TRAFFIC, MASK, MASK-FREE: checkpoints, or float .onnx files of ours, whose very weights are taken
    FOLDER is `agent/models` unless it is said

An empty name leaves the files of that task as they are.

What always holds: the same weights, pictures and library versions give the same bytes, since a file's date is
its checkpoint's, or that of the file that was given; a file is put into place only when it is finished, has
passed its comparison with PyTorch where it is float, and gives its stored answer.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from agent.see import self_test
from agent.see.infer import Detector, ModelError
from export.data.pseudo_labels import MODELS
from export.data.recipe import read_recipe
from export.data.sample import Picture
from export.errors import DataError, TrainError

LIMIT = 4_000_000  # bytes of one file
CALIBRATED = 20  # pictures: which ones they are decides more than how many; more only widen the ranges
STREETS = 8  # drawing streets takes longest, and their pictures are much alike


class File(NamedTuple):
    """Hold what is special of one packaged file; without sizes it takes the recipe's, or the float file's."""

    task: str
    suffix: str = ""
    size: tuple[int, int] | None = None
    second: tuple[int, int] | None = None
    kinds: tuple[tuple[str, ...], ...] = ()
    int8: bool = False
    mirrored: bool = False

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return f"gb-yolo-n-{self.task}{self.suffix}.onnx"

    def said(self) -> dict[str, Any]:
        """Return what the file says instead of its checkpoint's recipe."""
        keys: dict[str, Any] = {"input": self.size, "second_input": self.second, "kinds": self.kinds}
        keys["mirrored"] = self.mirrored
        return {key: value for key, value in keys.items() if value}


STREET = (("person",), ("bicycle", "motorcycle"), ("car", "bus", "truck"))
FILES = (
    File("traffic", "", (384, 640), (224, 384), STREET),
    File("traffic", "-square", (640, 640), (416, 416), STREET),
    File("traffic", "-large", (384, 640), (224, 384), STREET, mirrored=True),
    File("traffic", "-int8", int8=True),
    File("mask"),
    File("mask", "-int8", int8=True),
    File("mask-free"),
)


def evenly(pictures: list[Picture], count: int) -> list[Picture]:
    """Return so many pictures, or all, evenly over the list."""
    return pictures[:: max(1, len(pictures) // count)][:count]


def fewer_streets(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe that draws one street in `STREETS` and shows it so many times: the same mix, sooner."""

    def fewer(source: dict[str, Any]) -> dict[str, Any]:
        if "scene_seeds" not in source:
            return source
        seeds = {split: [*ends, STREETS] for split, ends in source["scene_seeds"].items()}
        repeat = {"scene": STREETS * source.get("repeat", {}).get("scene", 1)}
        return source | {"scene_seeds": seeds, "repeat": repeat}

    return recipe | {"source": [fewer(source) for source in recipe["source"]]}


def recipe_of(source: Path) -> dict[str, Any]:
    """Return the recipe that the weights come from; raises `TrainError`."""
    from export.train.checkpoint import load_checkpoint
    from export.train.warm_start import read_file

    recipe: dict[str, Any] = (
        read_file(source)[1] if source.suffix == ".onnx" else load_checkpoint(source)["recipe"]
    )
    return recipe


def write_float(source: Path, target: Path, file: File) -> None:
    """Write a checkpoint's average weights, or a float file's, for a file's sizes; raises `TrainError`."""
    from export.onnx.to_onnx import export_average
    from export.train.checkpoint import load_checkpoint

    if source.suffix == ".onnx":
        write_again(source, target, file)
        return
    state = load_checkpoint(source)
    made = source.stat().st_mtime
    export_average(state, target, version("gb-fleet"), file.said(), made)


def write_again(source: Path, target: Path, file: File) -> None:
    """Write a float file's weights for a file's sizes; raises `TrainError`."""
    from export.onnx.to_onnx import MADE, describe, export_folded
    from export.train.warm_start import read_file

    folded, recipe = read_file(source)
    recipe.pop("mirrored", None)  # of this file, no word of the recipe that its weights come from
    recipe |= file.said()
    known = Detector(source).metadata
    made = datetime.strptime(known["made"], MADE).replace(tzinfo=UTC).timestamp()
    size = (recipe["input"][0], recipe["input"][1])
    said = describe(recipe, size, int(known["pictures_seen"]), version("gb-fleet"), made)
    export_folded(folded, target, size, said)


def made_of(checkpoints: dict[str, Path]) -> list[File]:
    """Return the files of the tasks that have weights."""
    return [file for file in FILES if file.task in checkpoints]


def write(folder: Path, checkpoints: dict[str, Path], data: Path) -> Iterator[Path]:
    """Write every file into a folder and yield its path; the int8 ones come from the float ones there."""
    from export.onnx.quantize import quantize

    for file in made_of(checkpoints):
        target = folder / file.name
        if file.int8:
            recipe = fewer_streets(recipe_of(checkpoints[file.task]))
            chosen = evenly(read_recipe(recipe, data, "train"), CALIBRATED)
            # 7 bits, so that sums do not saturate and every CPU gives the same answers
            quantize(folder / File(file.task).name, target, chosen, reduce_range=True)
        else:
            write_float(checkpoints[file.task], target, file)
        yield target


def prove(path: Path) -> None:
    """Raise `TrainError` for a file that is too large, or does not give its stored answer here."""
    if path.stat().st_size >= LIMIT:
        raise TrainError(f"{path.name}: {path.stat().st_size:,} bytes, and {LIMIT:,} is too much")
    detector = Detector(path, confidence=self_test.SURE)
    if not detector.metadata.get(self_test.KEY):
        raise TrainError(f"{path.name}: sure of nothing in its test pictures; train it longer")
    self_test.check(detector)


def main(words: list[str]) -> int:
    """Write the files and say how large they are; return the exit code."""
    data = os.environ.get("GB_DATA", "")
    if len(words) not in (3, 4) or not data or not any(words[:3]):
        print(
            "usage: GB_DATA=DATA make models TRAFFIC=WEIGHTS MASK=WEIGHTS FREE=WEIGHTS, each a checkpoint "
            "or a float .onnx of ours; GB_DATA names the folder of development data",
            file=sys.stderr,
        )
        return 2
    target = Path(words[3]) if len(words) == 4 else MODELS
    target.mkdir(parents=True, exist_ok=True)
    named = zip(("traffic", "mask", "mask-free"), words, strict=False)
    checkpoints = {task: Path(word) for task, word in named if word}
    try:
        with tempfile.TemporaryDirectory(dir=target) as folder:
            for path in write(Path(folder), checkpoints, Path(data)):
                prove(path)
                print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)
            for file in made_of(checkpoints):
                (Path(folder) / file.name).replace(target / file.name)
    except (DataError, ModelError, TrainError) as error:
        print(f"export.onnx.release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
