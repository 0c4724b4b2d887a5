"""Labelled pictures in memory, and training batches made of them.

A source is a folder in YOLO layout (`images/`, `labels/` with `class x y w h` in fractions, and one level up
a `sources.csv` that says where each picture is from). Pictures stay in memory as uint8. What always holds:

- batch number n of a seed is always the same batch, so that a resumed training goes on where it was;
- a class that a source does not label is never taught as "not there": its region carries it as unlabelled;
- a box may allow several classes (a "vehicle" is a car, bus or truck); one that allows none hides its region.

    one picture               mosaic of four, each cropped to its part
    +-----------+             +----+------+
    |           |             |    |      |
    |           |             +----+------+   the cross lies anywhere in the middle half
    |           |             |    |      |
    +-----------+             +----+------+
"""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.boxes import GREY, Float32, Uint8
from export.errors import DataError

Bool = NDArray[np.bool_]
RECIPES = Path(__file__).parent / "recipes"
SPECK = 5.0  # pixels: a smaller object is neither taught nor punished
LONGEST = 640  # pictures are kept at most this long: no training canvas shows more


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Hold one labelled picture: image (H,W,3) BGR, boxes (n,4) pixels, allowed (n,C), unlabelled (C,)."""

    image: Uint8
    boxes: Float32
    allowed: Bool
    unlabelled: Bool
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hold what one step needs: pictures (B,H,W,3) RGB uint8 and what is in each.

    `boxes[i]` (n,4), `allowed[i]` (n,C); `regions[i]` (r,4), `unlabelled[i]` (r,C): where a class is unknown.
    """

    pictures: Uint8
    boxes: list[Float32]
    allowed: list[Bool]
    regions: list[Float32]
    unlabelled: list[Bool]


def read_labels(path: Path, classes: int) -> tuple[NDArray[np.int64], Float32]:
    """Read a YOLO label file: class numbers (n,) and boxes (n,4) as centre and size in fractions."""
    rows: list[tuple[float, ...]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = tuple(float(word) for word in line.split())
        except ValueError:
            raise DataError(f"{path}:{number}: not five numbers: {line.strip()!r}") from None
        if len(row) != 5 or not all(math.isfinite(value) for value in row):
            raise DataError(f"{path}:{number}: a label is five numbers: class x y width height")
        if row[0] not in range(classes):
            raise DataError(f"{path}:{number}: class {row[0]:g} is not one of 0..{classes - 1}")
        if not all(-0.01 <= value <= 1.01 for value in row[1:]):
            raise DataError(f"{path}:{number}: coordinates are fractions of the picture, 0..1")
        rows.append(row)
    table = np.asarray(rows, np.float32).reshape(-1, 5)
    return table[:, 0].astype(np.int64), table[:, 1:]


def corners(centred: Float32, width: int, height: int) -> Float32:
    """Turn boxes (n,4) of centre and size in fractions into left, top, right, bottom in pixels."""
    scale = np.asarray((width, height, width, height), np.float32)
    half = centred[:, 2:] / 2
    return np.asarray(np.concatenate((centred[:, :2] - half, centred[:, :2] + half), 1) * scale, np.float32)


def read_picture(path: Path) -> Uint8:
    """Read one picture as (H,W,3) BGR, no longer than `LONGEST`."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: cannot be read as a picture; remove it or replace it")
    scale = LONGEST / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(image, np.uint8)


def _sources(folder: Path) -> dict[str, str]:
    """Read which picture comes from which source; without the file, all come from the folder's name."""
    path = folder / "sources.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {row["file"]: row["source"] for row in csv.DictReader(file)}


def one_hot(names: Sequence[str], chosen: Sequence[str]) -> Bool:
    """Return (C,) with the chosen names set; an unknown name is an error."""
    unknown = set(chosen) - set(names)
    if unknown:
        raise DataError(f"unknown class {sorted(unknown)[0]!r}: the recipe's names are {', '.join(names)}")
    return np.asarray([name in chosen for name in names], np.bool_)


def read_folder(
    root: Path,
    split: str,
    names: Sequence[str],
    classes: Sequence[Sequence[str]],
    unlabelled: dict[str, list[str]],
) -> list[Picture]:
    """Read one split of a folder; `classes[k]` are the product's names that file class k may mean."""
    images = root / split / "images"
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; give the folder of the data by --data")
    sources = _sources(root)
    meaning = np.stack([one_hot(names, chosen) for chosen in classes])  # (K,C)

    def read(path: Path) -> Picture:
        image = read_picture(path)
        label = root / split / "labels" / f"{path.stem}.txt"
        number, centred = read_labels(label, len(classes)) if label.exists() else _nothing()
        source = sources.get(path.name, root.name)
        hidden = one_hot(names, unlabelled.get(source, []))
        return Picture(
            image, corners(centred, image.shape[1], image.shape[0]), meaning[number], hidden, source
        )

    with ThreadPoolExecutor(2, "read") as pool:
        return list(pool.map(read, sorted(images.iterdir())))


def _nothing() -> tuple[NDArray[np.int64], Float32]:
    return np.zeros(0, np.int64), np.zeros((0, 4), np.float32)


def draw_scene(seed: int, frames: Sequence[int], names: Sequence[str]) -> list[Picture]:
    """Draw some pictures of one built-in street; what hardly shows or is tiny is hidden, not taught."""
    from agent.scene import CLASSES, Scene

    scene, meaning = Scene(seed), np.stack([one_hot(names, [name]) for name in CLASSES])
    method = (cv2.INTER_AREA, cv2.INTER_LINEAR)[seed % 2]  # as files and as the agent make it small
    pictures = []
    for number in frames:
        image, truth = scene.frame(number), scene.truth(number)
        scale = LONGEST / image.shape[1]
        small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)
        boxes = np.asarray(truth.xyxy * scale, np.float32)
        clear = (truth.visible >= 0.35) & ((boxes[:, 2:] - boxes[:, :2]).prod(1) >= 50)
        allowed = meaning[truth.class_id] & clear[:, None]
        pictures.append(Picture(small, boxes, allowed, np.zeros(len(names), np.bool_), "scene"))
    return pictures


def read_scene(seeds: Sequence[int], frames: Sequence[int], names: Sequence[str]) -> list[Picture]:
    """Draw pictures of many streets, one street a thread."""
    with ThreadPoolExecutor(2, "draw") as pool:
        drawn = pool.map(lambda seed: draw_scene(seed, frames, names), seeds)
        return [picture for pictures in drawn for picture in pictures]


def load_recipe(name: str) -> dict[str, Any]:
    """Read a recipe by its name (`traffic`, `mask`) or its path; `base` names one whose keys it inherits."""
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise DataError(f"no recipe {name!r}: give one of {known}, or the path of a .toml file")
    try:
        recipe = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: {error}") from None
    return load_recipe(recipe.pop("base")) | recipe if "base" in recipe else recipe


def read_machine_labels(
    frames: Path,
    table: Path,
    every: int,
    names: Sequence[str],
    meaning: dict[str, list[str]],
    least: float = 0.45,
) -> list[Picture]:
    """Read frames `NNN.webp` with a JSON list of another detector's findings (OpenDataCam's form).

    Such labels are weak: uncertain boxes are hidden, and what is not boxed is unlabelled, not background.
    """
    pictures = []
    for entry in json.loads(table.read_text())[::every]:
        image = read_picture(frames / f"{entry['frame_id']:03d}.webp")
        found = [o for o in entry["objects"] if o["name"] in meaning]
        keys = ("center_x", "center_y", "width", "height")
        rows = [[o["relative_coordinates"][key] for key in keys] for o in found]
        boxes = corners(np.asarray(rows, np.float32).reshape(-1, 4), image.shape[1], image.shape[0])
        allowed = np.asarray(
            [one_hot(names, meaning[o["name"]]) & (o["confidence"] >= least) for o in found], np.bool_
        ).reshape(-1, len(names))
        pictures.append(Picture(image, boxes, allowed, np.ones(len(names), np.bool_), frames.name))
    return pictures


def read_recipe(recipe: dict[str, Any], data: Path, split: str) -> list[Picture]:
    """Read every source of a recipe; a source's `repeat` shows its pictures that many times in training."""
    pictures: list[Picture] = []
    names = recipe["names"]
    for source in recipe["source"]:
        if "folder" in source:
            folder = data / source["folder"]
            read = read_folder(folder, split, names, source["classes"], source.get("unlabelled", {}))
        elif "frames" in source:
            if split != "train":
                continue
            frames, table = data / source["frames"], data / source["json"]
            read = read_machine_labels(frames, table, source["every"], names, source["meaning"])
        else:
            read = read_scene(range(*source["scene_seeds"][split]), source["scene_frames"], names)
        repeat = source.get("repeat", {}) if split == "train" else {}
        for picture in read:
            pictures.extend([picture] * int(repeat.get(picture.source, 1)))
    return pictures


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Say how a training picture is varied; `fit` (height, width) is what scale 1 fits a picture into.

    `size` is the side of a batch's pictures, or their (height, width).
    """

    size: int | tuple[int, int]
    fit: tuple[int, int]
    scale: tuple[float, float] = (0.3, 1.7)
    mosaic: float = 0.75
    hue: float = 0.02
    saturation: float = 0.6
    value: float = 0.4

    @property
    def canvas(self) -> tuple[int, int]:
        """Return height and width of a batch's pictures."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


def _place(
    picture: Picture,
    part: tuple[int, int, int, int],
    how: Augmentation,
    rng: np.random.Generator,
    canvas: Uint8,
) -> tuple[Float32, Bool]:
    """Draw a random cut of a picture into a part (x0,y0,x1,y1) of the canvas; return its boxes there."""
    x0, y0, x1, y1 = part
    height, width = picture.image.shape[:2]
    low, high = np.log(how.scale)
    scale = min(how.fit[0] / height, how.fit[1] / width) * float(np.exp(rng.uniform(low, high)))
    cut_w, cut_h = min(width, math.ceil((x1 - x0) / scale)), min(height, math.ceil((y1 - y0) / scale))
    left, top = int(rng.integers(0, width - cut_w + 1)), int(rng.integers(0, height - cut_h + 1))
    out_w, out_h = min(x1 - x0, max(1, round(cut_w * scale))), min(y1 - y0, max(1, round(cut_h * scale)))
    to_x = x0 + int(rng.integers(0, x1 - x0 - out_w + 1))
    to_y = y0 + int(rng.integers(0, y1 - y0 - out_h + 1))
    cut = picture.image[top : top + cut_h, left : left + cut_w]
    method = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    canvas[to_y : to_y + out_h, to_x : to_x + out_w] = cv2.resize(cut, (out_w, out_h), interpolation=method)
    boxes, allowed = picture.boxes, picture.allowed
    if rng.random() < 0.5:
        canvas[to_y : to_y + out_h, to_x : to_x + out_w] = canvas[to_y : to_y + out_h, to_x : to_x + out_w][
            :, ::-1
        ]
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (2 * left + cut_w, 0, 2 * left + cut_w, 0)
    shift = (to_x - left * scale, to_y - top * scale)
    moved = boxes * scale + np.asarray(shift + shift)
    clipped = np.clip(moved, (to_x, to_y, to_x, to_y), (to_x + out_w, to_y + out_h) * 2).astype(np.float32)
    return _visible(moved, clipped, allowed)


def _visible(moved: NDArray[Any], clipped: Float32, allowed: Bool) -> tuple[Float32, Bool]:
    """Keep boxes of at least 2 pixels; hide, not teach, what is cut to under 40 % or smaller than `SPECK`."""
    full = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
    size = clipped[:, 2:] - clipped[:, :2]
    shown = size[:, 0] * size[:, 1] / np.maximum(full, 1e-6)
    keep = (size.min(axis=1) >= 2) & (shown > 0.05) if len(size) else np.zeros(0, np.bool_)
    clear = (shown >= 0.4) & (size.prod(1) >= SPECK**2)
    return clipped[keep], allowed[keep] & clear[keep, None]


def _colour(canvas: Uint8, how: Augmentation, rng: np.random.Generator) -> Uint8:
    """Vary hue, saturation, light and sharpness; return RGB."""
    hue, saturation, value = 1 + rng.uniform(-1, 1, 3) * (how.hue, how.saturation, how.value)
    ramp = np.arange(256)
    table = np.stack(
        ((ramp * hue) % 180, np.clip(ramp * saturation, 0, 255), np.clip(ramp * value, 0, 255)), -1
    ).astype(np.uint8)[None]  # (1,256,3)
    hsv = cv2.LUT(cv2.cvtColor(canvas, cv2.COLOR_BGR2HSV), table)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    chance = rng.random()
    if chance < 0.1:
        rgb = cv2.GaussianBlur(rgb, (3, 3), 0)
    elif chance < 0.2:
        factor = float(rng.uniform(0.5, 0.9))
        small = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(small, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    elif chance < 0.25:
        rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(rgb, np.uint8)


def _parts(how: Augmentation, rng: np.random.Generator) -> list[tuple[int, int, int, int]]:
    height, width = how.canvas
    if rng.random() >= how.mosaic:
        return [(0, 0, width, height)]
    x, y = (int(rng.integers(side // 4, side - side // 4)) for side in (width, height))
    return [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]


def make_batch(pictures: Sequence[Picture], how: Augmentation, batch: int, seed: tuple[int, int]) -> Batch:
    """Make the batch that belongs to (seed, step)."""
    rng = np.random.default_rng(seed)
    result = Batch(np.empty((batch, *how.canvas, 3), np.uint8), [], [], [], [])
    for index in range(batch):
        canvas = np.full((*how.canvas, 3), GREY, np.uint8)
        parts = _parts(how, rng)
        chosen = [pictures[int(rng.integers(len(pictures)))] for _ in parts]
        placed = [_place(*pair, how, rng, canvas) for pair in zip(chosen, parts, strict=True)]
        boxes, allowed = (np.concatenate(column) for column in zip(*placed, strict=True))
        taught = allowed.any(axis=1)
        hidden = np.ones((int((~taught).sum()), allowed.shape[1]), np.bool_)
        result.pictures[index] = _colour(canvas, how, rng)
        result.boxes.append(boxes[taught].astype(np.float32))
        result.allowed.append(allowed[taught])
        result.regions.append(
            np.concatenate((np.asarray(parts, np.float32), boxes[~taught])).astype(np.float32)
        )
        result.unlabelled.append(np.concatenate((np.stack([p.unlabelled for p in chosen]), hidden)))
    return result


def batches(
    pictures: Sequence[Picture], how: Augmentation, batch: int, seed: int, first: int = 0
) -> Iterator[Batch]:
    """Yield batches for ever from number `first` on; two are made ahead in a thread."""
    with ThreadPoolExecutor(1, "augment") as pool:
        ahead = [pool.submit(make_batch, pictures, how, batch, (seed, first + i)) for i in range(2)]
        step = first + 2
        while True:
            done = ahead.pop(0).result()
            ahead.append(pool.submit(make_batch, pictures, how, batch, (seed, step)))
            step += 1
            yield done
