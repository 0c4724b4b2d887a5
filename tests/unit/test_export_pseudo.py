"""Boxes that other models propose, and how pictures of a source may be varied."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.boxes import Detections, Uint8
from export.data.augment import Augmentation, make_batch
from export.data.camera_faults import FAULTS, Fault, worsen
from export.data.proposals import read_proposals
from export.data.propose import Drafted, compare, propose, write_table
from export.data.provenance import held_back, unlabelled_names
from export.data.recipe import HELD, read_recipe
from export.data.sample import Picture, quarter_turned
from export.errors import DataError

NAMES = ["person", "bicycle", "car"]
SOURCES = """split,file,source,group,unlabelled_classes
train,a.png,alpha,g1,person (partly);car
val,a.png,alpha,g2,person (partly);car
"""
TABLE = """split,file,class,x,y,w,h,score,kind
train,a.png,0,0.5,0.5,0.25,0.5,0.80,agree
train,a.png,2,0.8,0.5,0.1,0.2,0.30,ignore
train,a.png,1,0.1,0.1,0.1,0.1,0.90,agree
"""
RECIPE = {
    "names": NAMES,
    "source": [
        {
            "folder": "set",
            "classes": [["person"], ["bicycle"], ["car"]],
            "unlabelled_by_file": True,
            "pseudo": "pseudo.csv",
            "believed": ["person"],
            "headings": ["alpha"],
            "scale_in": {"alpha": [0.1, 0.5]},
        }
    ],
}


def folder(root: Path, table: str = TABLE, drawn: str = "") -> Path:
    """Write a data folder of one picture of 80x40 and its proposals."""
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (root / "set" / split / part).mkdir(parents=True)
        cv2.imwrite(str(root / "set" / split / "images" / "a.png"), np.full((40, 80, 3), 90, np.uint8))
        (root / "set" / split / "labels" / "a.txt").write_text(drawn)
    (root / "set" / "sources.csv").write_text(SOURCES)
    (root / "set" / "pseudo.csv").write_text(table)
    return root


@pytest.mark.parametrize("split", ["train", "val"])
def test_proposals_stand_in_for_what_nobody_labelled(tmp_path: Path, split: str) -> None:
    """An agreed box is taught, a doubted one hidden, one of a class that people labelled is not believed.

    The class that is believed is no longer unlabelled; the other one stays so.
    """
    (picture,) = read_recipe(RECIPE, folder(tmp_path), split)
    assert picture.boxes.round(3).tolist() == [[30, 10, 50, 30], [60, 16, 68, 24]]
    assert picture.allowed.tolist() == [[True, False, False], [False, False, False]]
    assert picture.unlabelled.tolist() == [False, False, True]


def test_what_people_drew_stays(tmp_path: Path) -> None:
    """A proposal on a box of the same class adds nothing; one on a box of another class is not taught."""
    drawn = "0 0.5 0.5 0.25 0.5\n1 0.2 0.5 0.2 0.5\n"
    table = f"{TABLE}train,a.png,0,0.2,0.5,0.2,0.5,0.9,agree\n"
    (picture,) = read_recipe(RECIPE, folder(tmp_path, table, drawn), "train")
    assert picture.allowed.sum(1).tolist() == [1, 1, 0, 0]
    assert picture.kind is not None
    assert picture.kind.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (",kind\n", ",sort\n", r"no column 'kind'"),
        ("a.png,0,", "a.png,person,", r"pseudo\.csv:2: class, x, y, w, h and score are numbers"),
        ("a.png,0,", "a.png,7,", r"pseudo\.csv:2: class 7 is not one of 0\.\.2"),
        ("0.25,0.5,0.80", "25,0.5,0.80", r"pseudo\.csv:2: coordinates are fractions"),
        ("0.5,0.5,0.25", "nan,0.5,0.25", r"pseudo\.csv:2: coordinates are fractions"),
        ("0.30,ignore", "0.30,ignored", r"pseudo\.csv:3: kind 'ignored' is neither agree nor ignore"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """A column that is missing and a row that makes no sense are refused with their line."""
    assert old in TABLE
    path = tmp_path / "pseudo.csv"
    path.write_text(TABLE.replace(old, new, 1))
    with pytest.raises(DataError, match=reason):
        read_proposals(path, 3)


def test_proposals_of_this_machine_may_be_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the file the classes stay unlabelled, and a line says so; it never touches what is judged."""
    source = {**RECIPE["source"][0], "proposals": str(tmp_path / "mine.csv")}  # type: ignore[dict-item]
    del source["pseudo"]
    recipe = RECIPE | {"source": [source]}
    folder(tmp_path)
    (picture,) = read_recipe(recipe, tmp_path, "train")
    assert picture.unlabelled.tolist() == [True, False, True]
    assert "mine.csv: no such file" in capsys.readouterr().err
    (tmp_path / "mine.csv").write_text(TABLE)
    (learned,), (judged,) = (read_recipe(recipe, tmp_path, split) for split in ("train", "val"))
    assert learned.unlabelled.tolist() == [False, False, True]
    assert judged.unlabelled.tolist() == [True, False, True]
    assert len(judged.boxes) == 0


def test_words_of_sources_are_understood() -> None:
    """What stands in brackets is a remark, and a name that the recipe does not have is none."""
    row = {"unlabelled_classes": "person (partly); car;some vehicles"}
    assert unlabelled_names(row, NAMES) == ["person", "car"]
    assert unlabelled_names({}, NAMES) == []


def test_a_share_is_held_back_by_whole_groups(tmp_path: Path) -> None:
    """About the share is kept out of the training, the same at every call, never half a group."""
    rows = [{"file": f"{n}.png", "group": f"g{n // 3}"} for n in range(900)]
    held = held_back(rows, 0.1)
    assert 60 <= len(held) <= 120
    assert all(len({row["file"] in held for row in rows[n : n + 3]}) == 1 for n in range(0, 900, 3))
    assert held == held_back(rows, 0.1)
    assert held_back(rows, 0.0) == set()
    folder(tmp_path)
    assert len(read_recipe(RECIPE | {"held_back": 1.0}, tmp_path, HELD)) == 1
    assert read_recipe(RECIPE | {"held_back": 1.0}, tmp_path, "train") == []
    assert len(read_recipe(RECIPE | {"held_back": 1.0}, tmp_path, "val")) == 1


def test_a_quarter_turn_moves_boxes_with_their_pixels() -> None:
    """Wherever the bright patch goes, its box goes too; four quarters are none."""
    image = np.zeros((40, 80, 3), np.uint8)
    image[5:15, 50:70] = 255
    nothing = np.zeros(1, np.bool_)
    boxes = np.asarray([[50, 5, 70, 15]], np.float32)
    picture = Picture(image, boxes, np.ones((1, 1), np.bool_), nothing, "s")
    for turns in range(5):
        turned = quarter_turned(picture, turns)
        left, top, right, bottom = turned.boxes[0].astype(int)
        assert turned.image[top:bottom, left:right].min() == 255
        assert turned.image.sum() == image.sum()
        assert (right - left) * (bottom - top) == 200
    assert quarter_turned(picture, 4).boxes.tolist() == boxes.tolist()


def test_a_source_says_how_its_pictures_vary(tmp_path: Path) -> None:
    """To learn from, a source may be made small and turned; to judge by, it stays as it is."""
    folder(tmp_path)
    (learned,), (judged,) = (read_recipe(RECIPE, tmp_path, split) for split in ("train", "val"))
    assert learned.scale == (0.1, 0.5)
    assert learned.headings
    assert judged.scale is None
    assert not judged.headings
    how = Augmentation((40, 80), (40, 80), (1.0, 1.0), 0.0)
    batch = make_batch([learned], how, 16, (3, 0))
    sides = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).max(1) for boxes in batch.boxes])
    assert len(sides) > 0
    assert sides.max() <= 0.5 * 20 + 1


def test_nine_parts_fill_the_canvas_with_smaller_pictures() -> None:
    """A mosaic of nine leaves no part out, and its boxes are half as large."""
    image = np.full((96, 96, 3), 200, np.uint8)
    boxes = np.asarray([[40, 40, 56, 56]], np.float32)
    picture = Picture(image, boxes, np.ones((1, 1), np.bool_), np.zeros(1, np.bool_), "s")
    how = Augmentation(96, (96, 96), (1.0, 1.0), mosaic=1.0, nines=1.0)
    batch = make_batch([picture], how, 8, (1, 1))
    for regions in batch.regions:
        parts = regions[:9]
        assert (parts[:, 2:] - parts[:, :2]).prod(1).sum() == 96 * 96
    sides = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).max(1) for boxes in batch.boxes])
    assert sides.max() <= 8.01


@pytest.mark.parametrize("fault", [*FAULTS, worsen], ids=lambda fault: fault.__name__)
def test_a_fault_changes_pixels_and_nothing_else(fault: Fault) -> None:
    """The same size and type comes out, the same for the same seed, another for another; the input stays."""
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    before = picture.copy()
    once, again, other = (fault(picture, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert once.shape == picture.shape
    assert once.dtype == np.uint8
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert not np.array_equal(once, picture)
    assert np.array_equal(picture, before)


class Says:
    """A teacher that says the same of every picture."""

    def __init__(self, names: dict[int, str], *rows: tuple[int, float, tuple[float, ...]]) -> None:
        self.names = names
        self._rows = rows

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return the fixed boxes."""
        boxes = np.asarray([row[2] for row in self._rows], np.float32).reshape(-1, 4)
        scores = np.asarray([row[1] for row in self._rows], np.float32)
        return Detections(boxes, scores, np.asarray([row[0] for row in self._rows], np.int64))


HERE = (10.0, 10.0, 30.0, 50.0)
THERE = (50.0, 10.0, 70.0, 50.0)


def test_two_teachers_agree_or_nothing_is_taught(tmp_path: Path) -> None:
    """A box is agreed where the first is sure and the second sees it too; one alone is left out."""
    first = Says({0: "person", 2: "car"}, (0, 0.8, HERE), (0, 0.9, THERE), (2, 0.9, HERE))
    second = Says(
        {5: "person", 6: "dog"}, (5, 0.4, (11.0, 11.0, 30.0, 50.0)), (5, 0.9, (80.0, 0.0, 90.0, 9.0))
    )
    drafts = propose(np.zeros((60, 100, 3), np.uint8), [first, second], ["person", "car"])
    told = [(d.label, d.box, round(d.score, 2), d.agreed) for d in drafts]
    assert told == [
        ("person", HERE, 0.8, True),
        ("person", THERE, 0.9, False),
        ("person", (80.0, 0.0, 90.0, 9.0), 0.9, False),
        ("car", HERE, 0.9, False),
    ]
    table = tmp_path / "deep" / "pseudo.csv"
    counted = write_table([Drafted(Path("a.png"), (100, 60), drafts)], ["person", "car"], table)
    assert counted == (1, 3)
    read = read_proposals(table, 2)["a.png"]
    assert [one.agreed for one in read] == [True, False, False, False]
    assert read[0].centred == pytest.approx((0.2, 0.5, 0.2, 40 / 60), abs=1e-5)


@pytest.mark.parametrize(("label", "score", "agreed"), [("person", 0.4, False), ("bicycle", 0.4, True)])
def test_how_sure_is_enough_goes_by_class(label: str, score: float, agreed: bool) -> None:
    """A bicycle is believed from 0.35 on, all else from 0.5."""
    box = np.asarray([HERE], np.float32)
    said = [(box, np.asarray([value], np.float32)) for value in (score, 0.9)]
    assert [one.agreed for one in compare(label, said)] == [agreed]
