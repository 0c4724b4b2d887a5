"""What a data set says of itself: its splits, its landmarks, the sizes of its pictures, files told twice."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.data.user_dataset import own_recipe, read_labelled, read_own, read_record, with_split
from export.errors import DataError
from tests.unit.test_export_own import HEIGHT, WIDTH, draw

BOX = "0 0.5 0.5 0.2 0.4"  # centre, size: corners 0.4, 0.3, 0.6, 0.7
FACE = f"{BOX} 0.45 0.4 0.55 0.4 0.5 0.5 0.46 0.6 0.54 0.6"  # eyes, nose, corners of the mouth
CORNERS = (0.4, 0.3, 0.6, 0.7)


def yolo(root: Path, yaml: str, **labels: str) -> Path:
    """Write a folder of one picture a label, and its data.yaml; names may have folders."""
    for seed, (name, text) in enumerate(labels.items()):
        place = name.replace("__", "/")
        draw(root / "images" / f"{place}.png", seed)
        label = root / "labels" / f"{place}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(text + "\n")
    (root / "data.yaml").write_text(yaml)
    return root


def boxes(root: Path) -> list[tuple[float, ...]]:
    return [mark.box for record in read_labelled(root).records for mark in record.marks]


# ── names ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: ['a: b', c]", ("a: b", "c")),
        ('names: {0: "http://x", 1: c}', ("http://x", "c")),
        ("names: [a:b, c]", ("a:b", "c")),
        ("names: [yes, no]", ("yes", "no")),
        ("names: [007, 1.0]", ("007", "1.0")),
        ("names: [\n  cat,  # the first\n  'do#g'\n]", ("cat", "do#g")),
        ("names:\n  1: dog\n  0: cat", ("cat", "dog")),
        ("nc: 2\nnames: &n [cat, dog]\nother: *n", ("cat", "dog")),
    ],
)
def test_names_are_what_yaml_means(tmp_path: Path, text: str, names: tuple[str, ...]) -> None:
    """Colons, quotes, comments and words that other readers take for numbers or truth stay names."""
    assert read_labelled(yolo(tmp_path, text, a=BOX)).names == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("names: [cat, cat]", "names: 'cat' is the name of two classes"),
        ("nc: 3\nnames: [cat, dog]", "nc: 3, but there are 2 names"),
        ("names: {0: cat, 2: dog}", "not one name for each class number from 0 on"),
        ("names: [cat, [dog]]", "a name is empty or no text"),
        ("nc: 2", "no names; write it as"),
        ("names: [cat, dog\nnc: 2", r"data\.yaml:2: not YAML"),
        ("names: [cat]\nkpt_shape: [5]", r"kpt_shape: must be \[how many, 2 or 3\]"),
        ("names: [cat]\nkpt_shape: [5, 4]", r"kpt_shape: must be \[how many, 2 or 3\]"),
        ("names: [cat]\nlabels: masks", "labels: 'masks': write polygons"),
        ("names: [cat]\ntrain: images\nval: nowhere", "val: nowhere: no such folder or list"),
        ("names: [cat]\ntrain: images\nval: {a: b}", "val: must be a folder, a list of folders, or a .txt"),
        ("names: [cat]\ntrain: images\nval: labels", "val: labels: holds no picture"),
        ("names: [cat]\ntrain: images\nval: data.yaml", "val: data.yaml: neither a folder nor a .txt"),
    ],
)
def test_a_wrong_data_yaml_is_told(tmp_path: Path, text: str, reason: str) -> None:
    """What contradicts itself, or names what is not there, is refused with its file and key."""
    with pytest.raises(DataError, match=reason) as caught:
        read_labelled(yolo(tmp_path, text, a=BOX))
    assert str(tmp_path / "data.yaml") in str(caught.value)


# ── landmarks and polygons ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shape", "points"),
    [
        ("[5, 2]", "0.45 0.4 0.55 0.4 0.5 0.5 0.46 0.6 0.54 0.6"),
        ("[4, 2]", "0.45 0.4 0.55 0.4 0.46 0.6 0.54 0.6"),
        ("[4, 3]", "0.45 0.4 2 0.55 0.4 1 0.46 0.6 2 0 0 0"),
        ("[6, 2]", "0.45 0.4 0.55 0.4 0.46 0.6 0.54 0.6 0.1 0.1 0.9 0.9"),
        ("[5, 2]", "-1 -1 -1 -1 -1 -1 -1 -1 -1 -1"),
        ("[1, 3]", "0.5 0.5 2"),
        ("[17, 3]", " ".join(["0.5 0.5 2"] * 17)),
    ],
)
def test_kpt_shape_tells_landmarks(tmp_path: Path, shape: str, points: str) -> None:
    """With kpt_shape the first four numbers are the box, whatever stands behind; or there is only a box."""
    yaml = f"names: [cat]\nkpt_shape: {shape}"
    found = boxes(yolo(tmp_path, yaml, a=f"{BOX} {points}\n{BOX}"))
    np.testing.assert_allclose(found, [CORNERS, CORNERS], atol=1e-9)


def test_a_line_that_contradicts_kpt_shape_is_refused(tmp_path: Path) -> None:
    """A polygon among landmarks is told with its line."""
    root = yolo(tmp_path, "names: [cat]\nkpt_shape: [5, 2]", a=f"{FACE}\n0 .1 .1 .2 .1 .2 .2")
    with pytest.raises(DataError, match=r"a\.txt:2: a label is class x y width height, or 15 numbers, not 7"):
        read_labelled(root)


@pytest.mark.parametrize("count", [4, 5, 6])
def test_landmarks_that_may_be_polygons_are_asked_for(tmp_path: Path, count: int) -> None:
    """Lines of 13, 15 and 17 numbers without kpt_shape: nothing is guessed, and what to write is told."""
    points = " ".join(f"{0.42 + 0.02 * n:.2f} {0.4 + 0.03 * n:.2f}" for n in range(count))
    root = yolo(tmp_path, "names: [cat]", a=f"{BOX} {points}", b=f"{BOX} {points}")
    with pytest.raises(
        DataError, match=rf"a\.txt:1: {5 + 2 * count} numbers may be a box with landmarks or a poly"
    ) as e:
        read_labelled(root)
    assert f"kpt_shape: [{count}, 2]" in str(e.value)
    assert "labels: polygons into" in str(e.value)
    (root / "data.yaml").write_text("names: [cat]\nlabels: polygons")
    assert boxes(root)[0] != pytest.approx(CORNERS)
    (root / "data.yaml").write_text(f"names: [cat]\nkpt_shape: [{count}, 2]")
    np.testing.assert_allclose(boxes(root)[0], CORNERS, atol=1e-9)


def test_landmarks_that_are_no_polygon_are_read(tmp_path: Path) -> None:
    """A landmark of -1, or a visibility of 2, is no corner: the structure tells, without kpt_shape."""
    unseen = f"{BOX} 0.45 0.4 -1 -1 0.5 0.5 0.46 0.6 0.54 0.6"
    np.testing.assert_allclose(
        boxes(yolo(tmp_path / "a", "names: [cat]", a=f"{FACE}\n{unseen}")), [CORNERS] * 2
    )
    marked = f"{BOX} 0.45 0.4 2 0.55 0.4 2 0.5 0.5 1"
    np.testing.assert_allclose(boxes(yolo(tmp_path / "b", "names: [cat]", a=marked)), [CORNERS])


def test_polygons_are_read(tmp_path: Path) -> None:
    """Lines of many lengths, or whose first four numbers are no box round the rest, are polygons."""
    many = "0 .1 .2 .3 .2 .3 .6\n0 .1 .2 .3 .2 .3 .6 .2 .7\n0 .5 .5 .2 .4"
    found = boxes(yolo(tmp_path / "a", "names: [cat]", a=many))
    np.testing.assert_allclose(found, [(0.1, 0.2, 0.3, 0.6), (0.1, 0.2, 0.3, 0.7), CORNERS], atol=1e-9)
    turned = "0 .1 .2 .3 .2 .3 .6 .1 .6"
    np.testing.assert_allclose(boxes(yolo(tmp_path / "b", "names: [cat]", a=turned)), [(0.1, 0.2, 0.3, 0.6)])


# ── train, val, test ──────────────────────────────────────────────────────────────────────────────


def split_names(root: Path) -> dict[str, list[str]]:
    return {split: sorted(p.name for p in read_own(root, split, ["cat"])) for split in ("train", "val")}


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/one\nval: images/two",
        "path: .\ntrain: [images/one]\nval: [images/two]",
        "path: images\ntrain: one\nval: two",
        "path: /somewhere/else\ntrain: images/one\nval: images/two\ntest: images/gone",
        "train: ../images/one\nval: ../images/two",
        "train: one.txt\nval: two.txt",
        "train: one.txt\nval: [images/two, two.txt]",
        "train: images/one\ntest: images/two",
        "train: images/one\nval: images/two\ntest: images/three",
    ],
)
def test_data_yaml_says_what_is_judged_by(tmp_path: Path, yaml: str) -> None:
    """Folders, lists of folders, lists of pictures, relative to `path` or moved: val is judged by."""
    root = yolo(tmp_path, f"names: [cat]\n{yaml}", one__a=BOX, one__b=BOX, two__c=BOX, three__d=BOX)
    (root / "one.txt").write_text("./images/one/a.png\n/gone/away/images/one/b.png\n")
    (root / "two.txt").write_text("images/two/c.png\n\n")
    assert split_names(root) == {"train": ["a.png", "b.png"], "val": ["c.png"]}


def test_folder_names_do_not_outvote_data_yaml(tmp_path: Path) -> None:
    """A folder called train that data.yaml names as val is judged by."""
    root = yolo(tmp_path, "names: [cat]\ntrain: images/val\nval: images/train", val__a=BOX, train__b=BOX)
    assert split_names(root) == {"train": ["a.png"], "val": ["b.png"]}


def test_no_picture_is_learned_and_judged(tmp_path: Path) -> None:
    """What both keys name is only judged by; where both name the same, some are kept apart; both are said."""
    root = yolo(tmp_path, "names: [cat]\ntrain: images\nval: images/two", one__a=BOX, one__b=BOX, two__c=BOX)
    assert split_names(root) == {"train": ["a.png", "b.png"], "val": ["c.png"]}
    assert "1 pictures are in train and in val" in read_labelled(root).notes[0]
    (root / "data.yaml").write_text("names: [cat]\ntrain: images\nval: images")
    found = split_names(root)
    assert len(found["train"]) + len(found["val"]) == 3
    assert not set(found["train"]) & set(found["val"])
    assert "what is kept to judge by is chosen here" in read_labelled(root).notes[0]


def test_what_data_yaml_leaves_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pictures in no list are left out, and their number is told at the start of a training."""
    root = yolo(
        tmp_path, "names: [cat]\ntrain: images/one\nval: images/two", one__a=BOX, two__b=BOX, three__c=BOX
    )
    own_recipe(root)
    assert "note: 1 pictures are in neither train nor val of data.yaml: left out" in capsys.readouterr().err


def test_a_list_names_what_is_not_there(tmp_path: Path) -> None:
    """The list's line is told."""
    root = yolo(tmp_path, "names: [cat]\ntrain: one.txt\nval: images/two", one__a=BOX, two__b=BOX)
    (root / "one.txt").write_text("images/one/a.png\nimages/one/z.png\n")
    with pytest.raises(DataError, match=r"one\.txt:2: images/one/z\.png: no such picture"):
        read_labelled(root)


# ── COCO's own folder ─────────────────────────────────────────────────────────────────────────────


def coco(path: Path, *pictures: str, size: tuple[int, int] | None = (WIDTH, HEIGHT), **extra: object) -> None:
    """Write one file of one box a picture."""
    told = {"width": size[0], "height": size[1]} if size else {}
    images = [{"id": n, "file_name": name, **told} for n, name in enumerate(pictures)]
    marks = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [10, 10, 20, 20], **extra}
        for n in range(len(pictures))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "person"}]}
    path.write_text(json.dumps(document))


def test_cocos_own_annotations_are_not_taken_twice(tmp_path: Path) -> None:
    """Of instances, person_keypoints and captions of the same pictures the instances are read."""
    for split, seed in (("train2017", 1), ("val2017", 2)):
        draw(tmp_path / split / f"{split}.png", seed)
        here = tmp_path / "annotations"
        coco(here / f"instances_{split}.json", f"{split}.png")
        coco(here / f"person_keypoints_{split}.json", f"{split}.png", keypoints=[1, 2, 2])
        captions = {"images": [{"id": 0, "file_name": f"{split}.png"}], "annotations": [{"caption": "a cat"}]}
        (here / f"captions_{split}.json").write_text(json.dumps(captions))
    labelled = read_labelled(tmp_path)
    assert [(r.picture.stem, r.split, len(r.marks)) for r in labelled.records] == [
        ("train2017", "train", 1),
        ("val2017", "val", 1),
    ]
    assert ["person_keypoints" in note for note in labelled.notes] == [True, True]


def test_the_same_name_in_two_folders_is_told_by_the_files_name(tmp_path: Path) -> None:
    """Tools that number pictures anew in each split: instances_val.json means those under val/."""
    for split, seed in (("train", 1), ("val", 2)):
        draw(tmp_path / "images" / split / "0001.png", seed)
        coco(tmp_path / "annotations" / f"instances_{split}.json", "0001.png")
    found = {record.split: record.picture for record in read_labelled(tmp_path).records}
    assert found == {split: tmp_path / "images" / split / "0001.png" for split in ("train", "val")}


def test_landmarks_alone_are_read(tmp_path: Path) -> None:
    """A person_keypoints file without an instances file holds boxes too."""
    draw(tmp_path / "a.png", 1)
    coco(tmp_path / "person_keypoints.json", "a.png", keypoints=[1, 2, 2])
    assert len(read_labelled(tmp_path).records[0].marks) == 1


def test_two_files_of_one_kind_are_refused(tmp_path: Path) -> None:
    """The same picture in two instances files would have its boxes twice."""
    draw(tmp_path / "a.png", 1)
    coco(tmp_path / "one.json", "a.png")
    coco(tmp_path / "two.json", "a.png")
    with pytest.raises(DataError, match=r"two\.json: a\.png is told of in one\.json too.*keep one"):
        read_labelled(tmp_path)


def test_panoptic_segments_are_refused(tmp_path: Path) -> None:
    """They hold no boxes; the reason says which file to give."""
    draw(tmp_path / "a.png", 1)
    document = {
        "images": [{"id": 0, "file_name": "a.png"}],
        "categories": [],
        "annotations": [{"segments_info": []}],
    }
    (tmp_path / "panoptic_val2017.json").write_text(json.dumps(document))
    with pytest.raises(
        DataError, match=r"panoptic_val2017\.json: panoptic segments have no boxes; give the inst"
    ):
        read_labelled(tmp_path)


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────


def labelled_as(root: Path, form: str, size: tuple[int, int] | None) -> Path:
    """Write a box of 10..30, 10..30 for `a.png`, told to be of this size."""
    if form == "coco":
        coco(root / "a.json", "a.png", size=size)
        return root
    width, height = size or (0, 0)
    if form == "voc":
        box = "<xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>30</ymax>"
        (root / "a.xml").write_text(
            f"<annotation><filename>a.png</filename>\n<size><width>{width}</width><height>{height}</height></size>"
            f"<object><name>person</name><bndbox>{box}</bndbox></object></annotation>"
        )
        return root
    shape = {"label": "person", "points": [[10, 10], [30, 30]], "shape_type": "rectangle"}
    told = {"imageWidth": width or None, "imageHeight": height or None}
    (root / "a.json").write_text(json.dumps({"shapes": [shape], "imagePath": "a.png", **told}))
    return root


@pytest.mark.parametrize("form", ["coco", "voc", "labelme"])
@pytest.mark.parametrize(
    ("told", "box"),
    [
        ((WIDTH, HEIGHT), (10, 10, 30, 30)),
        (None, (10, 10, 30, 30)),
        ((WIDTH * 2, HEIGHT * 2), (5, 5, 15, 15)),
        ((WIDTH // 2, HEIGHT // 2), (20, 20, 60, 48)),
        ((1000, 750), (0.64, 0.64, 1.92, 1.92)),
        ((1001, 750), (0.639, 0.64, 1.918, 1.92)),
    ],
)
def test_boxes_go_along_with_a_resized_picture(
    tmp_path: Path, form: str, told: tuple[int, int] | None, box: tuple[float, ...]
) -> None:
    """A picture of the same shape was resized since: its boxes are scaled, to a hundredth of a pixel."""
    draw(tmp_path / "a.png", 1)
    record = read_labelled(labelled_as(tmp_path, form, told)).records[0]
    np.testing.assert_allclose(read_record(record, ["person"], "s")[0].boxes[0], box, atol=0.01)


@pytest.mark.parametrize("form", ["coco", "voc", "labelme"])
@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ((HEIGHT, WIDTH), "48x64, but a.png is 64x48: turned"),
        ((HEIGHT * 4, WIDTH * 4), "192x256, but a.png is 64x48: turned"),
        ((WIDTH, WIDTH), "64x64, but a.png is 64x48: cut or stretched"),
        ((WIDTH, HEIGHT + 9), "64x57, but a.png is 64x48: cut or stretched"),
    ],
)
def test_other_sizes_are_refused(tmp_path: Path, form: str, told: tuple[int, int], reason: str) -> None:
    """Turned, cut or stretched pictures have their boxes elsewhere: refused with the place."""
    draw(tmp_path / "a.png", 1)
    record = read_labelled(labelled_as(tmp_path, form, told)).records[0]
    with pytest.raises(DataError, match=reason) as caught:
        read_record(record, ["person"], "s")
    place = {"coco": "a.json: images[0]", "voc": "a.xml:2: size", "labelme": "a.json: imageWidth"}[form]
    assert place in str(caught.value)


def exif(path: Path, orientation: int) -> None:
    """Put an EXIF orientation into a JPEG, as a phone does."""
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + struct.pack("<I", 0)
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:])


def test_a_picture_turned_by_exif_is_refused(tmp_path: Path) -> None:
    """A phone's upright picture is stored lying: labels of the stored pixels do not fit what is shown."""
    draw(tmp_path / "a.jpg", 1)
    exif(tmp_path / "a.jpg", 6)
    assert cv2.imread(str(tmp_path / "a.jpg")).shape[:2] == (WIDTH, HEIGHT)
    coco(tmp_path / "a.json", "a.jpg")
    record = read_labelled(tmp_path).records[0]
    with pytest.raises(DataError, match=r"images\[0\].*64x48, but a\.jpg is 48x64: turned, by EXIF"):
        read_record(record, ["person"], "s")


def test_resized_pictures_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many pictures were scaled is told."""
    for split, seed in (("train", 1), ("val", 2)):
        draw(tmp_path / split / f"{split}.png", seed)
        coco(tmp_path / f"{split}.json", f"{split}.png", size=(WIDTH * 2, HEIGHT * 2))
    assert {r.split for r in with_split(read_labelled(tmp_path)).records} == {"train", "val"}
    read_own(tmp_path, "train", ["person"])
    assert "1 pictures were resized since they were labelled" in capsys.readouterr().err
