"""Drawn streets are kept: what is read is what would be drawn, and damage or a full disk costs only time."""

from pathlib import Path

import numpy as np
import pytest

from export.data import drawn
from export.data.drawn import draw_scene, read_scene, street_file

NAMES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]
FRAMES = [230]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def no_drawing(*_: object) -> None:
    """Stand in for the drawing where nothing may be drawn."""
    raise AssertionError("drawn again")


def test_a_street_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reading draws nothing and gives the same pixels, boxes and classes."""
    fresh = draw_scene(71, FRAMES, NAMES)[0]
    read_scene([71], FRAMES, NAMES)
    monkeypatch.setattr(drawn, "draw_scene", no_drawing)
    kept = read_scene([71], FRAMES, NAMES)[0]
    np.testing.assert_array_equal(kept.image, fresh.image)
    np.testing.assert_array_equal(kept.boxes, fresh.boxes)
    np.testing.assert_array_equal(kept.allowed, fresh.allowed)
    assert (kept.source, kept.unlabelled.tolist(), len(kept.boxes) > 0) == ("scene", [False] * 6, True)


def test_other_frames_classes_and_programs_are_other_streets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes what would be drawn changes the file's name."""
    files = {
        street_file(71, FRAMES, NAMES),
        street_file(72, FRAMES, NAMES),
        street_file(71, [231], NAMES),
        street_file(71, FRAMES, NAMES[::-1]),
    }
    monkeypatch.setattr(drawn, "_program", lambda: "another")
    assert len(files | {street_file(71, FRAMES, NAMES)}) == 5


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"no archive at all"])
def test_a_damaged_file_is_drawn_again(content: bytes) -> None:
    """Half a file is no reason to end a training: the street is drawn, and whole on the disk again."""
    path = street_file(71, FRAMES, NAMES)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert len(read_scene([71], FRAMES, NAMES)) == 1
    assert len(path.read_bytes()) > 600_000
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the cache's place is a file, the street is still drawn, and one line says that it is not kept."""
    home.write_text("in the way")
    assert len(read_scene([71], FRAMES, NAMES)) == 1
    assert "not kept, so this street is drawn anew each time" in capsys.readouterr().err
