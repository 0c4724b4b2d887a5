"""The built-in street: the same for ever, and its truth is what was painted."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from agent.street.scene import CLASSES, DEFAULT_LINE, Scene, Truth


@pytest.fixture(scope="module")
def street() -> Scene:
    return Scene(7)


@pytest.fixture(scope="module")
def minute(street: Scene) -> list[Truth]:
    return [street.truth(n) for n in range(0, 900, 3)]


def test_a_frame_depends_on_seed_and_number_only() -> None:
    """Any order of asking, in any instance, gives the same bytes and the same truth."""
    first = Scene(5)
    second = Scene(5)
    forward = {n: first.frame(n) for n in (0, 40, 900, 100_000_000)}
    for number in reversed(forward):
        assert np.array_equal(second.frame(number), forward[number])
        one = first.truth(number)
        other = second.truth(number)
        assert np.array_equal(one.xyxy, other.xyxy)
        assert np.array_equal(one.track_id, other.track_id)


def test_another_seed_is_another_street(street: Scene) -> None:
    """Two seeds differ in most of the picture."""
    assert np.abs(street.frame(10).astype(int) - Scene(8).frame(10)).mean() > 10


@pytest.mark.parametrize("size", [(960, 540), (640, 360), (320, 320)])
def test_size_and_type_are_as_asked(size: tuple[int, int]) -> None:
    """Frames have the size asked for, and boxes lie inside it."""
    scene = Scene(3, *size)
    image = scene.frame(77)
    truth = scene.truth(77)
    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == np.uint8
    assert (truth.xyxy >= 0).all()
    assert (truth.xyxy[:, 2] <= size[0]).all()
    assert (truth.xyxy[:, 3] <= size[1]).all()


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"width": 10}, {"fps": 0.0}, {"fps": float("nan")}])
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    """A scene that cannot be drawn is refused at once."""
    with pytest.raises(ValueError, match="a scene needs"):
        Scene(**wrong)  # type: ignore[arg-type]


def test_a_box_is_tight_round_what_was_painted(street: Scene) -> None:
    """The outline of what is painted for each mover is its box, within the rounding of strokes."""
    for number in (0, 150, 450):
        for cast in street._casts(number):
            left, top, right, bottom = cast.box
            inside = left > 2 and top > 2 and right < street.width - 2 and bottom < street.height - 2
            if not inside or right - left < 10:
                continue
            canvas = np.zeros((street.height, street.width), np.uint8)
            street._name(canvas, cast, 255)
            x, y, w, h = cv2.boundingRect(canvas)
            assert np.allclose([x, y, x + w, y + h], cast.box, atol=2.1)


def test_identities_are_unique_and_keep_their_class(minute: list[Truth]) -> None:
    """No id appears twice in a frame, and an id never changes its class."""
    classes: dict[int, int] = {}
    for truth in minute:
        assert len(set(truth.track_id.tolist())) == len(truth)
        for track, label in zip(truth.track_id.tolist(), truth.class_id.tolist(), strict=True):
            assert classes.setdefault(track, label) == label
    assert {CLASSES[label] for label in classes.values()} == set(CLASSES)


def test_movers_move_smoothly(street: Scene) -> None:
    """Nothing inside the picture jumps between two frames, over the seam of the light's cycles too."""
    before = street.truth(540)
    for number in range(541, 640):
        now = street.truth(number)
        shared, a, b = np.intersect1d(before.track_id, now.track_id, return_indices=True)
        whole = (now.xyxy[b, 3] < street.height - 1) & (before.xyxy[a, 3] < street.height - 1)
        step = np.abs(now.xyxy[b, 3] - before.xyxy[a, 3])[whole]
        assert step.max(initial=0) < 40, (number, shared)
        before = now


def test_no_vehicle_drives_into_another() -> None:
    """In each lane the bumpers keep their distance for minutes, in queues too."""
    scene = Scene(11)
    for time in np.arange(200.0, 400.0, 0.5):
        spans: dict[tuple[float, float], list[tuple[float, float]]] = {}
        for mover in scene.traffic.at(float(time)):
            if mover.figure.class_id == 0:
                continue
            lane = (round(float(mover.origin[0])), float(mover.forward[1]))
            y = mover.origin[1] + mover.forward[1] * mover.reach(np.array([time]))[0]
            half = mover.figure.length / 2
            spans.setdefault(lane, []).append((y - half, y + half))
        for lane in spans.values():
            lane.sort()
            assert all(b[0] - a[1] > 0.8 for a, b in pairwise(lane)), time


def test_crossings_agree_with_the_boxes(street: Scene, minute: list[Truth]) -> None:
    """The boxes' anchors change sides in the frames, and the ways, that `crossings` names."""
    level = DEFAULT_LINE[0][1] * street.height
    sides: dict[int, list[tuple[int, bool]]] = {}
    for i, truth in enumerate(minute):
        middle = (truth.xyxy[:, 0] + truth.xyxy[:, 2]) / 2 / street.width
        for track, x, y in zip(truth.track_id.tolist(), middle, truth.xyxy[:, 3], strict=True):
            if DEFAULT_LINE[0][0] < x < DEFAULT_LINE[1][0]:
                sides.setdefault(track, []).append((i * 3, bool(y > level)))
    seen = {
        (track, "AB" if after[1] else "BA")
        for track, path in sides.items()
        for before, after in pairwise(path)
        if before[1] != after[1]
    }
    named = street.crossings(list(DEFAULT_LINE), 1, 897)
    assert seen == {(c.track_id, c.direction) for c in named}
    assert all(c.frame - 1 <= c.at_seconds * street.fps <= c.frame for c in named)


def test_crossings_of_parts_add_up(street: Scene) -> None:
    """Asking for two halves finds what asking for the whole finds: no seam, nothing twice."""
    line = list(DEFAULT_LINE)
    whole = street.crossings(line, 1, 3000)
    assert street.crossings(line, 1, 1234) + street.crossings(line, 1235, 3000) == whole


def test_a_line_drawn_backwards_turns_the_directions(street: Scene) -> None:
    """The same crossings come with AB and BA exchanged."""
    there = street.crossings(list(DEFAULT_LINE), 1, 900)
    back = street.crossings(list(DEFAULT_LINE)[::-1], 1, 900)
    assert [(c.track_id, c.direction) for c in there] == [
        (c.track_id, {"AB": "BA", "BA": "AB"}[c.direction]) for c in back
    ]


@pytest.mark.parametrize("seed", [0, 7, 8, 42])
def test_the_default_line_is_worth_counting_on(seed: int) -> None:
    """Vehicles cross both ways, about one every two seconds, in full view, and nobody on foot does."""
    scene = Scene(seed)
    crossings = scene.crossings(list(DEFAULT_LINE), 1, 4500)
    assert 100 < len(crossings) < 260
    assert {c.direction for c in crossings} == {"AB", "BA"}
    assert all(CLASSES[c.class_id] != "person" for c in crossings)
    for crossing in crossings[::9]:
        truth = scene.truth(crossing.frame)
        assert truth.visible[truth.track_id == crossing.track_id].min() > 0.8


def test_some_movers_are_hidden_and_some_stand(minute: list[Truth]) -> None:
    """The street is not too easy: occlusions and queues occur."""
    assert any((truth.visible < 0.6).any() for truth in minute)
    standing = 0
    for a, b in pairwise(minute):
        _, i, j = np.intersect1d(a.track_id, b.track_id, return_indices=True)
        standing += int(((np.abs(a.xyxy[i] - b.xyxy[j]).max(axis=1) < 0.05) & (a.class_id[i] == 2)).sum())
    assert standing > 20


def test_training_streets_vary() -> None:
    """Seeds for training draw any camera, and each of them shows something to learn from."""
    heights = set()
    for seed in range(1000, 1008):
        scene = Scene(seed, 480, 270)
        heights.add(round(float(scene.view.position[2]), 1))
        assert sum(len(scene.truth(n)) for n in range(0, 900, 90)) > 15
    assert len(heights) > 4


def test_people_wait_at_the_kerb_for_red(street: Scene) -> None:
    """No one on foot is on the carriageway while the vehicles have green."""
    for time in np.arange(200.0, 600.0, 0.5):
        if street.traffic.light(float(time)) == "red":
            continue
        for mover in street.traffic.at(float(time)):
            if mover.figure.class_id == 0:
                x = mover.origin[0] + mover.forward[0] * mover.reach(np.array([time]))[0]
                assert abs(x) > street.layout.half
