"""The parts of a camera's loop that can be judged without a camera."""

from __future__ import annotations

import cv2
import numpy as np

from agent import wire
from agent.pipeline import Watch, picture, rows
from agent.track import Tracks


def test_time_between_frames_is_watched() -> None:
    """Ten frames a second for two seconds are two seconds watched."""
    watch = Watch()
    for number in range(21):
        watch.frame(number / 10)
    assert watch.take() == (2000, {})
    assert watch.take() == (0, {})


def test_a_gap_between_frames_was_not_watched() -> None:
    """Five seconds without a frame are blind time, though the camera never said that it was lost."""
    watch = Watch()
    watch.frame(0.0)
    watch.frame(1.0)
    watch.frame(6.0)
    watch.frame(7.0)
    assert watch.take() == (2000, {"stalled": 5000})


def test_lost_camera_is_blind_with_its_reason_and_not_booked_twice() -> None:
    """The first frame after a loss does not book the loss again."""
    watch = Watch()
    watch.frame(0.0)
    watch.missed("absent", 0.5)
    watch.missed("absent", 0.5)
    watch.frame(60.0)
    watch.frame(60.5)
    assert watch.take() == (500, {"absent": 1000})


def test_a_live_row_takes_twelve_bytes_and_gives_the_box_back() -> None:
    """A box on the wire is 12 bytes and right to a thousandth of the frame."""
    tracks = Tracks(
        xyxy=np.array([[96, 54, 480, 270]], np.float32),
        track_id=np.array([7]),
        confidence=np.array([0.876], np.float32),
        class_id=np.array([2]),
    )
    packed = rows(tracks, (960, 540))
    assert len(packed) == 12
    track, *box, kind, score = wire.unpack_rows(packed)[0]
    assert (track, kind, score) == (7, 2, 88)
    np.testing.assert_allclose(box, [0.1, 0.1, 0.5, 0.5], atol=1e-3)


def test_a_preview_is_a_small_jpeg() -> None:
    """A large frame leaves as at most 640 pixels of width, its shape kept."""
    image = np.full((1080, 1920, 3), 90, np.uint8)
    decoded = cv2.imdecode(np.frombuffer(picture(image), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (360, 640, 3)
