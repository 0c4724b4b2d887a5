"""Labels that no person drew: boxes that a finished model finds, with the class that somebody said."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.boxes import iou
from agent.see.infer import Detector
from export.data.drawn import read_scene
from export.data.pseudo_labels import CELL, SIDE, open_labeller, read_crops, tighten
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import Picture
from export.errors import DataError

NAMES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]


@pytest.fixture(scope="module")
def labeller() -> Detector:
    """Open the packaged traffic model."""
    return open_labeller("traffic")


@pytest.fixture(scope="module")
def street() -> list[Picture]:
    """Draw streets and keep the vehicles that can be told well: 20 pixels and more, apart from each other."""
    pictures = []
    for picture in read_scene(range(70, 80), [40, 230, 610], NAMES):
        sides = (picture.boxes[:, 2:] - picture.boxes[:, :2]).min(1)
        alone = (iou(picture.boxes, picture.boxes) > 0.01).sum(1) == 1
        keep = picture.allowed[:, 2] & (sides >= 20) & alone
        pictures.append(replace(picture, boxes=picture.boxes[keep], allowed=picture.allowed[keep]))
    return pictures


def test_a_loose_box_becomes_a_tight_one(labeller: Detector, street: list[Picture]) -> None:
    """A box a quarter too large on each side comes nearer to the truth; the class stays as it was said."""
    before = []
    after = []
    hidden = 0
    for picture in street:
        quarter = np.tile((picture.boxes[:, 2:] - picture.boxes[:, :2]) / 4, 2) * (-1, -1, 1, 1)
        called_bus = np.zeros_like(picture.allowed)
        called_bus[:, 4] = True
        loose = replace(picture, boxes=(picture.boxes + quarter).astype(np.float32), allowed=called_bus)
        tight = tighten(loose, labeller)
        sure = tight.allowed.any(1)
        assert tight.allowed[sure, 4].all()
        assert (tight.allowed[sure].sum(1) == 1).all()
        assert np.array_equal(tight.boxes[~sure], loose.boxes[~sure])
        before += iou(picture.boxes, loose.boxes).diagonal()[sure].tolist()
        after += iou(picture.boxes, tight.boxes).diagonal()[sure].tolist()
        hidden += int((~sure).sum())
    assert len(after) >= 10
    assert hidden <= len(after)
    assert np.mean(after) > np.mean(before) + 0.15


def test_what_the_model_does_not_find_is_hidden(labeller: Detector) -> None:
    """A label on an empty wall is neither taught as an object nor as background."""
    wall = np.full((200, 300, 3), 120, np.uint8)
    box = np.asarray([[100, 50, 200, 150]], np.float32)
    picture = Picture(wall, box, np.eye(6, dtype=bool)[[2]], np.zeros(6, np.bool_), "wall")
    tight = tighten(picture, labeller)
    assert not tight.allowed.any()
    assert np.array_equal(tight.boxes, box)


def write_crops(folder: Path, street: list[Picture]) -> int:
    """Write one file for every vehicle with some of what is round it, and the list; return how many."""
    rows = ["file,class,source,licence"]
    for picture in street:
        for left, top, right, bottom in picture.boxes.round().astype(int):
            pad = (right - left) // 4
            crop = picture.image[max(top - pad, 0) : bottom + pad, max(left - pad, 0) : right + pad]
            name = f"{len(rows)}.png"
            cv2.imwrite(str(folder / name), crop)
            rows.append(f"{name},saloon,street,CC0 1.0")
    (folder / "sources.csv").write_text("\n".join(rows))
    return len(rows) - 1


def test_crops_become_sheets(tmp_path: Path, street: list[Picture]) -> None:
    """Every crop has its cell and the class of the list; a found box is smaller than the cell, and inside."""
    count = write_crops(tmp_path, street)
    recipe = {
        "names": NAMES,
        "labeller": "traffic",
        "leave_out": ["1.png"],
        "source": [{"crops": ".", "meaning": {"saloon": ["car"]}}],
    }
    sheets = read_recipe(recipe, tmp_path, "train")
    assert sum(len(sheet.boxes) for sheet in sheets) == count - 1
    assert read_recipe(recipe, tmp_path, "val") == []
    with pytest.raises(DataError, match=r"sources\.csv: lists no crops to learn from"):
        read_recipe(recipe | {"licences": ["CC BY 4.0"]}, tmp_path, "train")
    sure = 0
    for sheet in sheets:
        assert sheet.image.shape == (SIDE * CELL, SIDE * CELL, 3)
        assert sheet.source == tmp_path.resolve().name
        for number, (box, allowed) in enumerate(zip(sheet.boxes, sheet.allowed, strict=True)):
            x = number % SIDE * CELL
            y = number // SIDE * CELL
            assert (box >= (x, y, x, y)).all()
            assert (box <= (x + CELL, y + CELL, x + CELL, y + CELL)).all()
            assert not allowed[[0, 1, 3, 4, 5]].any()
            sure += int(allowed[2])
    assert sure >= (count - 1) / 3


def test_a_wrong_list_of_crops_is_named(tmp_path: Path, labeller: Detector) -> None:
    """A class that the recipe does not explain is named."""
    rows = [{"file": "a.png", "class": "tram"}]
    with pytest.raises(DataError, match="class 'tram': the recipe's `meaning`"):
        read_crops(tmp_path, rows, NAMES, {"saloon": ["car"]}, labeller)


def test_boxes_that_nobody_drew_need_a_model(tmp_path: Path) -> None:
    """A recipe with such a source says which model finds the boxes."""
    (tmp_path / "sources.csv").write_text("file,class,source,licence\na.png,tram,s,CC0 1.0\n")
    recipe = {"names": NAMES, "source": [{"crops": ".", "meaning": {}}]}
    with pytest.raises(DataError, match="labeller: the recipe does not say"):
        read_recipe(recipe, tmp_path, "train")


def test_nothing_of_the_validation_pictures_is_changed(data: Path) -> None:
    """The mask recipe tightens what it learns from; what it is judged by stays as people drew it."""
    recipe = load_recipe("mask")
    plain = [{k: v for k, v in source.items() if k != "tighten"} for source in recipe["source"]]
    judged = read_recipe(recipe, data, "val", 640)
    before = read_recipe(recipe | {"source": plain}, data, "val", 640)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(judged, before, strict=True))
    assert {picture.source for picture in judged} == {"aizoo", "andrewmvd", "ditface"}
    assert sum(int(picture.allowed.sum()) for picture in judged) == sum(len(p.boxes) for p in judged)
