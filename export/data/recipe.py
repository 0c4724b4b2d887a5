"""The pictures that a recipe names, read into memory.

A source is a folder in YOLO layout (`images/`, `labels/` with `class x y w h` in fractions, and one level up
a `sources.csv` that says where each picture is from and under which licence), a user's own folder, or the
built-in scene. What always holds:

- a class that a source does not label is marked in the picture, so that it is never taught as "not there";
- a box may allow several classes (a "vehicle" is a car, bus or truck); one that allows none hides its region;
- where a recipe lists `licences`, no picture of another licence gets in, neither to learn nor to judge.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.boxes import Float32
from agent.see.infer import Detector
from agent.wire import toml_text
from export.data.balance import balance
from export.data.drawn import read_scene
from export.data.proposals import add_proposals, read_proposals
from export.data.provenance import held_back, is_free, read_sources, unlabelled_names
from export.data.pseudo_labels import open_labeller, read_crops, read_machine_labels, tighten
from export.data.recipe_schema import check_part, check_recipe
from export.data.sample import LONGEST, Picture, corners, one_hot, read_labels, read_picture
from export.data.user_dataset import read_own
from export.errors import DataError

RECIPES = Path(__file__).parents[1] / "recipes"
HELD = "held"  # the split of training pictures that are kept out of it


def read_folder(
    root: Path,
    split: str,
    names: Sequence[str],
    classes: Sequence[Sequence[str]],
    unlabelled: dict[str, list[str]],
    licences: Sequence[str] | None = None,
    longest: int | None = LONGEST,
    classes_in: dict[str, Sequence[Sequence[str]]] | None = None,
) -> list[Picture]:
    """Read one split of a folder; `classes[k]` are the product's names that file class k may mean.

    With `licences`, only pictures whose licence in `sources.csv` is one of them are read.
    `classes_in[source]` are the names that the classes mean in that source instead.
    """
    images = root / split / "images"
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; give the folder of the data by --data")
    sources = {row["file"]: row for row in read_sources(root)}
    paths = sorted(images.iterdir())
    if licences is not None:
        paths = [path for path in paths if is_free(sources.get(path.name, {}).get("licence", ""), licences)]
    meanings = {
        source: np.stack([one_hot(names, chosen) for chosen in here])  # (K,C)
        for source, here in {"": classes, **(classes_in or {})}.items()
    }

    def read(path: Path) -> Picture:
        image = read_picture(path, longest)
        label = root / split / "labels" / f"{path.stem}.txt"
        number, centred = read_labels(label, len(classes)) if label.exists() else _nothing()
        source = sources.get(path.name, {}).get("source", root.name)
        hidden = one_hot(names, unlabelled.get(source, []))
        boxes = corners(centred, image.shape[1], image.shape[0])
        meaning = meanings.get(source, meanings[""])
        return Picture(image, boxes, meaning[number], hidden, source, path.name, number)

    with ThreadPoolExecutor(2, "read") as pool:
        return list(pool.map(read, paths))


def _nothing() -> tuple[NDArray[np.int64], Float32]:
    return np.zeros(0, np.int64), np.zeros((0, 4), np.float32)


def load_recipe(name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a recipe by its name (`traffic`, `mask`) or its path; `base` names one whose keys it inherits.

    Raises `DataError` for a key that is not known, with its place; `above` are those that inherit this one.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise DataError(f"no recipe {name!r}: give one of {known}, or the path of a .toml file")
    if name in above:
        raise DataError(f"{path}: base: inherits itself, by way of {', '.join(above)}")
    try:
        recipe = toml_text.parse(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}") from None
    check_part(recipe, path)
    base = recipe.pop("base", None)
    whole = load_recipe(base, (*above, name)) | recipe if base else recipe
    check_recipe(whole, path)
    return whole


def _read_folder(
    recipe: dict[str, Any], source: dict[str, Any], data: Path, split: str, longest: int | None
) -> list[Picture]:
    root = data / source["folder"]
    within = "train" if split == HELD else split
    pictures = read_folder(
        root,
        within,
        recipe["names"],
        source["classes"],
        source.get("unlabelled", {}),
        recipe.get("licences"),
        longest,
        source.get("classes_in"),
    )
    pictures = _left_out(recipe, source, root, within, pictures)
    if within != "train":
        return pictures
    without = [recipe.get("leave_out", []), held_back(read_sources(root), recipe.get("held_back", 0.0))]
    if split == HELD:
        return [picture for picture in pictures if picture.name in without[1]]
    pictures = [picture for picture in pictures if not any(picture.name in names for names in without)]
    pictures = [_without(picture, recipe.get("hide", {}).get(picture.name, [])) for picture in pictures]
    pictures = [_varied(picture, source) for picture in pictures]
    loose = source.get("tighten", [])
    labeller = _labeller(recipe) if loose else None
    return [tighten(p, labeller) if labeller and p.source in loose else p for p in pictures]


def _left_out(
    recipe: dict[str, Any], source: dict[str, Any], root: Path, split: str, pictures: list[Picture]
) -> list[Picture]:
    """Mark what `sources.csv` calls unlabelled, file by file, and add what other models propose for it."""
    names = recipe["names"]
    if source.get("unlabelled_by_file"):
        said = {row["file"]: unlabelled_names(row, names) for row in read_sources(root)}
        pictures = [
            replace(p, unlabelled=p.unlabelled | one_hot(names, said.get(p.name, []))) for p in pictures
        ]
    if "pseudo" in source:
        pictures = _proposed(source, names, root / source["pseudo"], pictures)
    if "proposals" in source and pictures and split == "train":
        pictures = _proposed_elsewhere(source, names, pictures)
    return pictures


def _proposed_elsewhere(
    source: dict[str, Any], names: Sequence[str], pictures: list[Picture]
) -> list[Picture]:
    """Add proposals that were made on this machine; without them, say that those classes stay unlabelled."""
    table = Path(source["proposals"]).expanduser()
    if table.exists():
        return _proposed(source, names, table, pictures)
    print(
        f"{table}: no such file, so its classes stay unlabelled here; `gb-export propose` writes it",
        file=sys.stderr,
    )
    return pictures


def _proposed(
    source: dict[str, Any], names: Sequence[str], table: Path, pictures: list[Picture]
) -> list[Picture]:
    """Add what other models propose, from a file of proposals."""
    meaning = np.stack([one_hot(names, chosen) for chosen in source["classes"]])
    proposals = read_proposals(table, len(meaning))
    believed = {
        where: one_hot(names, chosen)
        for where, chosen in {"": source.get("believed", []), **source.get("believed_in", {})}.items()
    }
    return [
        add_proposals(p, proposals.get(p.name, []), meaning, believed.get(p.source, believed[""]))
        for p in pictures
    ]


def _varied(picture: Picture, source: dict[str, Any]) -> Picture:
    """Say how a picture of this source may be varied, where that is not as the recipe says."""
    scale = source.get("scale_in", {}).get(picture.source)
    headings = picture.source in source.get("headings", [])
    return replace(picture, scale=tuple(scale) if scale else None, headings=headings)


def _without(picture: Picture, rows: list[int]) -> Picture:
    """Return the picture with some boxes, by their rows in the label file, hidden."""
    if not rows:
        return picture
    if max(rows) >= len(picture.boxes):
        raise DataError(f"hide: {picture.name} has no box {max(rows)}; it has {len(picture.boxes)}")
    allowed = picture.allowed.copy()
    allowed[rows] = False
    return replace(picture, allowed=allowed)


def _read_crops(recipe: dict[str, Any], source: dict[str, Any], data: Path) -> list[Picture]:
    folder = data / source["crops"]
    licences = recipe.get("licences")
    without = recipe.get("leave_out", [])
    rows = [row for row in read_sources(folder) if Path(row["file"]).name not in without]
    if licences is not None:
        rows = [row for row in rows if is_free(row.get("licence", ""), licences)]
    if not rows:
        raise DataError(f"{folder / 'sources.csv'}: lists no crops to learn from: file,class,source,licence")
    return read_crops(folder, rows, recipe["names"], source["meaning"], _labeller(recipe))


def _labeller(recipe: dict[str, Any]) -> Detector:
    """Open the model that finds boxes where nobody drew them."""
    if "labeller" not in recipe:
        raise DataError("labeller: the recipe does not say which model finds the boxes; give a model's path")
    return open_labeller(recipe["labeller"])


def _read_source(
    recipe: dict[str, Any], source: dict[str, Any], data: Path, split: str, longest: int | None
) -> list[Picture]:
    names = recipe["names"]
    licences = recipe.get("licences")
    if split == HELD and "folder" not in source:
        return []
    if split != "train" and not any(source.get("classes", [True])):
        return []  # it shows what is none of the classes: to learn from, not to judge by
    if "folder" in source:
        return _read_folder(recipe, source, data, split, longest)
    if "scene_seeds" in source:
        return read_scene(range(*source["scene_seeds"][split]), source["scene_frames"], names)
    if "crops" in source:
        return _read_crops(recipe, source, data) if split == "train" else []
    if licences is not None:
        raise DataError(
            "licences: this recipe has a source without a sources.csv, whose licence nobody knows"
        )
    if "own" in source:
        return read_own(data / source["own"], split, names, source.get("format"), longest)
    if split != "train":
        return []
    frames = data / source["frames"]
    table = data / source["json"]
    pictures = read_machine_labels(frames, table, source["every"], names, source["meaning"])
    itself = {"classes": [[name] for name in names], **source}  # proposals go by the recipe's own numbers
    return _proposed_elsewhere(itself, names, pictures) if "proposals" in source else pictures


def read_recipe(
    recipe: dict[str, Any], data: Path, split: str, longest: int | None = LONGEST
) -> list[Picture]:
    """Read every source of a recipe; a source's `repeat` shows its pictures that many times in training.

    The recipe's `balance` then repeats pictures of rare classes. Pictures are made at most `longest` pixels
    long; None leaves them as they lie there. The split `HELD` is the share of the training's groups that the
    recipe's `held_back` keeps out of it, to calibrate by.
    """
    pictures: list[Picture] = []
    for source in recipe["source"]:
        repeat = source.get("repeat", {}) if split == "train" else {}
        for picture in _read_source(recipe, source, data, split, longest):
            pictures.extend([picture] * int(repeat.get(picture.source, 1)))
    return balance(pictures, recipe.get("balance", 0.0)) if split == "train" else pictures
