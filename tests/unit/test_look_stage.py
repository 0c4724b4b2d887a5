"""The second look of a camera: what it is given, what it spends, what it remembers."""

from __future__ import annotations

import numpy as np
import pytest

from agent.boxes import Detections, iou
from agent.look.change import Memory, cells_of, moving
from agent.look.live import CameraLook
from agent.look.merge import finds, mend
from agent.look.region import Region
from agent.look.stage import LookStage
from agent.track.tracker import make_tracker
from tests.unit.test_look import PRICE, SMALL, Sees, picture

NOTHING = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize("sizes", [[(1280, 960), (640, 480), (1280, 960)]])
def test_frames_of_other_sizes_are_planned_anew(sizes: list[tuple[int, int]]) -> None:
    """A camera that changes its resolution goes on, and what was seen before is forgotten."""
    stage = staged()
    for number, size in enumerate(sizes):
        watch(stage, picture((20, 20, 33, 33), size=size), 20, start=5.0 * number)
    assert stage.take().oldest < 5.0


def staged(budget: float | None = None) -> LookStage:
    """Return a stage on whose clock each look takes PRICE and the rest nothing."""
    detector = Sees()
    return LookStage(detector, budget, clock=lambda: detector.spent)


def watch(stage: LookStage, image: np.ndarray, frames: int, start: float = 0.0) -> list[Detections]:
    """Show a stage the same picture ten times a second."""
    first = Sees().detect(image)
    return [stage.refine(image, first, start + n / 10, NOTHING) for n in range(frames)]


def holds(found: Detections, boxes: list[tuple[int, ...]]) -> int:
    """Return how many of some boxes were found."""
    return int((iou(np.asarray(boxes, np.float32), found.xyxy).max(1, initial=0.0) > 0.7).sum())


def test_with_no_budget_the_first_look_goes_on_untouched() -> None:
    """Budget 0 is what the agent did before: the very same object comes out, and nothing is looked at."""
    detector = Sees()
    stage = LookStage(detector, 0)
    first = Detections.empty()
    assert stage.refine(picture(*SMALL), first, 0.0, NOTHING) is first
    assert detector.calls == 0
    assert not stage.works


def test_a_standing_picture_is_seen_whole_after_a_while_and_stays_so() -> None:
    """Regions come in turn, and what they showed is told in each frame for as long as its pixels stand."""
    told = watch(staged(), picture(*SMALL), 60)
    assert holds(told[-1], SMALL) == len(SMALL)
    assert all(holds(found, SMALL) == len(SMALL) for found in told[-10:])


@pytest.mark.parametrize(("budget", "regions"), [(20.0, 20), (5.0, 5), (100.0, 100), (None, 42)])
def test_the_budget_is_kept_over_time(budget: float | None, regions: int) -> None:
    """In 10 s, 100 frames: 20 ms a second pay 20 regions of 10 ms.

    By halves each frame pays half a region, less a fourteenth for all else that is done in it.
    """
    stage = staged(budget)
    watch(stage, picture(*SMALL), 101)
    assert stage.take().regions == pytest.approx(regions, abs=2)


def test_every_place_comes_in_turn() -> None:
    """The oldest place of the coarsest level never waits for long, and the minute's account says how long."""
    stage = staged()
    watch(stage, picture(), 200)
    account = stage.take()
    assert account.regions > 40
    assert account.oldest < 8.0
    assert stage.take().regions == 0


def test_what_was_hinted_is_looked_at_soon() -> None:
    """A place where something was followed to is looked at before those where nothing is known."""
    image = picture((1200, 900, 1224, 925))
    stage = staged()
    watch(stage, picture(), 100)
    hint = np.asarray([(1195, 895, 1230, 930)], np.float32)
    told = [stage.refine(image, Detections.empty(), 10 + n / 10, hint) for n in range(8)]
    assert max(holds(found, [(1200, 900, 1224, 925)]) for found in told) == 1


def test_a_change_of_the_picture_ends_what_was_remembered() -> None:
    """An object that has gone is not told in the next frame, though nobody looked there again."""
    stage = staged()
    assert holds(watch(stage, picture(*SMALL), 60)[-1], SMALL) == 3
    gone = stage.refine(picture(*SMALL[:2]), Detections.empty(), 6.1, NOTHING)
    assert holds(gone, SMALL[2:]) == 0
    assert holds(gone, SMALL[:2]) == 2


def test_another_size_of_frames_is_another_plan() -> None:
    """A camera that comes back with other frames is looked at anew."""
    stage = staged()
    watch(stage, picture(*SMALL), 30)
    small = picture((20, 20, 33, 33), size=(640, 480))
    assert len(watch(stage, small, 30, start=5.0)) == 30


def test_noise_changes_nothing_and_an_object_does() -> None:
    """A camera's noise leaves what was seen; an object of its size does not."""
    rng = np.random.default_rng(1)
    image = picture(*SMALL)
    region = Region(0, 0, 640, 480)
    found = Detections(
        np.asarray([(100, 100, 120, 120), (300, 300, 316, 316)], np.float32),
        np.ones(2, np.float32),
        np.zeros(2, np.int64),
    )
    memory = Memory()
    memory.keep({3: (region, finds(found, 1.0))}, cells_of(image))
    noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    told = memory.standing(cells_of(noisy))
    assert [len(left) for _, left in told] == [2]
    assert memory.standing(cells_of(image)) is told, "where nothing has changed, nothing is made anew"
    image[300:316, 300:316] = 255
    assert [len(left) for _, left in memory.standing(cells_of(image))] == [1]


@pytest.mark.parametrize("shift", [0, 40])
def test_motion_is_told_where_nothing_is_known(shift: int) -> None:
    """What moves and is no find is a hint; a find, a standing picture or a change of light is none."""
    before = cells_of(picture((200, 200, 240, 240)))
    assert len(moving(None, before, NOTHING)) == 0
    moved = cells_of(picture((200 + shift, 200, 240 + shift, 240)))
    told = moving(before, moved, NOTHING)
    assert (len(told) > 0) == (shift > 0)
    known = np.asarray([(190, 190, 300, 250)], np.float32)
    assert len(moving(moved, before, known)) == 0
    assert len(moving(before, cells_of(np.full((960, 1280, 3), 250, np.uint8)), NOTHING)) == 0


def test_all_that_is_done_is_paid_for() -> None:
    """Where the stage itself takes half of what the budget gives, regions get the other half."""
    detector = Sees()
    now = 0.0

    def clock() -> float:
        """Each look at the clock comes 2 ms after the last one: the stage's own work."""
        nonlocal now
        now += 0.002
        return now + detector.spent

    stage = LookStage(detector, 100.0, clock=clock)
    watch(stage, picture(*SMALL), 101)
    spent = now + detector.spent - 101 * 0.002  # between two frames time goes by that is not the stage's
    assert 0.9 < spent <= 1.0 + PRICE
    assert 0.0 < stage.take().regions * PRICE < 0.8


def test_a_piece_at_a_border_stays_dropped() -> None:
    """What a region cut in two is no object in the frames after it either, until its other half is seen."""
    left = Region(0, 0, 640, 960)
    right = Region(600, 0, 1240, 960)
    pieces = [
        Detections(np.asarray([box], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
        for box in ((610, 300, 640, 340), (600, 300, 650, 340))
    ]
    cells = cells_of(picture())
    memory = Memory()
    memory.keep({0: (left, finds(pieces[0], 1.0))}, cells)
    assert len(mend(memory.standing(cells), (1280, 960))) == 0
    memory.keep({1: (right, finds(pieces[1], 1.0))}, cells)
    whole = mend(memory.standing(cells), (1280, 960))
    assert whole.found.xyxy.tolist() == [[600, 300, 650, 340]]


FAR = [(900, 100, 910, 110), (1200, 420, 1210, 430), (1000, 900, 1010, 910)]


def crowd() -> np.ndarray:
    """Return a picture of 60 small objects at the left, and three smaller ones far from them."""
    corners = [(20 + 40 * column, 20 + 40 * row) for row in range(10) for column in range(6)]
    return picture(*((x, y, x + 16, y + 16) for x, y in corners), *FAR)


def test_a_crowd_that_stands_still_does_not_keep_the_looks_to_itself() -> None:
    """What was looked at and has not changed waits: the looks go on to what is far from the crowd."""
    detector = Sees(least=4)
    stage = LookStage(detector, None)
    image = crowd()
    first = Sees(least=4).detect(image)
    told = [stage.refine(image, first, number / 10, NOTHING) for number in range(100)]
    account = stage.take()
    assert account.regions < 45
    assert account.oldest < 9.0
    assert holds(first, FAR) == 0
    assert holds(told[-1], FAR) == 3


def test_a_place_is_the_same_until_its_pixels_change() -> None:
    """The memory names the places that another look would show as the last one did."""
    image = picture(*SMALL)
    places = {n: (Region(640 * n, 0, 640 * n + 640, 480), finds(Detections.empty(), 1.0)) for n in (0, 1)}
    memory = Memory()
    memory.keep(places, cells_of(image))
    assert memory.same == set()
    memory.standing(cells_of(image))
    assert memory.same == {0, 1}
    memory.standing(cells_of(picture(*SMALL, (700, 300, 740, 340))))
    assert memory.same == {0}
    memory.standing(cells_of(image))
    assert memory.same == {0, 1}, "the picture is again as it was seen"
    assert [region.left for region, _ in memory.looks] == [0, 640], "also what shows nothing"
    assert memory.silent.tolist() == [False, False]
    memory.standing(cells_of(picture(*SMALL, (700, 300, 740, 340))))
    assert memory.silent.tolist() == [False, True]
    memory.clear()
    assert memory.same == set()
    assert memory.looks == []


def test_one_object_never_becomes_two_tracks() -> None:
    """A small object that crosses the borders of many tiles, seen by both looks, is one track all along."""
    detector = Sees(least=6)
    camera = CameraLook(detector, None, None)
    tracker = make_tracker(0.25, detector.names)
    seen: list[int] = []
    looked = 0
    for number in range(150):
        left = 40 + 8 * number
        image = picture((left, 470, left + 30, 500))
        found = camera.refine(image, detector.detect(image), number / 10)
        assert isinstance(found, Detections)
        assert len(found) == 1
        tracks = tracker.update(found, number / 10, (1280, 960))
        camera.judge(image, tracks, None, np.isnan)
        seen += tracks.track_id.tolist()
        looked += camera.take().regions
    assert looked > 40
    assert len(seen) > 120
    assert len(set(seen)) == 1


class Near(Sees):
    """See boxes, of one class, with 0.9 in the finest tiles alone."""

    def __init__(self, name: str) -> None:
        super().__init__(least=4)
        self.names = {0: name}

    def detect(self, image_bgr: np.ndarray) -> Detections:
        found = super().detect(image_bgr)
        sure = 0.9 if image_bgr.shape[1] <= 320 else 0.0
        return Detections(found.xyxy, np.full(len(found), sure, np.float32), found.class_id)


@pytest.mark.parametrize(("name", "low", "high"), [("car", 0.3, 0.7), ("face", 0.809, 0.811)])
def test_a_camera_weighs_vehicles_by_all_looks_and_not_faces(name: str, low: float, high: float) -> None:
    """What one region sees with 0.9 and others overlook is a face of 0.9 x 0.9, and a vehicle of less."""
    detector = Near(name)
    stage = LookStage(detector, None)
    image = picture((600, 500, 620, 520))
    nothing = Detections.empty()
    hint = np.asarray([(590, 490, 630, 530)], np.float32)
    told = [stage.refine(image, nothing, number / 10, hint) for number in range(100)]
    assert [low < score < high for score in told[-1].confidence.tolist()] == [True]


def test_a_place_comes_in_turn_however_much_is_wanted_elsewhere() -> None:
    """Where much moves all the time, every third look that is due goes to the place that waits longest."""
    rng = np.random.default_rng(1)
    stage = LookStage(Sees(least=4), None)
    longest = 0.0
    for number in range(200):
        corners = rng.integers(0, 300, (40, 2)).tolist()
        image = picture(*((x, y, x + 16, y + 16) for x, y in corners))
        stage.refine(image, Sees(least=4).detect(image), number / 10, NOTHING)
        longest = max(longest, stage.take().oldest)
    assert longest < 5.0 + 6 * 3 / 4.0, "six places, four looks a second"


def test_a_small_picture_is_looked_at_nearer_only_where_something_is_small() -> None:
    """Where the first look shows two of its pixels for one, nothing comes in turn: no place ever waits."""
    stage = staged()
    watch(stage, picture((20, 20, 60, 60), size=(160, 120)), 30)
    assert stage.take().regions == 0, "80 input pixels are enough"
    watch(stage, picture((20, 20, 27, 27), size=(160, 120)), 30, start=5.0)
    account = stage.take()
    assert account.regions > 0
    assert account.oldest == 0


def test_a_budget_that_is_set_while_a_camera_runs_holds_from_the_next_frame_on() -> None:
    """From none to half small objects are found; back to none the first look goes on untouched."""
    detector = Sees()
    camera = CameraLook(detector, 0, None)
    image = picture(*SMALL)
    first = detector.detect(image)

    def seen(start: float) -> Detections:
        told = [camera.refine(image, first, start + number / 10) for number in range(60)]
        assert isinstance(told[-1], Detections)
        return told[-1]

    assert seen(0.0) is first
    camera.allow(None)
    assert holds(seen(6.0), SMALL) == len(SMALL)
    camera.allow(0)
    assert seen(12.0) is first
    assert camera.take().regions == 0
