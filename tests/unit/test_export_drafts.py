"""Drafts for the tools in which a person corrects them, and what those tools export again."""

import json
import xml.etree.ElementTree as Tree
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.__main__ import main
from export.data.drafts import WRITERS
from export.data.propose import Draft, Drafted
from export.data.user_dataset import read_labelled
from export.errors import DataError

NAMES = ["person", "delivery van"]
BOXES = [("person", (10.0, 10.0, 30.0, 50.0)), ("delivery van", (50.0, 10.0, 70.0, 50.0))]
# What the converter of label-studio-sdk wrote of tasks.json after a person had accepted its boxes, in its own
# words, less spaces and dates: classes in its order, addresses of its server for names of pictures.
LABEL_STUDIO = {
    "COCO": {
        "result.json": """{"images": [
 {"width": 100, "height": 60, "id": 0, "file_name": "\\/data\\/local-files\\/?d=ls\\/a.jpg"},
 {"width": null, "height": null, "id": 1, "file_name": "\\/data\\/local-files\\/?d=ls\\/b.jpg"}],
 "categories": [{"id": 0, "name": "delivery van"}, {"id": 1, "name": "person"}],
 "annotations": [
 {"id": 0, "image_id": 0, "category_id": 1, "segmentation": [],
  "bbox": [10.0, 10.000000000000002, 20.0, 40.00000000000001], "ignore": 0, "iscrowd": 0, "area": 800.0},
 {"id": 1, "image_id": 0, "category_id": 0, "segmentation": [],
  "bbox": [50.0, 10.000000000000002, 20.0, 40.00000000000001], "ignore": 0, "iscrowd": 0, "area": 800.0}],
 "info": {"year": 2026, "version": "1.0", "description": "", "contributor": "Label Studio", "url": ""}}"""
    },
    "YOLO": {
        "classes.txt": "delivery van\nperson\n",
        "labels/a.txt": "1 0.2 0.5 0.2 0.6666666666666667\n0 0.6 0.5 0.2 0.6666666666666667\n",
        "labels/b.txt": "",
        "notes.json": """{"categories": [{"id": 0, "name": "delivery van"}, {"id": 1, "name": "person"}],
 "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"}}""",
    },
}

# What datumaro, by which CVAT reads and writes files, made of our COCO draft.
CVAT = {
    "COCO 1.0": {
        "annotations/instances_default.json": """{"licenses":[{"name":"","id":0,"url":""}],
 "info":{"contributor":"","date_created":"","description":"","url":"","version":"","year":""},
 "categories":[{"id":1,"name":"person","supercategory":""},{"id":2,"name":"delivery van","supercategory":""}],
 "images":[{"id":2,"width":100,"height":60,"file_name":"b.jpg","license":0,"flickr_url":"","coco_url":"",
 "date_captured":0},{"id":1,"width":100,"height":60,"file_name":"a.jpg","license":0,"flickr_url":"",
 "coco_url":"","date_captured":0}],"annotations":[{"id":1,"image_id":1,"category_id":1,"segmentation":[],
 "area":800.0,"bbox":[10.0,10.0,20.0,40.0],"iscrowd":0},{"id":2,"image_id":1,"category_id":2,
 "segmentation":[],"area":800.0,"bbox":[50.0,10.0,20.0,40.0],"iscrowd":0}]}"""
    },
    "YOLO 1.1": {
        "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n",
        "obj.names": "person\ndelivery van\n",
        "train.txt": "data/obj_train_data/b.jpg\ndata/obj_train_data/a.jpg\n",
        "obj_train_data/a.txt": "0 0.200000 0.500000 0.200000 0.666667\n1 0.600000 0.500000 0.2 0.666667\n",
        "obj_train_data/b.txt": "",
    },
}

# What Labelme 6.3.1 saved after it had opened our draft: keys that we do not write, and whole numbers.
LABELME = """{"version": "6.3.1", "flags": {}, "shapes": [
 {"label": "person", "points": [[10, 10], [30, 50]], "shape_type": "rectangle", "flags": {},
  "description": "0.80", "group_id": null, "mask": null, "other_data": {}},
 {"label": "delivery van", "points": [[50, 10], [70, 50]], "shape_type": "rectangle", "flags": {},
  "description": "0.90", "group_id": null, "mask": null, "other_data": {}}],
 "imagePath": "a.jpg", "imageData": null, "imageHeight": 60, "imageWidth": 100}"""


def pictures(folder: Path) -> None:
    """Write two pictures of 100x60."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full((60, 100, 3), 90, np.uint8))


def drafted(folder: Path) -> list[Drafted]:
    """Return drafts for both: two boxes and one that is doubted, and none."""
    drafts = [Draft(label, box, 0.9, True) for label, box in BOXES]
    drafts.append(Draft("person", (0.0, 0.0, 9.0, 9.0), 0.12, False))
    return [Drafted(folder / "a.jpg", (100, 60), drafts), Drafted(folder / "b.jpg", (100, 60), [])]


def read(folder: Path) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """Return what a folder says, in pixels, by the picture's name."""
    result = {}
    for record in read_labelled(folder).records:
        scale = (100, 60, 100, 60) if record.fractions else (1, 1, 1, 1)
        result[record.picture.name] = [
            (mark.label, tuple(round(v * s, 2) for v, s in zip(mark.box, scale, strict=True)))
            for mark in record.marks
        ]
    return result


@pytest.mark.parametrize("tool", ["labelme", "coco", "yolo"])
def test_a_draft_reads_back_as_it_was_written(tmp_path: Path, tool: str) -> None:
    """What a person leaves as it is trains as it was drafted; what one teacher doubts is not drafted."""
    pictures(tmp_path)
    WRITERS[tool](drafted(tmp_path), NAMES, tmp_path)
    assert read(tmp_path) == {"a.jpg": BOXES, "b.jpg": []}
    assert set(read_labelled(tmp_path).names) == set(NAMES)
    with pytest.raises(DataError, match="is there already"):
        WRITERS[tool](drafted(tmp_path), NAMES, tmp_path)


def test_label_studio_gets_tasks_and_their_configuration(tmp_path: Path) -> None:
    """Boxes are percent of the picture, and every name that they use is one of the configuration's."""
    pictures(tmp_path)
    WRITERS["label-studio"](drafted(tmp_path), NAMES, tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert [len(task["predictions"][0]["result"]) for task in tasks] == [2, 0]
    assert tasks[0]["data"]["image"] == f"/data/local-files/?d={tmp_path.name}/a.jpg"
    first = tasks[0]["predictions"][0]["result"][0]
    value = first["value"]
    assert [round(value[key], 3) for key in ("x", "y", "width", "height")] == [10, 16.667, 20, 66.667]
    view = Tree.parse(tmp_path / "label_config.xml").getroot()
    labels = view.find("RectangleLabels")
    assert labels is not None
    assert labels.attrib == {"name": first["from_name"], "toName": first["to_name"]}
    assert [label.get("value") for label in labels] == NAMES


@pytest.mark.parametrize("form", LABEL_STUDIO)
def test_what_label_studio_exports_is_read(tmp_path: Path, form: str) -> None:
    """Its COCO names pictures by an address of its server, its YOLO sorts the classes; boxes are the same."""
    pictures(tmp_path / "images")
    for name, text in LABEL_STUDIO[form].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read(tmp_path) == {"a.jpg": BOXES, "b.jpg": []}


def test_the_draft_for_label_studio_may_stay_beside_what_it_exports(tmp_path: Path) -> None:
    """Tasks and configuration lie in the folder into which a person puts the export: they are no labels."""
    pictures(tmp_path)
    WRITERS["label-studio"](drafted(tmp_path), NAMES, tmp_path)
    (tmp_path / "result.json").write_text(LABEL_STUDIO["COCO"]["result.json"])
    assert read(tmp_path) == {"a.jpg": BOXES, "b.jpg": []}


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("tasks.json", '[{"data": {"image": "a.jpg"}}]', "Label Studio's own JSON is not read; export"),
        (
            "project-1-at-2026-11-29.json",
            '[{"id": 1, "image": "a.jpg", "annotator": 1, "label": []}]',
            "Label Studio's own JSON is not read; export the project as COCO or YOLO",
        ),
        (
            "annotations.xml",
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n</annotations>',
            "CVAT for images is not read; export the task as COCO 1.0 or YOLO 1.1, with images",
        ),
    ],
)
def test_a_tools_own_form_is_refused_with_the_one_to_export(
    tmp_path: Path, name: str, text: str, advice: str
) -> None:
    """What the tools export unasked is named, and what to choose in their menu instead."""
    pictures(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name}: {advice}"):
        read_labelled(tmp_path)


@pytest.mark.parametrize(("form", "place"), [("COCO 1.0", "images/default"), ("YOLO 1.1", "obj_train_data")])
def test_what_cvat_exports_is_read(tmp_path: Path, form: str, place: str) -> None:
    """Its COCO and its YOLO, with the pictures where it puts them, say what was drafted."""
    pictures(tmp_path / place)
    for name, text in CVAT[form].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read(tmp_path) == {"a.jpg": BOXES, "b.jpg": []}


def test_what_labelme_saves_is_read(tmp_path: Path) -> None:
    """A draft that a person has opened and saved says the same."""
    pictures(tmp_path)
    (tmp_path / "a.json").write_text(LABELME)
    assert read(tmp_path)["a.jpg"] == BOXES


def test_the_command_drafts_with_a_model_that_comes_along(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gb-export propose` finds the cars of a drawn street, and says so in one line what it cannot do."""
    from agent.street.scene import Scene

    cv2.imwrite(str(tmp_path / "street.png"), Scene(3).frame(600))
    words = ["propose", str(tmp_path), "--teachers", "traffic", "--classes", "car,person"]
    assert main([*words, "--to", "labelme"]) == 0
    assert "car" in {mark.label for record in read_labelled(tmp_path).records for mark in record.marks}
    assert main([*words, "--out", str(tmp_path / "pseudo.csv")]) == 0
    assert "a single model agrees with no other" in capsys.readouterr().out
    for wrong, reason in (
        ([], "either --out"),
        (["--to", "coco", "--classes", "tram"], "class 'tram': no teacher knows it; they know bicycle"),
        (["--to", "coco", "--teachers", "nobody.onnx"], "nobody.onnx: no such model file"),
        (["--to", "labelme"], "street.json: is there already"),
    ):
        assert main([*words, *wrong]) == 2
        assert reason in capsys.readouterr().err
