"""Reading labelled pictures and making batches of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.data import augment
from export.data.augment import Augmentation, batches, make_batch
from export.data.provenance import is_free
from export.data.recipe import RECIPES, balance, load_recipe, one_hot, read_folder, read_recipe
from export.data.sample import Picture, read_labels, turn_boxes
from export.errors import DataError

NAMES = ["person", "car", "bus"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 .5 .5 .2 .2\n0 .5 .5 x .2", "a.txt:2: not five numbers"),
        ("0 .5 .5 .2", "a.txt:1: a label is five numbers"),
        ("\n0 .5 .5 .2 nan", "a.txt:2: a label is five numbers"),
        ("3 .5 .5 .2 .2", r"a.txt:1: class 3 is not one of 0\.\.2"),
        ("1.5 .5 .5 .2 .2", "a.txt:1: class 1.5 is not"),
        ("0 .5 .5 .2 .2\n\n0 5 .5 .2 .2", "a.txt:3: coordinates are fractions"),
    ],
)
def test_a_wrong_label_is_named(tmp_path: Path, text: str, reason: str) -> None:
    """The reason names the file and the line."""
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        read_labels(path, 3)


def folder(root: Path) -> Path:
    """Write a data folder of two pictures from two sources."""
    for name in ("images", "labels"):
        (root / "train" / name).mkdir(parents=True)
    for name in ("a", "b"):
        cv2.imwrite(str(root / "train" / "images" / f"{name}.png"), np.full((40, 80, 3), 90, np.uint8))
    (root / "train" / "labels" / "a.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (root / "sources.csv").write_text("split,file,source\ntrain,a.png,alpha\ntrain,b.png,beta\n")
    return root


def test_a_folder_is_read(tmp_path: Path) -> None:
    """Boxes become pixels, file classes become sets of names, sources keep what they do not label."""
    read = read_folder(folder(tmp_path), "train", NAMES, [["person"], ["car", "bus"]], {"beta": ["person"]})
    assert [picture.source for picture in read] == ["alpha", "beta"]
    assert read[0].boxes.tolist() == [[30, 10, 50, 30]]
    assert read[0].allowed.tolist() == [[False, True, True]]
    assert read[1].boxes.shape == (0, 4)
    assert read[1].unlabelled.tolist() == [True, False, False]


def test_bad_folders_are_named(tmp_path: Path) -> None:
    """A missing folder, a broken picture and an unknown class each say which."""
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path, "train", NAMES, [["car"]], {})
    (folder(tmp_path) / "train" / "images" / "c.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"c\.png: cannot be read as a picture"):
        read_folder(tmp_path, "train", NAMES, [["car"], ["car"]], {})
    with pytest.raises(DataError, match="unknown class 'tram'"):
        one_hot(NAMES, ["tram"])


def test_labels_that_are_not_true_are_hidden(tmp_path: Path) -> None:
    """What a recipe hides is neither taught nor background, in training only; a wrong row is named."""
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (tmp_path / "set" / split / part).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / split / "images" / "a.png"), np.full((40, 80, 3), 90, np.uint8))
        (tmp_path / "set" / split / "labels" / "a.txt").write_text("0 .2 .5 .1 .5\n1 .6 .5 .1 .5\n")
    recipe = {"names": NAMES, "hide": {"a.png": [1]}}
    recipe["source"] = [{"folder": "set", "classes": [["person"], ["car"]]}]
    (learned,), (judged,) = (read_recipe(recipe, tmp_path, split) for split in ("train", "val"))
    assert learned.allowed.tolist() == [[True, False, False], [False, False, False]]
    assert judged.allowed.any(1).all()
    batch = make_batch([learned], Augmentation((40, 80), (40, 80), (1, 1), 0.0), 2, (1, 0))
    assert [len(boxes) for boxes in batch.boxes] == [1, 1]
    assert all(unlabelled[-1].all() for unlabelled in batch.unlabelled)
    with pytest.raises(DataError, match=r"hide: a\.png has no box 2; it has 2"):
        read_recipe(recipe | {"hide": {"a.png": [2]}}, tmp_path, "train")


def test_what_teaches_no_class_is_not_judged_by(tmp_path: Path) -> None:
    """Pictures that show what an object is not are learned from; nobody is judged by what is hidden there."""
    folder(tmp_path / "set")
    source = {"folder": "set", "classes": [[], []]}
    recipe = {"names": NAMES, "source": [source]}
    learned = read_recipe(recipe, tmp_path, "train")
    assert [len(picture.boxes) for picture in learned] == [1, 0]
    assert not any(picture.allowed.any() for picture in learned)
    assert read_recipe(recipe, tmp_path, "val") == []


LICENCES = {
    "CC0 1.0 (Kaggle someone/some-set)": True,
    "CC BY 4.0 (Roboflow someone/some-set v18); single images": True,
    "Public Domain (a fork)": True,
    "CC BY-NC-SA 4.0": False,
    "CC BY-SA 4.0": False,
    "Some set / other set: CC BY-NC-SA 4.0 (synthetic)": False,
    "A subset (research use) + another (CC BY 4.0)": False,
    "free for research": False,
    "": False,
}


def test_only_free_licences_get_in(tmp_path: Path) -> None:
    """The free recipe reads the pictures whose licence it lists, and no other, known or unknown."""
    recipe = load_recipe("mask-free")
    recipe["source"] = [source for source in recipe["source"] if source.get("folder") == "masks"]
    for split in ("train", "val"):
        for part in ("images", "labels"):
            (tmp_path / "masks" / split / part).mkdir(parents=True)
        for number in range(len(LICENCES) + 1):  # the last has no row at all
            path = tmp_path / "masks" / split / "images" / f"{number}.png"
            cv2.imwrite(str(path), np.full((20, 20, 3), 90, np.uint8))
    rows = "".join(f'{number}.png,s,"{licence}"\n' for number, licence in enumerate(LICENCES))
    (tmp_path / "masks" / "sources.csv").write_text("file,source,licence\n" + rows)
    free = {f"{number}.png" for number, allowed in enumerate(LICENCES.values()) if allowed}
    for split in ("train", "val"):
        assert {picture.name for picture in read_recipe(recipe, tmp_path, split)} == free
    for licence, allowed in LICENCES.items():
        assert is_free(licence, recipe["licences"]) == allowed


def test_a_source_of_unknown_licence_is_refused(tmp_path: Path) -> None:
    """A recipe that lists licences cannot have a source that has no list of licences."""
    recipe = {"names": NAMES, "licences": ["CC0 1.0"], "source": [{"own": "."}]}
    with pytest.raises(DataError, match="licence nobody knows"):
        read_recipe(recipe, tmp_path, "train")


def test_the_free_recipe_holds_on_the_real_data(data: Path) -> None:
    """Of the development pictures only the free sources are left to judge by."""
    recipe = load_recipe("mask-free")
    assert {picture.source for picture in read_recipe(recipe, data, "val")} == {"andrewmvd", "ditface"}


def scene() -> list[Picture]:
    """Return pictures in which every box is one filled rectangle of its own colour."""
    rng = np.random.default_rng(3)
    pictures = []
    for index in range(6):
        image = np.full((120, 200, 3), 40, np.uint8)
        boxes = np.asarray([(20, 20, 60, 50), (120, 60, 180, 110)], np.float32)
        for left, top, right, bottom in boxes.astype(int):
            image[top:bottom, left:right] = (30, 220, 240)
        hidden = np.asarray((index % 2 == 0, False, False))
        allowed = np.eye(3, dtype=bool)[rng.integers(0, 3, 2)]
        pictures.append(Picture(image, boxes, allowed, hidden, "s"))
    return pictures


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_boxes_follow_the_pixels(mosaic: float) -> None:
    """After scaling, cutting, mirroring and mixing, every box still lies on its bright rectangle."""
    how = Augmentation(128, (128, 128), (0.7, 1.3), mosaic, hue=0, saturation=0, value=0)
    batch = make_batch(scene(), how, 24, (5, 0))
    shares = []
    for picture, boxes in zip(batch.pictures, batch.boxes, strict=True):
        bright = picture[:, :, :2].min(2) > 90
        for left, top, right, bottom in boxes.round().astype(int):
            shares.append(bright[top + 1 : bottom - 1, left + 1 : right - 1].mean())
    assert len(shares) > 20
    assert np.nanmin(shares) > 0.8


@settings(max_examples=60, deadline=None)
@given(
    centre=st.tuples(st.floats(120, 180), st.floats(100, 140)),
    half=st.tuples(st.floats(6, 60), st.floats(6, 60)),
    degrees=st.floats(-180, 180),
)
def test_a_turned_box_is_the_one_round_the_turned_ellipse(
    centre: tuple[float, float], half: tuple[float, float], degrees: float
) -> None:
    """Whatever the angle, every pixel of the ellipse stays in its box, and the box is no larger than that."""
    image = np.full((240, 300, 3), 0, np.uint8)
    axes = tuple(round(side * 16) for side in half)
    middle = tuple(round(place * 16) for place in centre)
    cv2.ellipse(image, middle, axes, 0, 0, 360, (255, 255, 255), -1, cv2.LINE_AA, 4)
    x, y = centre
    box = np.asarray([[x - half[0], y - half[1], x + half[0], y + half[1]]], np.float32)
    matrix = cv2.getRotationMatrix2D((150, 120), degrees, 1.0)
    turned = turn_boxes(box, matrix)[0]
    rows, columns = np.nonzero(cv2.warpAffine(image, matrix, (300, 240))[..., 0] > 127)
    bounds = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    cut = np.clip(turned, 0, (300, 240, 300, 240))
    assert abs(cut - bounds).max() < 2.5


def ellipses() -> list[Picture]:
    """Return pictures larger than what is cut of them, in which every box holds one bright ellipse."""
    rng = np.random.default_rng(5)
    pictures = []
    for _ in range(8):
        image = np.full((300, 400, 3), 40, np.uint8)
        boxes = []
        for x, y in [(x, y) for x in range(50, 400, 100) for y in range(50, 300, 100)]:
            across, down = (int(side) for side in rng.integers(14, 40, 2))
            cv2.ellipse(image, (x, y), (across, down), 0, 0, 360, (30, 220, 240), -1)
            boxes.append((x - across, y - down, x + across + 1, y + down + 1))
        everything = np.eye(3, dtype=bool)[np.zeros(len(boxes), int)]
        pictures.append(Picture(image, np.asarray(boxes, np.float32), everything, np.zeros(3, bool), "s"))
    return pictures


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_turned_boxes_follow_the_pixels(mosaic: float) -> None:
    """No bright pixel of a turned picture lies outside all boxes, and no box is taught where nothing is."""
    how = Augmentation(160, (160, 160), (1.2, 2.0), mosaic, roll=25.0, hue=0, saturation=0, value=0)
    batch = make_batch(ellipses(), how, 32, (5, 0))
    taught = 0
    for picture, boxes, regions in zip(batch.pictures, batch.boxes, batch.regions, strict=True):
        bright = picture[..., 0] > 160  # the ellipses are yellow, and light where colour is taken away
        hidden = regions[4 if mosaic else 1 :]
        covered = np.zeros_like(bright)
        for left, top, right, bottom in np.concatenate((boxes, hidden)).round().astype(int):
            covered[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = True
        assert (bright & ~covered).sum() <= 0.02 * bright.sum()
        for left, top, right, bottom in boxes.round().astype(int):
            taught += 1
            assert bright[top:bottom, left:right].mean() > 0.4
    assert taught > 40


def test_without_roll_nothing_is_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe without `roll` makes the batches that it made before there was one."""
    monkeypatch.setattr(augment, "_roll", lambda *_: pytest.fail("turned"))
    make_batch(scene(), Augmentation(96, (96, 96)), 8, (1, 1))


def labelled(source: str, *classes: tuple[int, ...]) -> Picture:
    """Return a picture with one box for each tuple of the classes that it may be."""
    allowed = np.zeros((len(classes), 3), bool)
    for row, chosen in enumerate(classes):
        allowed[row, list(chosen)] = True
    boxes = np.tile(np.asarray((0, 0, 9, 9), np.float32), (len(classes), 1))
    return Picture(np.zeros((9, 9, 3), np.uint8), boxes, allowed, np.zeros(3, bool), source)


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=40),
    sources=st.integers(1, 3),
    share=st.floats(0.05, 1.0),
)
def test_balance_repeats_as_its_formula_says(kinds: list[set[int]], sources: int, share: float) -> None:
    """A picture comes round(sqrt(share / f)) times by its rarest class in its source, and at least once."""
    pictures = [labelled(str(n % sources), *((k,) for k in kind)) for n, kind in enumerate(kinds)]
    repeated = [id(picture) for picture in balance(pictures, share)]
    for number, (picture, kind) in enumerate(zip(pictures, kinds, strict=True)):
        those = kinds[number % sources :: sources]
        often = [(share / (sum(k in other for other in those) / len(those))) ** 0.5 for k in kind]
        assert repeated.count(id(picture)) == round(max([1.0, *often]))


def test_balance_asks_for_nothing_where_it_is_off() -> None:
    """With 0 the list stays as it is; a box that may be of several classes does not make a picture rare."""
    pictures = [labelled("a", (0,)), labelled("a", (0,), (1,)), labelled("a", (1, 2))]
    assert balance(pictures, 0) is pictures
    assert [id(picture) for picture in balance([pictures[0]] * 8 + [pictures[2]], 1.0)].count(
        id(pictures[2])
    ) == 1
    assert balance([], 0.5) == []


def test_batches_depend_on_seed_and_step_only() -> None:
    """A training that starts again at batch 2 sees what it would have seen."""
    how = Augmentation(96, (96, 96))
    whole = batches(scene(), how, 4, 7)
    later = batches(scene(), how, 4, 7, first=2)
    first, second, third = (next(whole) for _ in range(3))
    np.testing.assert_array_equal(third.pictures, next(later).pictures)
    assert not np.array_equal(first.pictures, second.pictures)


def test_a_mosaic_keeps_what_is_unlabelled_where() -> None:
    """Each part of a mosaic carries its own source's unlabelled classes, and parts fill the canvas."""
    batch = make_batch(scene(), Augmentation(96, (96, 96), mosaic=1.0), 8, (1, 1))
    for regions, unlabelled in zip(batch.regions, batch.unlabelled, strict=True):
        parts = regions[:4]
        assert (parts[:, 2:] - parts[:, :2]).prod(1).sum() == 96 * 96
        assert unlabelled[:4, 1:].any() == False  # noqa: E712  a numpy truth value


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_complete(path: Path) -> None:
    """Every recipe that comes along loads, and its classes have names."""
    recipe = load_recipe(path.stem)
    assert recipe["input"][0] % 32 == recipe["input"][1] % 32 == 0
    for source in recipe["source"]:
        for chosen in source.get("classes", []):  # a source that teaches no class names none at all
            assert one_hot(recipe["names"], chosen).any() == any(source["classes"])
        for first, last in source.get("scene_seeds", {}).values():
            assert 1000 <= first < last


def test_an_unknown_recipe_says_which_there_are() -> None:
    """The reason lists the recipes."""
    with pytest.raises(DataError, match=r"give one of .*mask, .*traffic, "):
        load_recipe("nothing")
