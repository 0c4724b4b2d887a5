"""The second look at one picture, by a detector that only sees what is large enough."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agent.boxes import Detections, iou, letterbox
from agent.infer import ModelError
from agent.look import SecondLook
from agent.look.merge import finds
from agent.look.plan import closest, need, places, sharpest
from agent.look.region import Region, around, tiles

CANVAS = (320, 320)
PRICE = 0.010


class Sees:
    """Find upright green boxes that are at least `least` pixels large on the canvas."""

    input_size = CANVAS

    def __init__(self, least: float = 12.0) -> None:
        self.names = {0: "thing"}
        self.least = least
        self.calls = 0
        self.spent = 0.0  # seconds: each look takes PRICE

    def detect(self, image_bgr: np.ndarray) -> Detections:
        self.calls += 1
        self.spent += PRICE
        canvas, scale, pad = letterbox(image_bgr, CANVAS)
        green = ((canvas[:, :, 1] > 180) & (canvas[:, :, 0] < 90)).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(green)
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist() if min(w, h) >= self.least]
        xyxy = (np.asarray(boxes, np.float32).reshape(-1, 4) - np.asarray(pad * 2)) / scale
        return Detections(xyxy, np.full(len(boxes), 0.8, np.float32), np.zeros(len(boxes), np.int64))


class Leans(Sees):
    """The same, of faces: an ellipse is only seen where it stands upright."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {0: "with_mask", 1: "without_mask"}

    def detect(self, image_bgr: np.ndarray) -> Detections:
        found = super().detect(image_bgr)
        size = found.xyxy[:, 2:] - found.xyxy[:, :2]
        return found[size[:, 1] > 1.6 * size[:, 0]]


def picture(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (1280, 960)) -> np.ndarray:
    image = np.full((size[1], size[0], 3), 100, np.uint8)
    for left, top, right, bottom in boxes:
        image[top:bottom, left:right] = (40, 220, 40)
    return image


SMALL = [(100, 100, 120, 120), (833, 470, 855, 490), (1200, 900, 1224, 925)]
LARGE = (300, 300, 700, 700)


def test_small_objects_are_found_where_their_pixels_are() -> None:
    """What has 5 pixels on the first look's canvas is missed there and found by the second."""
    image = picture(*SMALL, LARGE)
    assert len(Sees().detect(image)) == 1
    found = SecondLook(Sees()).detect(image)
    overlap = iou(np.asarray([*SMALL, LARGE], np.float32), found.xyxy)
    assert len(found) == 4
    assert overlap.max(1).min() > 0.8
    assert (np.diff(found.confidence) <= 0).all()


def test_an_object_larger_than_a_region_is_still_one() -> None:
    """Pieces of one object in many regions never become objects of their own."""
    found = SecondLook(Sees()).detect(picture((50, 60, 1200, 900)))
    assert len(found) == 1
    assert iou(np.asarray([(50, 60, 1200, 900)], np.float32), found.xyxy).item() > 0.95


def test_a_budget_of_nothing_is_the_first_look() -> None:
    """With budget 0 the model is asked once, and its answer comes out untouched."""
    detector = Sees()
    found = SecondLook(detector, budget=0).detect(picture(*SMALL, LARGE))
    assert detector.calls == 1
    np.testing.assert_array_equal(found.xyxy, Sees().detect(picture(*SMALL, LARGE)).xyxy)


@pytest.mark.parametrize(("budget", "looks"), [(25.0, [2, 2, 2]), (4.0, [0, 0, 1, 0, 0, 1])])
def test_a_budget_holds_for_each_picture(budget: float, looks: list[int]) -> None:
    """Where a look takes 10 ms, 25 ms a picture are two regions, 4 ms one every third time."""
    detector = Sees()
    look = SecondLook(detector, budget=budget, clock=lambda: detector.spent)
    counts = []
    for _ in looks:
        look.detect(picture(*SMALL))
        counts.append(look.looked)
    assert counts == looks


def test_what_is_small_or_unsure_is_looked_at_first() -> None:
    """With time for one region, it is the one that holds what the first look saw small."""
    image = picture((1200, 900, 1230, 930))
    detector = Sees(least=5)
    look = SecondLook(detector, budget=12.0, clock=lambda: detector.spent)
    first = Sees(least=5).detect(image)
    found = look.detect(image)
    assert look.looked == 1
    truth = np.asarray([(1200, 900, 1230, 930)], np.float32)
    assert iou(truth, found.xyxy).max() > iou(truth, first.xyxy).max()


def test_what_leans_is_found_in_turned_regions() -> None:
    """An ellipse that leans by 60 degrees is no face to an upright network; turned regions find it."""
    image = np.full((640, 640, 3), 100, np.uint8)
    cv2.ellipse(image, (300, 320), (30, 60), 60, 0, 360, (40, 220, 40), -1)
    assert len(Leans().detect(image)) == 0
    found = SecondLook(Leans()).detect(image)
    assert len(found) == 1
    reach = (np.hypot(60 * np.sin(np.pi / 3), 30 / 2), np.hypot(60 / 2, 30 * np.sin(np.pi / 3)))
    truth = np.asarray([[300 - reach[0], 320 - reach[1], 300 + reach[0], 320 + reach[1]]], np.float32)
    assert iou(truth, found.xyxy).item() > 0.8
    assert len(SecondLook(Leans(), turned=False).detect(image)) == 0


def test_a_region_gives_its_boxes_back_in_the_picture() -> None:
    """Upright and turned: a box goes into the region and comes back to where it was."""
    image = picture((500, 400, 560, 440))
    for region in (Region(400, 300, 700, 600), Region(400, 300, 700, 600, 90.0)):
        found = region.back(Sees(5).detect(region.pixels(image)))
        assert iou(found.xyxy, np.asarray([(500, 400, 560, 440)], np.float32)).item() > 0.9


@pytest.mark.parametrize("size", [(1920, 1080), (3840, 2160), (1024, 683), (400, 300), (37, 911)])
def test_tiles_cover_all_of_a_picture(size: tuple[int, int]) -> None:
    """Every pixel lies in a tile of each level, and no tile leaves the picture."""
    plan = places(size, (640, 640))
    for level in {place.level for place in plan}:
        seen = np.zeros(size[::-1], np.bool_)
        for region in (place.region for place in plan if place.level == level):
            assert region.left >= 0
            assert region.top >= 0
            assert region.right <= size[0]
            assert region.bottom <= size[1]
            seen[region.top : region.bottom, region.left : region.right] = True
        assert seen.all()


def test_a_picture_that_was_seen_large_enough_has_no_plan() -> None:
    """Where the first look showed two of its pixels for one, a region would show nothing more."""
    assert places((300, 200), (640, 640)) == []


def test_a_region_at_a_corner_is_moved_into_the_picture() -> None:
    """Its size is kept where the picture is large enough."""
    assert around(5, 1000, (100, 80), (1280, 960)) == Region(0, 880, 100, 960)
    assert around(5, 5, (100, 80), (50, 60)) == Region(0, 0, 50, 60)


def test_tiles_that_cannot_share_so_much_are_refused() -> None:
    """An overlap as large as the tile would never end."""
    with pytest.raises(ValueError, match="cannot share"):
        tiles((100, 100), (20, 20), 20)


def test_hints_make_a_place_needed() -> None:
    """A head that must be there counts as much as a tiny find."""
    plan = places((1280, 960), CANVAS)
    wanted = need(plan, finds(Detections.empty(), 0.25), CANVAS, np.asarray([(10, 10, 30, 30)], np.float32))
    assert (wanted > 0).any()
    assert all(place.region.left == 0 for place, worth in zip(plan, wanted, strict=True) if worth)


def test_a_negative_budget_is_refused() -> None:
    """It is a mistake, not a wish for nothing."""
    with pytest.raises(ValueError, match="0 or more"):
        SecondLook(Sees(), budget=-1)


def test_a_judge_that_is_none_is_refused_in_one_line(tmp_path) -> None:
    """A missing file, and one that is no model, say what to give instead."""
    (tmp_path / "judge.onnx").write_bytes(b"nothing")
    for path in (tmp_path / "absent.onnx", tmp_path / "judge.onnx"):
        with pytest.raises(ModelError, match="gb-export judge"):
            SecondLook(Sees(), judge=path)


@pytest.mark.parametrize(
    ("sharp", "confidence", "worth"),
    [
        (3.0, 0.8, [3 / 24, 9 / 24, 21 / 24]),  # shown with 6, 12 and 24 pixels
        (3.0, 0.3, [6 / 24, 18 / 24, 42 / 24]),  # the same, unsure
        (12.0, 0.8, [0.5, 0.5, 0.5]),  # sharp enough from the first level on
        (24.0, 0.3, [0.0, 0.0, 0.0]),  # sharp enough already
        (3.0, 0.05, [0.0, 0.0, 0.0]),  # hardly anything was seen at all
    ],
)
def test_a_tile_is_needed_for_what_it_shows_sharper(
    sharp: float, confidence: float, worth: list[float]
) -> None:
    """A find is worth the sharpness that a tile would add to what is known of it, none from ENOUGH on."""
    plan = places((1280, 960), CANVAS)
    side = sharp / 0.25
    box = np.asarray([(600, 500, 600 + side, 500 + side)], np.float32)
    found = Detections(box, np.asarray([confidence], np.float32), np.zeros(1, np.int64))
    wanted = need(plan, finds(found, 0.25), CANVAS)
    levels = np.asarray([place.level for place in plan])
    assert [wanted[levels == level].max() for level in (1, 2, 3)] == pytest.approx(worth)


def test_what_is_still_small_is_looked_at_nearer() -> None:
    """An object of 5 pixels has 10 input pixels in the finest tile of all, 15 in a nearer one."""
    detector = Sees(least=8)
    look = SecondLook(detector)
    size = (640, 480)
    tiles_of_all = len(places(size, CANVAS))
    look.detect(picture((100, 100, 120, 120), size=size))
    assert look.looked == tiles_of_all, "20 pixels are enough in the finest of them"
    found = look.detect(picture((300, 200, 305, 205), size=size))
    assert look.looked == tiles_of_all + 1
    assert iou(np.asarray([(300, 200, 305, 205)], np.float32), found.xyxy).max() > 0.8
    assert closest((300, 200), (640, 640)) != []
    assert closest((200, 150), (640, 640)) == [], "the first look showed three of its pixels for one"


def test_nearer_tiles_are_paid_from_the_same_budget() -> None:
    """Where the budget ends with the tiles of all, nothing is looked at nearer."""
    detector = Sees(least=8)
    tiles_of_all = len(places((640, 480), CANVAS))
    look = SecondLook(detector, budget=1000 * PRICE * (tiles_of_all + 0.5), clock=lambda: detector.spent)
    look.detect(picture((300, 200, 305, 205), size=(640, 480)))
    assert look.looked == tiles_of_all


def test_a_find_is_as_sharp_as_any_region_showed_it() -> None:
    """What the first look saw with 5 pixels and a region with 20 is 20 sharp; what no region saw stays 5."""
    box = np.asarray([(0, 0, 10, 10), (100, 0, 110, 10)], np.float32)
    both = Detections(box, np.full(2, 0.8, np.float32), np.zeros(2, np.int64))
    known = sharpest(finds(both, 0.5), finds(both[:1], 2.0), np.zeros(1, np.int64))
    assert known.sharp.tolist() == [20, 5, 20]
    leans = finds(both[1:], 0.0)
    assert sharpest(finds(both, 0.5), leans, np.zeros(1, np.int64)).sharp.tolist() == [5, 5]


def test_what_the_pictures_own_border_cuts_is_no_piece() -> None:
    """At the edges and corners of the picture nothing goes on outside a region: what ends there is whole."""
    cut = [(0, 0, 20, 20), (1262, 400, 1280, 422), (600, 940, 620, 960), (1260, 940, 1280, 960)]
    found = SecondLook(Sees()).detect(picture(*cut))
    assert len(found) == len(cut)
    assert iou(np.asarray(cut, np.float32), found.xyxy).max(1).min() > 0.8
