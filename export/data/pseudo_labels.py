"""Labels that no person drew: another detector's findings, and boxes that a finished model finds.

What always holds: the class is always somebody's word, never the model's; where the model is not sure of the
one box that is meant, the region is hidden, so that it is taught neither as an object nor as background.

    machine labels   frames and a JSON of boxes       (OpenDataCam's form)
    tighten          a box round the whole head  ->   the face that a model finds within it
    crops            pictures of one face with a class but no box  ->  sheets of 16, the boxes found
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from agent.boxes import GREY, Float32, area
from agent.see.infer import Detector
from export.data.sample import Bool, Picture, corners, one_hot, read_picture
from export.errors import DataError

MODELS = Path(__file__).parents[2] / "agent" / "models"
SURE = 0.25  # score: a box found with less is no box
WITHIN = 0.75  # share of a found box that lies in the looser one
CELL = 96  # pixels of a crop in a sheet, and how many stand side by side
SIDE = 4


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
        name = f"{entry['frame_id']:03d}.webp"
        image = read_picture(frames / name)
        found = [o for o in entry["objects"] if o["name"] in meaning]
        keys = ("center_x", "center_y", "width", "height")
        rows = [[o["relative_coordinates"][key] for key in keys] for o in found]
        boxes = corners(np.asarray(rows, np.float32).reshape(-1, 4), image.shape[1], image.shape[0])
        allowed = np.asarray(
            [one_hot(names, meaning[o["name"]]) & (o["confidence"] >= least) for o in found], np.bool_
        ).reshape(-1, len(names))
        pictures.append(Picture(image, boxes, allowed, np.ones(len(names), np.bool_), frames.name, name))
    return pictures


def packaged(name: str) -> Path:
    """Return the path of a model that comes along, by its name (`mask`), or else the path that `name` is."""
    path = MODELS / f"gb-yolo-n-{name}.onnx"
    return path if path.exists() else Path(name)


def open_labeller(name: str) -> Detector:
    """Open the model that finds boxes: a packaged one by its name, or the path of a file."""
    return Detector(packaged(name), threads=1)


def _within(boxes: Float32, outer: Float32) -> Float32:
    """Return (n,m): the share of each box (n,4) that lies in each outer one (m,4)."""
    low = np.maximum(boxes[:, None, :2], outer[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], outer[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    return np.asarray(shared / np.maximum(area(boxes), 1e-6)[:, None], np.float32)


def tighten(picture: Picture, labeller: Detector) -> Picture:
    """Return the picture with each box replaced by the surest one found in it; without one it is hidden.

    The class stays what the label says.
    """
    found = labeller.detect(picture.image)
    found = found[found.confidence >= SURE]
    inside = _within(found.xyxy, picture.boxes) >= WITHIN  # (n,m)
    large = area(found.xyxy)[:, None] >= 0.15 * area(picture.boxes)[None]
    score = np.where(inside & large, found.confidence[:, None], 0.0)  # (n,m)
    boxes = picture.boxes.copy()
    allowed = picture.allowed.copy()
    for column in range(len(boxes)):
        if score[:, column].max(initial=0.0) > 0:
            boxes[column] = found.xyxy[score[:, column].argmax()]
        else:
            allowed[column] = False
    return replace(picture, boxes=boxes, allowed=allowed)


def _sheet(paths: Sequence[Path], allowed: Bool, labeller: Detector, source: str) -> Picture:
    """Paste crops into one picture and find the face of each; one with no face or several is hidden."""
    sheet = np.full((SIDE * CELL, SIDE * CELL, 3), GREY, np.uint8)
    cells = np.zeros((len(paths), 4), np.float32)
    for number, path in enumerate(paths):
        crop = read_picture(path, CELL)
        height, width = crop.shape[:2]
        x = number % SIDE * CELL + (CELL - width) // 2
        y = number // SIDE * CELL + (CELL - height) // 2
        sheet[y : y + height, x : x + width] = crop
        cells[number] = (x, y, x + width, y + height)
    found = labeller.detect(sheet)
    found = found[found.confidence >= SURE]
    owner = _within(found.xyxy, cells) >= WITHIN  # (n,m)
    boxes = cells.copy()
    sure = owner.sum(0) == 1
    for column in np.flatnonzero(sure):
        box = found.xyxy[owner[:, column].argmax()]
        cell = cells[column]
        boxes[column] = np.clip(box, np.tile(cell[:2], 2), np.tile(cell[2:], 2))
    hidden = np.zeros(allowed.shape[1], np.bool_)
    return Picture(sheet, boxes, allowed & sure[:, None], hidden, source)


def read_crops(
    folder: Path,
    rows: Sequence[dict[str, str]],
    names: Sequence[str],
    meaning: dict[str, list[str]],
    labeller: Detector,
) -> list[Picture]:
    """Read crops of one object each as sheets of 16; `rows` list their `file` and `class`.

    `meaning[class]` are the product's names for it. Raises `DataError` for a class that has none.
    """
    unknown = {row["class"] for row in rows} - set(meaning)
    if unknown:
        raise DataError(
            f"{folder}: class {sorted(unknown)[0]!r}: the recipe's `meaning` does not say what it is"
        )
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = [rows[index] for index in order]
    size = SIDE * SIDE
    return [
        _sheet(
            [folder / row["file"] for row in part],
            np.stack([one_hot(names, meaning[row["class"]]) for row in part]),
            labeller,
            folder.name,
        )
        for part in (mixed[start : start + size] for start in range(0, len(mixed), size))
    ]
