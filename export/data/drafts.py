"""Proposed boxes written as the tools read them in which a person corrects them.

    labelme         one .json beside each picture                    Labelme
    coco            annotations.json for all pictures                CVAT (COCO 1.0), and most others
    yolo            data.yaml, and a .txt beside each picture        Label Studio's and CVAT's YOLO
    label-studio    tasks.json with predictions, label_config.xml    Label Studio

What always holds: what the tools export again (Labelme, COCO, YOLO, Pascal VOC) is what `gb-export train
--data` reads; a label that lies there already is never overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from export.data.propose import Draft, Drafted
from export.errors import DataError

SHOWN = 0.25  # score: a box that one teacher doubts more is not drafted


def _worth(drafts: Sequence[Draft]) -> list[Draft]:
    return [one for one in drafts if one.agreed or one.score >= SHOWN]


def _new(path: Path) -> Path:
    if path.exists():
        raise DataError(f"{path}: is there already; take it away to have it drafted anew")
    return path


def _write_json(path: Path, document: Any) -> None:
    _new(path).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_labelme(drafted: Iterable[Drafted], classes: Sequence[str], folder: Path) -> None:
    """Write one .json beside each picture."""
    for picture, (width, height), drafts in drafted:
        shapes: list[dict[str, Any]] = [
            {
                "label": one.label,
                "points": [list(one.box[:2]), list(one.box[2:])],
                "group_id": None,
                "description": f"{one.score:.2f}",
                "shape_type": "rectangle",
                "flags": {},
            }
            for one in _worth(drafts)
        ]
        document: dict[str, Any] = {"version": "5.5.0", "flags": {}, "shapes": shapes}
        document |= {"imagePath": picture.name, "imageData": None}
        document |= {"imageHeight": height, "imageWidth": width}
        _write_json(picture.with_suffix(".json"), document)


def write_coco(drafted: Iterable[Drafted], classes: Sequence[str], folder: Path) -> None:
    """Write annotations.json for all pictures."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for picture, (width, height), drafts in drafted:
        number = len(images) + 1
        name = picture.relative_to(folder).as_posix()
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for one in _worth(drafts):
            left, top, right, bottom = one.box
            box = [left, top, right - left, bottom - top]
            category = classes.index(one.label) + 1
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box}
            annotations.append(row | {"area": box[2] * box[3], "iscrowd": 0, "segmentation": []})
    categories = [{"id": n, "name": name, "supercategory": ""} for n, name in enumerate(classes, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    _write_json(folder / "annotations.json", document)


def write_yolo(drafted: Iterable[Drafted], classes: Sequence[str], folder: Path) -> None:
    """Write data.yaml, and a .txt beside each picture."""
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(classes))
    _new(folder / "data.yaml").write_text(f"path: .\ntrain: .\nval: .\nnames:\n{names}", encoding="utf-8")
    for picture, (width, height), drafts in drafted:
        lines = []
        for one in _worth(drafts):
            left, top, right, bottom = one.box
            place = (left + right) / 2 / width, (top + bottom) / 2 / height
            size = (right - left) / width, (bottom - top) / height
            lines.append(" ".join([str(classes.index(one.label)), *(f"{v:.6f}" for v in (*place, *size))]))
        text = "".join(f"{line}\n" for line in lines)
        _new(picture.with_suffix(".txt")).write_text(text, encoding="utf-8")


def _result(number: int, one: Draft, width: int, height: int) -> dict[str, Any]:
    """Return one box as Label Studio has it: percent of the picture."""
    left, top, right, bottom = one.box
    value = {"x": 100 * left / width, "y": 100 * top / height, "rotation": 0}
    value |= {"width": 100 * (right - left) / width, "height": 100 * (bottom - top) / height}
    return {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": one.score,
        "value": value | {"rectanglelabels": [one.label]},
    }


def write_label_studio(drafted: Iterable[Drafted], classes: Sequence[str], folder: Path) -> None:
    """Write tasks.json with predictions, and the labelling configuration that they belong to."""
    tasks = []
    for picture, (width, height), drafts in drafted:
        results = [_result(number, one, width, height) for number, one in enumerate(_worth(drafts))]
        name = picture.relative_to(folder).as_posix()
        data = {"image": f"/data/local-files/?d={folder.resolve().name}/{name}"}
        tasks.append({"data": data, "predictions": [{"model_version": "gb-export", "result": results}]})
    _write_json(folder / "tasks.json", tasks)
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in classes)
    _new(folder / "label_config.xml").write_text(
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <RectangleLabels name="label" toName="image">\n{labels}  </RectangleLabels>\n</View>\n',
        encoding="utf-8",
    )


WRITERS: dict[str, Callable[[Iterable[Drafted], Sequence[str], Path], None]] = {
    "labelme": write_labelme,
    "coco": write_coco,
    "yolo": write_yolo,
    "label-studio": write_label_studio,
}
