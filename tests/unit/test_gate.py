"""Which pictures are worth a look: nothing that starts is missed, and nothing that stands costs anything."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import wire
from agent.count.attention import FAR, NEAREST, UNDECIDED, Borders, interval
from agent.minute import Ledger
from agent.see.capture import Camera
from agent.see.gate import FASTEST, IDLE, INSPECT, PARKED, Attention, Gate
from agent.see.motion import cells_of, together
from agent.track.tracker import Motions

SIZE = (320, 180)
FPS = 12.5
Draw = Callable[[int], np.ndarray]


@lru_cache
def scenery(noise: float, number: int) -> np.ndarray:
    """Return one of the pictures (180,320,3) that a camera takes of the same blocks and markings."""
    small = np.random.default_rng(1).integers(60, 160, (12, 20, 3)).astype(np.uint8)
    image = cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noisy = image + np.random.default_rng(number).normal(0, noise, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def street(number: int = 0, noise: float = 2.0) -> np.ndarray:
    """Return a street (180,320,3) with a sensor's noise, another one in each of 16 pictures."""
    return scenery(noise, number * 7 % 16).copy()


def looks(draw: Draw, seconds: float, answer: Attention | None = None) -> list[float]:
    """Return when a gate asks for looks at drawn pictures, each answered as told (nothing found)."""
    gate = Gate()
    moments = []
    for number in range(round(seconds * FPS)):
        now = number / FPS
        gate.listen(False, threading.Event())
        if gate.due(now) and gate.wants(draw(number), now):
            moments.append(now)
            gate.tell(gate.looks, answer or Attention())
    return moments


def test_a_street_where_nothing_moves_is_looked_at_each_five_seconds() -> None:
    """Noise calls for nothing: a minute takes a dozen looks, and never more than the longest rest passes."""
    moments = looks(street, 60)
    assert len(moments) <= 60 / IDLE * 1.5 + 2
    assert max(np.diff(moments)) <= IDLE


def test_what_is_parked_is_looked_at_before_it_would_be_a_gap() -> None:
    """With something followed in the picture, the next look comes within two seconds."""
    moments = looks(street, 20, Attention(empty=False))
    assert max(np.diff(moments)) <= PARKED


def patch(number: int, left: float, side: int, shade: int) -> np.ndarray:
    """Return the street with a square object at `left` pixels."""
    image = street(number)
    x = round(left)
    image[90 : 90 + side, x : x + side] = np.clip(image[90 : 90 + side, x : x + side] + float(shade), 0, 255)
    return image


@pytest.mark.parametrize(("side", "shade"), [(8, 60), (20, 25), (40, 14)], ids=["small", "person", "dusk"])
def test_what_appears_is_looked_at_at_once(side: int, shade: int) -> None:
    """Something that comes out of a door 8 s after the start is looked at within a fifth of a second."""
    moments = looks(lambda n: patch(n, 150, side, shade if n / FPS >= 8 else 0), 10)
    assert min(at for at in moments if at >= 8) <= 8 + INSPECT + 1 / FPS


def test_specks_far_apart_are_no_change_and_two_cells_side_by_side_are() -> None:
    """What a film's compression leaves here and there calls for no look; a thing of two cells does."""
    cells = np.zeros((60, 100), np.bool_)
    cells[10, 10] = cells[40, 70] = cells[59, 99] = True
    assert not together(cells).any()
    cells[11, 11] = True
    assert [tuple(cell) for cell in np.argwhere(together(cells))] == [(10, 10), (11, 11)]


def test_a_region_is_what_lies_in_a_zone_or_near_a_border() -> None:
    """Of 36 x 64 cells: 0.35 of the height to both sides of a line, all of a zone, and round it."""
    line = wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.9), (1.0, 0.9)])})
    near = Borders(line).region((36, 64), 16 / 9)
    assert near is not None
    assert np.array_equal(near.any(axis=1), near.all(axis=1))
    assert np.flatnonzero(near[:, 0]).tolist() == list(range(20, 36))
    zone = wire.CameraSettings(zones={"yard": wire.Zone([(0.0, 0.0), (0.9, 0.0), (0.9, 1.0), (0.0, 1.0)])})
    assert Borders(zone).region((36, 64), 16 / 9).all()  # type: ignore[union-attr]
    assert Borders(wire.CameraSettings()).region((36, 64), 16 / 9) is None


@pytest.mark.parametrize(
    ("row", "calls"), [(20, False), (130, True)], ids=["far from the line", "at the line"]
)
def test_only_what_moves_within_the_region_calls_for_a_look(row: int, calls: bool) -> None:
    """With a region, somebody who appears far from every line waits for the look that comes anyway."""
    borders = Borders(wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.8), (1.0, 0.8)])}))
    gate = Gate()
    gate.region = borders.region
    moments = []
    for number in range(round(7.5 * FPS)):
        now = number / FPS
        image = street(number)
        if now >= 6.0:
            image[row : row + 30, 150:170] = 250
        gate.listen(False, threading.Event())
        if gate.due(now) and gate.wants(image, now):
            moments.append(now)
            gate.tell(gate.looks, Attention())
    assert any(6.0 <= at <= 6.0 + INSPECT + 1 / FPS for at in moments) == calls


def test_a_parked_car_that_creeps_away_is_seen() -> None:
    """At two pixels a second no two pictures differ noticeably; against the last look it adds up."""
    moments = looks(lambda n: patch(n, 50 + max(n / FPS - 10, 0) * 2, 30, 50), 20, Attention(empty=False))
    late = [at for at in moments if at >= 10]
    assert late[0] <= 12
    assert len(late) >= 10 / PARKED


def test_a_camera_that_sways_and_a_cloud_call_for_nothing() -> None:
    """Shifts of two pixels, and a light that goes up by a third in half a minute, move nothing."""

    def swaying(number: int) -> np.ndarray:
        shift = np.array([[1, 0, 2 * math.sin(number)], [0, 1, math.cos(2 * number)]], np.float32)
        bright = street(number) * (1 + 0.33 * min(number / FPS / 30, 1))
        moved = cv2.warpAffine(
            np.clip(bright, 0, 255).astype(np.uint8), shift, SIZE, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(moved)

    assert len(looks(swaying, 30)) <= 30 / IDLE * 2 + 3


def test_a_tree_is_learned_and_a_man_before_it_is_still_seen() -> None:
    """What moves in vain calls for fewer looks each minute; somebody who steps before it is looked at."""

    def windy(number: int) -> np.ndarray:
        image = street(number)
        leaves = np.random.default_rng(number + 7).integers(-8, 9, (8, 8, 1))
        image[20:100, 20:100] = np.clip(image[20:100, 20:100] + np.kron(leaves, np.ones((10, 10, 1))), 0, 255)
        if number / FPS >= 50:
            image[30:80, 40:60] = 250
        return image

    moments = looks(windy, 52)
    first = sum(at < 10 for at in moments)
    last = sum(30 <= at < 50 for at in moments) / 2
    assert last < first / 2, (first, last)
    assert min(at for at in moments if at >= 50) <= 50 + INSPECT + 1 / FPS


def test_what_is_followed_does_not_open_the_gate_for_itself() -> None:
    """A mover that has a box is looked at as often as its box asks, not with every picture."""

    def moving(number: int) -> np.ndarray:
        return patch(number, 50 + number / 2, 20, 60)

    whole = np.array([[0.0, 0.5, 1.0, 0.75]], np.float32)
    assert len(looks(moving, 10, Attention(0.2, False, whole))) <= 10 / 0.14 + 2
    assert len(looks(moving, 10, Attention(FASTEST, False, whole))) >= 10 * FPS * 0.9


def tracks(box: list[float], speed: tuple[float, float], **fields: float) -> Motions:
    """Return one track in a picture of 1000 x 500."""
    one = {"unseen": 0.0, "still": 0.0, "age": 9.0} | fields
    return Motions(
        boxes=np.array([box]),
        speed=np.array([speed]),
        sure=np.array([bool(fields.get("sure", 1))]),
        unseen=np.array([one["unseen"]]),
        still=np.array([one["still"]]),
        age=np.array([one["age"]]),
    )


@pytest.mark.parametrize(
    ("motions", "seconds"),
    [
        (tracks([480, 200, 520, 240], (0, 100)), NEAREST),  # 60 pixels before the line
        (tracks([480, 20, 520, 60], (0, 20)), FAR),  # twelve seconds away
        (tracks([480, 20, 520, 60], (0, 0), still=5), math.inf),  # parked
        (tracks([480, 20, 520, 60], (0, 0), sure=0, age=0.3), UNDECIDED),  # just come, far away
        (tracks([480, 200, 520, 240], (0, 0), sure=0, age=0.3), FASTEST),  # just come, near the line
        (tracks([480, 280, 500, 300], (200, 0)), FASTEST),  # on the line, and gone in a tenth of a second
        (tracks([480, 20, 520, 60], (0, 0), sure=0, age=3, still=3), math.inf),  # imagined
        (tracks([480, 20, 500, 40], (90, 0)), 0.4 * 20 / 90),  # small and fast
    ],
    ids=["near", "far", "parked", "new", "new and near", "near and fast", "imagined", "fast"],
)
def test_the_next_look_comes_as_soon_as_it_can_change_a_count(motions: Motions, seconds: float) -> None:
    """Near a line, and undecided, as often as anything; far away rarely; for what stands not at all."""
    settings = wire.CameraSettings(lines={"main": wire.Line([(0.0, 0.6), (1.0, 0.6)])})
    assert interval(motions, Borders(settings), (1000, 500)) == pytest.approx(max(seconds, FASTEST))


def test_calm_time_is_watched_and_no_gap() -> None:
    """Seconds in which pictures came that were not worth a look are watched; those without any are blind."""
    watch = Ledger()
    watch.frame(0.0)
    watch.calm(4.9)
    watch.frame(5.0)
    watch.frame(10.0)
    assert watch.take() == (5000, {"stalled": 5000})


def test_a_film_is_passed_over_but_for_a_few_looks_and_all_of_it_was_watched(tmp_path: Path) -> None:
    """Of 20 s of a still film a few frames are handed on, the rest is counted as skipped, none is lost."""
    path = tmp_path / "still.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    for number in range(250):
        writer.write(street(number, 1.0))
    writer.release()
    gate = Gate()
    watch = Ledger()
    taken = 0
    with Camera("cam0", str(path), pace="fast", gate=gate) as camera:
        while camera.state != "ended":
            frame = camera.take(0.2)
            if frame is not None:
                taken += 1
                watch.calm(frame.calm)
                watch.frame(frame.seconds)
                gate.tell(frame.look, Attention())
        watch.calm(camera.take_calm())
    assert (camera.captured, camera.dropped) == (250, 0)
    assert taken == 250 - camera.skipped <= 10
    assert watch.take() == (pytest.approx(19_920, abs=2), {})


def test_cells_are_the_means_of_what_they_cover() -> None:
    """Taken in steps they differ from the plain mean of each cell by no more than the rounding."""
    image = np.random.default_rng(5).integers(0, 256, (360, 960, 3)).astype(np.uint8)
    green = image[::2, ::2, 1].astype(np.float32)
    plain = green.reshape(45, 4, 120, 4).mean(axis=(1, 3))
    assert np.abs(cells_of(image) - plain).max() <= 1.0
