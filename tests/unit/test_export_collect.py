"""Frames worth labelling: unlike each other, doubtful for the model, and nobody else's to read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.boxes import Detections, Uint8
from agent.see.slot import Frame
from agent.street.scene import Scene
from export.__main__ import main
from export.data.collect import Choice, collect, distance, looks, sampled, save, worth


def found(*scores: float) -> Detections:
    """Return boxes of these scores, one beside the other."""
    boxes = np.asarray([[10 * n, 10, 10 * n + 8, 30] for n in range(len(scores))], np.float32).reshape(-1, 4)
    return Detections(boxes, np.asarray(scores, np.float32), np.zeros(len(scores), np.int64))


def places(count: int) -> list[Uint8]:
    """Return pictures of so many places that do not look alike."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 6, 8, 3), np.uint8)
    return [np.asarray(cv2.resize(one, (160, 120), interpolation=cv2.INTER_NEAREST)) for one in coarse]


def test_doubt_is_worth_more_than_certainty() -> None:
    """An object of which the model is unsure is worth most, a sure one little, an empty frame nothing."""
    assert worth(found()) == 0
    assert worth(found(0.3)) > worth(found(0.95)) > 0
    assert worth(found(0.3, 0.3)) > worth(found(0.3))


def test_frames_of_one_place_are_kept_once() -> None:
    """Of a hundred frames of five places five are kept, whichever are the most doubtful ones."""
    choice = Choice(20)
    rng = np.random.default_rng(1)
    for number in range(100):
        place = places(5)[number % 5].astype(np.int16) + rng.integers(-3, 4, (120, 160, 3))
        score = 0.3 if number in (37, 61) else 0.9
        choice.offer(np.clip(place, 0, 255).astype(np.uint8), found(score), number)
    assert len(choice.kept) == 5
    assert {37, 61} <= {kept.number for kept in choice.kept}


def test_no_more_than_asked_for_and_unlike_each_other() -> None:
    """From forty places ten are kept, of which no two are as alike as the closest two of all."""
    choice = Choice(10)
    views = places(40)
    for number, view in enumerate(views):
        choice.offer(view, found(0.9), number)
    assert len(choice.kept) == 10

    def closest(vectors: list[np.ndarray]) -> float:
        return min(distance(a, b) for n, a in enumerate(vectors) for b in vectors[:n])

    everything = [looks(view, found(0.9)) for view in views]
    assert closest([kept.looks for kept in choice.kept]) > closest(everything)


def test_the_same_frames_give_the_same_choice() -> None:
    """Nothing is drawn by lot."""
    chosen = []
    for _ in range(2):
        choice = Choice(8)
        for number, view in enumerate(places(30)):
            choice.offer(view, found(0.1 * (number % 9)), number)
        chosen.append([kept.number for kept in choice.kept])
    assert chosen[0] == chosen[1]


def test_frames_are_looked_at_every_so_often() -> None:
    """The source's own time counts, not how fast it is read."""
    image = np.zeros((8, 8, 3), np.uint8)
    frames = [Frame(image, n, n / 10, n / 10) for n in range(50)]
    assert [frame.number for frame in sampled(frames, 1.0)] == [0, 10, 20, 30, 40]


class Unsure:
    """A model that is unsure of one thing in every frame."""

    def detect(self, image_bgr: Uint8) -> Detections:
        """Return one doubtful box."""
        return found(0.3)


def test_what_is_written_is_its_owners_alone(tmp_path: Path) -> None:
    """Pictures are readable by nobody else, and lie in the order in which they came."""
    frames = [Frame(view, n, float(n), float(n)) for n, view in enumerate(places(6))]
    written = save(collect(frames, Unsure(), 4, 1.0), tmp_path)
    assert len(written) == 4
    assert written == sorted(written)
    assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert cv2.imread(str(written[0])).shape == (120, 160, 3)


def test_the_command_watches_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gb-export collect` reads a film to its end and writes a few frames into a folder of its owner's."""
    film = tmp_path / "film.avi"
    scene = Scene(4)
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (640, 360))
    for number in range(0, 900, 30):
        writer.write(cv2.resize(scene.frame(number), (640, 360)))
    writer.release()
    out = tmp_path / "chosen"
    words = ["collect", str(film), "--out", str(out), "--count", "5", "--every", "0.2"]
    assert main(words) == 0
    assert out.stat().st_mode & 0o777 == 0o700
    assert 1 <= len(list(out.iterdir())) <= 5
    assert "nothing was sent anywhere" in capsys.readouterr().out
    assert main(words) == 2
    assert "is not empty" in capsys.readouterr().err
    assert (
        main(["collect", str(tmp_path / "none.mp4"), "--out", str(tmp_path / "x"), "--minutes", "0.02"]) == 2
    )
    assert "no frame came" in capsys.readouterr().err
    assert main([*words, "--count", "0"]) == 2
    assert "must be above 0" in capsys.readouterr().err
