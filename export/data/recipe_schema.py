"""What a recipe may say: every key, typed. What is not known is refused with its place, and what was meant.

What always holds: a recipe stays the plain table that was written; nothing is filled in here. A new key is
one line below, in the table that it belongs to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from agent.wire.mismatch import explain
from agent.wire.unknown import hint, unknown
from export.errors import DataError

Positive = Annotated[int, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]
Side = Annotated[int, Meta(ge=32, le=8192)]
Size = Annotated[list[Side], Meta(min_length=2, max_length=2)]  # height, width
Scales = Annotated[list[Annotated[float, Meta(gt=0)]], Meta(min_length=2, max_length=2)]  # least, most
Seeds = Annotated[list[int], Meta(min_length=2, max_length=2)]  # from, to (not included)
Names = list[Text]
Times = Annotated[int, Meta(ge=1)]


class Model(Struct, forbid_unknown_fields=True):
    """GB-YOLO's own shape, where `model` is a table."""

    widths: list[Positive] | None = None
    neck: Positive | None = None
    depths: list[Positive] | None = None
    literal: bool = False


class Finish(Struct, frozen=True, forbid_unknown_fields=True):
    """The last part of a training, at the deployed size."""

    share: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    size: Size | None = None


class Folder(Struct, forbid_unknown_fields=True):
    """A source in YOLO layout, with its sources.csv."""

    folder: Text
    classes: list[Names]
    repeat: dict[str, Times] = {}
    unlabelled: dict[str, Names] = {}
    unlabelled_by_file: bool = False
    classes_in: dict[str, list[Names]] = {}
    tighten: Names = []
    pseudo: Text | None = None  # a file of proposals, beside sources.csv
    proposals: Text | None = None  # the same, made on this machine
    believed: Names = []  # the classes in which proposals are believed,
    believed_in: dict[str, Names] = {}  # and by source
    scale_in: dict[str, Scales] = {}
    headings: Names = []


class SceneSource(Struct, forbid_unknown_fields=True):
    """A source that the built-in street draws."""

    scene_seeds: dict[Literal["train", "val"], Seeds]
    scene_frames: list[int]
    repeat: dict[str, Times] = {}


class Crops(Struct, forbid_unknown_fields=True):
    """A source of one object a picture, without boxes."""

    crops: Text
    meaning: dict[str, Names]
    repeat: dict[str, Times] = {}


class Frames(Struct, forbid_unknown_fields=True):
    """A source of frames of a film, with boxes of another detector."""

    frames: Text
    json: Text
    every: Positive
    meaning: dict[str, Names]
    proposals: Text | None = None
    believed: Names = []
    believed_in: dict[str, Names] = {}
    repeat: dict[str, Times] = {}


class Own(Struct, forbid_unknown_fields=True):
    """A user's own folder, in the form that its labels have."""

    own: Text
    format: Literal["yolo", "coco", "voc", "labelme"] | None = None
    repeat: dict[str, Times] = {}


SOURCES: dict[str, type[Struct]] = {
    "folder": Folder,
    "scene_seeds": SceneSource,
    "crops": Crops,
    "frames": Frames,
    "own": Own,
}


class Recipe(Struct, forbid_unknown_fields=True):
    """A whole recipe; `base`, the recipe it takes over, is gone by now.

    The defaults here are never used: to judge, `names` and `source` are enough, to learn NEEDED must be said.
    """

    names: Annotated[Names, Meta(min_length=1)]
    source: list[dict[str, Any]]
    name: Text = "own"
    task: Text = "own"
    licence: Text = "unknown"
    seed: int = 0
    size: Side | Size = 640
    fit: Size = []
    scale: Scales = []
    mosaic: Share = 0.0
    batch: Positive = 1
    learning_rate: Annotated[float, Meta(gt=0)] = 1.0
    weight_decay: Annotated[float, Meta(ge=0)] = 0.0
    images: Positive = 1
    input: Size = []
    second_input: Size = []
    mirrored: bool = False
    kinds: list[Names] = []
    finish: Finish = Finish()
    model: str | Model = "n"
    roll: Annotated[float, Meta(ge=0, le=180)] = 0.0
    balance: Annotated[float, Meta(ge=0)] = 0.0
    nines: Share = 0.0
    faults: Share = 0.0
    held_back: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    soften: bool = False
    frozen: list[Literal["stage2", "stage3", "stage4", "stage5", "neck"]] = []
    labeller: str = ""
    licences: Names | None = None
    leave_out: Names = []
    hide: dict[str, list[Annotated[int, Meta(ge=0)]]] = {}
    teacher: str = ""
    teacher_gain: Annotated[float, Meta(ge=0)] = 1.0


NEEDED = (
    *("name", "task", "licence", "seed", "size", "fit", "scale", "mosaic", "batch"),
    *("learning_rate", "weight_decay", "images", "input"),
)


def check_trainable(recipe: dict[str, Any], name: str) -> None:
    """Raise `DataError` for a recipe that is enough to judge by, but not to learn."""
    missing = [key for key in NEEDED if key not in recipe]
    if missing:
        raise DataError(
            f'{name}: {", ".join(missing)}: missing; write them, or inherit them: base = "traffic"'
        )


def check_recipe(recipe: dict[str, Any], path: Path) -> None:
    """Raise `DataError`, with the file and the key, for what a recipe cannot say."""
    _typed(recipe, Recipe, path, "")
    for number, source in enumerate(recipe["source"]):
        place = f"source[{number}]"
        kinds = [kind for kind in SOURCES if kind in source]
        if len(kinds) != 1:
            raise DataError(f"{path}: {place}: {_which(source, kinds)}")
        _typed(source, SOURCES[kinds[0]], path, place)


def check_part(part: dict[str, Any], path: Path) -> None:
    """Raise `DataError` for a key that no recipe has, before its `base` is read."""
    known = [*(field.encode_name for field in msgspec.structs.fields(Recipe)), "base"]
    for key, value in part.items():
        if key not in known:
            raise DataError(f"{path}: {key}: {unknown(key, value, known, toml=True)}")
    if not isinstance(part.get("base", ""), str):
        raise DataError(f"{path}: base: must be the name or the path of a recipe")


def _which(source: dict[str, Any], kinds: list[str]) -> str:
    if kinds:
        return f"{' and '.join(kinds)} at once; make a [[source]] of each"
    near = next((told for told in (hint(key, SOURCES) for key in source) if told), "")
    return f"says none of {', '.join(SOURCES)}{near}"


def _typed(table: Any, shape: type[Struct], path: Path, place: str) -> None:
    try:
        msgspec.convert(table, shape)
    except msgspec.ValidationError:
        raise DataError(f"{path}: {explain(table, shape, place, toml=True)}") from None
