"""A user's own pictures, labelled by other tools: read, split, and refused with a reason."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.data.sample import Picture
from export.data.split import assign, groups
from export.data.user_dataset import own_recipe, read_labelled, read_own, read_record, with_split
from export.errors import DataError

WIDTH = 64
HEIGHT = 48
NAMES = ["cat", "dog"]
Rows = list[tuple[str, tuple[int, int, int, int]]]


def draw(path: Path, seed: int, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write a picture of coarse patches, unlike that of any other seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST))


def as_yolo(root: Path, rows: Rows) -> None:
    """Write labels/ beside images/, and data.yaml."""
    lines = []
    for label, (x0, y0, x1, y1) in rows:
        box = ((x0 + x1) / 2 / WIDTH, (y0 + y1) / 2 / HEIGHT, (x1 - x0) / WIDTH, (y1 - y0) / HEIGHT)
        lines.append(" ".join(map(repr, (NAMES.index(label), *box))))
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text("path: .\nnc: 2\nnames:\n  0: cat\n  1: 'dog'\n")


def as_coco(root: Path, rows: Rows) -> None:
    """Write one file for all pictures."""
    marks = [
        {"id": i, "image_id": 7, "category_id": NAMES.index(label), "bbox": [x0, y0, x1 - x0, y1 - y0]}
        for i, (label, (x0, y0, x1, y1)) in enumerate(rows)
    ]
    names = [{"id": i, "name": name} for i, name in enumerate(NAMES)]
    document = {"images": [{"id": 7, "file_name": "a.png"}], "annotations": marks, "categories": names}
    (root / "annotations.json").write_text(json.dumps(document))


def as_voc(root: Path, rows: Rows) -> None:
    """Write one file a picture; pixels count from 1."""
    objects = "".join(
        f"<object>\n<name>{label}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for label, (x0, y0, x1, y1) in rows
    )
    (root / "a.xml").write_text(f"<annotation><filename>a.png</filename>{objects}</annotation>")


def as_labelme(root: Path, rows: Rows) -> None:
    """Write one file a picture, every second shape as a polygon, every third from its last corner."""
    shapes = []
    for i, (label, (x0, y0, x1, y1)) in enumerate(rows):
        corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]] if i % 2 else [[x1, y1], [x0, y0]]
        kind = "polygon" if i % 2 else "rectangle"
        shapes.append({"label": label, "points": corners, "shape_type": kind})
    (root / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "images\\a.png"}))


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "yolo": as_yolo,
    "coco": as_coco,
    "voc": as_voc,
    "labelme": as_labelme,
}

sides = st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(1, 20), st.integers(1, 18))
one_box = st.tuples(st.sampled_from(NAMES), sides.map(lambda s: (s[0], s[1], s[0] + s[2], s[1] + s[3])))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(one_box, min_size=1, max_size=6))
def test_the_same_boxes_read_the_same(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever tool wrote them, the boxes, their order and their classes are the same."""
    for form, write in WRITERS.items():
        root = tmp_path_factory.mktemp(form)
        draw(root / "images" / "a.png", 1)
        write(root, rows)
        labelled = read_labelled(root)
        assert labelled.form == form
        assert set(labelled.names) >= {label for label, _ in rows}
        pictures = read_all(root)
        assert [p.name for p in pictures] == ["a.png"]
        np.testing.assert_allclose(pictures[0].boxes, [box for _, box in rows], atol=1e-4)
        assert [NAMES[row.argmax()] for row in pictures[0].allowed] == [label for label, _ in rows]


def read_all(root: Path) -> list[Picture]:
    """Read a folder of one picture, whichever split it is in."""
    return [read_record(record, NAMES, "s")[0] for record in read_labelled(root).records]


def written(root: Path, form: str) -> Path:
    """Write one picture with one good box and return its label file."""
    draw(root / "images" / "a.png", 1)
    WRITERS[form](root, [("cat", (10, 10, 20, 20))])
    return next(p for p in root.rglob("*") if p.suffix in (".txt", ".xml", ".json"))


@pytest.mark.parametrize(
    ("form", "old", "new", "reason"),
    [
        ("yolo", "0 0.", "2 0.", r"a\.txt:1: class 2 has no name"),
        ("yolo", "0 0.", "0 x", r"a\.txt:1: not numbers"),
        ("yolo", "0 0.", "0 7.", r"a\.txt:1: coordinates are fractions"),
        ("yolo", "0 0.", "0 0.5 0.", r"a\.txt:1: a label is class x y width height"),
        ("coco", '"annotations": [', '"annotations": [[', r"annotations\.json:1: not JSON"),
        ("coco", '"image_id": 7', '"image_id": 8', r"annotations\[0\]\.image_id: 8 is not the id"),
        ("coco", '"category_id": 0', '"category_id": "0"', r"annotations\[0\]\.category_id: must be the id"),
        ("coco", "[10, 10, 10, 10]", "[10, 10, 10]", r"annotations\[0\]\.bbox: must be four numbers"),
        ("coco", "[10, 10, 10, 10]", "[10, 10, 10, 0]", r"annotations\[0\]\.bbox: an empty box"),
        ("coco", "a.png", "b.png", r"names 'b\.png': no such picture"),
        ("voc", "<xmin>11</xmin>", "<xmin>left</xmin>", r"a\.xml:2: bndbox\.xmin: must be a number"),
        ("voc", "<name>cat</name>", "<name/>", r"a\.xml:2: object\.name: the class has no name"),
        ("voc", "</annotation>", "", r"a\.xml:2: not XML"),
        ("voc", "<xmax>20</xmax>", "<xmax>5</xmax>", r"a\.xml:1: an empty box"),
        ("voc", "annotation>", "other>", r"a\.xml:1: not Pascal VOC"),
        ("labelme", '"rectangle"', '"point"', r"shapes\[0\]\.shape_type: 'point' has no box"),
        ("labelme", "[20, 20], ", "", r"shapes\[0\]\.points: a rectangle has at least 2"),
        ("labelme", "[20, 20]", '["x", 20]', r"shapes\[0\]\.points\[0\]: a point is two numbers"),
        ("labelme", '"label": "cat"', '"label": 3', r"shapes\[0\]\.label: must be the name"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, form: str, old: str, new: str, reason: str) -> None:
    """The reason names the file, and the line or field that is wrong."""
    path = written(tmp_path, form)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=reason):
        read_all(tmp_path)


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(sorted(WRITERS)),
    at=st.floats(0, 1),
    length=st.integers(0, 12),
    junk=st.sampled_from([b"", b"\xff\xfe", b"[]", b"null", b"NaN", b"1e999", b"{", b"<x>", b"names: ["])
    | st.binary(max_size=6),
    names=st.booleans(),
)
def test_nonsense_is_refused_with_a_reason(
    form: str, at: float, length: int, junk: bytes, names: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever bytes are in a label file, it is read or refused by name, and boxes lie in the picture."""
    root = tmp_path_factory.mktemp("junk")
    path = written(root, form)
    path = root / "data.yaml" if names and form == "yolo" else path
    content = path.read_bytes()
    cut = int(at * len(content))
    path.write_bytes(content[:cut] + junk + content[cut + length :])
    pictures = []
    reason = str(root)
    try:
        pictures = read_own_any(root)
    except DataError as refused:
        reason = str(refused)
    assert str(root) in reason
    for picture in pictures:
        assert (picture.boxes >= 0).all()
        assert (picture.boxes <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()


def read_own_any(root: Path) -> list[Picture]:
    """Read a folder with whatever classes it names."""
    labelled = read_labelled(root)
    return [read_record(record, labelled.names, "s")[0] for record in labelled.records]


def test_xml_cannot_reach_out(tmp_path: Path) -> None:
    """An entity that names another file, or grows, is refused before it is expanded."""
    path = written(tmp_path, "voc")
    bomb = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname"><!ENTITY y "&x;&x;">]>'
    path.write_text(bomb + path.read_text().replace("<name>cat", "<name>&y;"))
    with pytest.raises(DataError, match=r"a\.xml:1: a document type is not allowed"):
        read_all(tmp_path)


def test_what_cannot_be_told_is_asked(tmp_path: Path) -> None:
    """No labels, two forms at once and no boxes each end with what to do."""
    draw(tmp_path / "images" / "a.png", 1)
    with pytest.raises(DataError, match=r"no labels found; it needs data\.yaml"):
        read_labelled(tmp_path)
    as_yolo(tmp_path, [])
    with pytest.raises(DataError, match="1 pictures, but not one box"):
        read_labelled(tmp_path)
    as_voc(tmp_path, [("cat", (1, 1, 9, 9))])
    with pytest.raises(DataError, match="labels of voc and yolo at once; say which by --format"):
        read_labelled(tmp_path)
    assert read_labelled(tmp_path, "voc").names == ("cat",)
    with pytest.raises(DataError, match="no such folder"):
        read_labelled(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    ["names: [cat, dog]", "names: ['cat', \"dog\"] # two", "names:\n- cat\n- dog", "names: {1: dog, 0: cat}"],
)
def test_names_are_read_in_every_form(tmp_path: Path, text: str) -> None:
    """A list, a list in quotes, a block and a table give the same names."""
    written(tmp_path, "yolo")
    (tmp_path / "data.yaml").write_text(f"train: images\n{text}\nval: images\n")
    assert read_labelled(tmp_path).names == ("cat", "dog")


def test_crowds_and_difficult_ones_are_hidden(tmp_path: Path) -> None:
    """What the labels call a crowd or difficult is neither taught nor judged."""
    for form, old, new in (
        ("coco", '"bbox"', '"iscrowd": 1, "bbox"'),
        ("voc", "<bndbox>", "<difficult>1</difficult><bndbox>"),
    ):
        path = written(tmp_path / form, form)
        path.write_text(path.read_text().replace(old, new))
        assert not read_all(tmp_path / form)[0].allowed.any()


def test_a_large_picture_keeps_its_boxes_in_place(tmp_path: Path) -> None:
    """Boxes in pixels shrink with a picture that is made smaller."""
    path = written(tmp_path, "coco")
    draw(tmp_path / "images" / "a.png", 1, 1280, 960)
    path.write_text(path.read_text().replace("[10, 10, 10, 10]", "[100, 100, 200, 300]"))
    picture = read_all(tmp_path)[0]
    assert picture.image.shape == (480, 640, 3)
    assert picture.boxes.tolist() == [[50, 50, 150, 200]]


def many(root: Path, count: int) -> list[Path]:
    """Write pictures, each twice: as it is, and a little brighter."""
    paths = []
    for seed in range(count):
        for twin in (0, 6):
            path = root / "images" / f"{seed:02}-{twin}.png"
            draw(path, seed)
            cv2.imwrite(str(path), np.clip(cv2.imread(str(path)).astype(int) + twin, 0, 255).astype(np.uint8))
            paths.append(path)
    return paths


def test_twins_stay_on_one_side(tmp_path: Path) -> None:
    """Pictures that look alike are one group, and no group is cut in two; the split is always the same."""
    paths = many(tmp_path, 12)
    group = groups(paths)
    assert group[::2].tolist() == group[1::2].tolist()
    assert len(set(group.tolist())) == 12
    splits = assign(paths)
    assert splits[::2] == splits[1::2]
    assert 2 <= splits.count("val") <= 6
    assert splits == assign(paths)


def test_pictures_all_alike_cannot_be_split(tmp_path: Path) -> None:
    """Frames of one still camera cannot judge what was learned from the others; the reason says so."""
    for number in range(4):
        draw(tmp_path / f"{number}.png", 1)
    with pytest.raises(DataError, match="put some from another place or day into a folder val/"):
        assign(sorted(tmp_path.iterdir()))


@pytest.mark.parametrize("kept", ["val", "valid", "test"])
def test_the_folders_own_split_is_obeyed(tmp_path: Path, kept: str) -> None:
    """What lies under train/ is learned from, what lies under val/, valid/ or test/ is kept."""
    for split, seed in (("train", 1), (kept, 2)):
        draw(tmp_path / split / "images" / f"{split}.png", seed)
        (tmp_path / split / "labels").mkdir()
        (tmp_path / split / "labels" / f"{split}.txt").write_text("1 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    assert [r.split for r in with_split(read_labelled(tmp_path)).records] in (
        ["train", "val"],
        ["val", "train"],
    )
    assert [p.name for p in read_own(tmp_path, "train", NAMES)] == ["train.png"]
    assert [p.name for p in read_own(tmp_path, "val", NAMES)] == [f"{kept}.png"]
    recipe = own_recipe(tmp_path)
    assert recipe["names"] == NAMES
    assert recipe["name"].startswith("gb-yolo-n-")
