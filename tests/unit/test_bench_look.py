"""What the second look is measured by: walls with exact truth, and both looks on the same pictures."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from agent.boxes import Detections
from benchmarks.look import CELL, Looks, by_class, by_size, hang, main, wall
from benchmarks.papers import PAGE as PAPERS
from export.data.sample import Picture
from export.judge.evaluate import Seen

NAMES = ("with_mask", "without_mask")


def picture(width: int, height: int, box: tuple[float, float, float, float]) -> Picture:
    """Draw a picture with one green face in a box, left, top, right, bottom in pixels."""
    image = np.full((height, width, 3), 60, np.uint8)
    left, top, right, bottom = (int(edge) for edge in box)
    image[top:bottom, left:right] = (40, 220, 40)
    allowed = np.asarray([[True, False]])
    return Picture(image, np.asarray([box], np.float32), allowed, np.zeros(2, np.bool_), "aizoo")


def test_a_face_on_a_wall_is_where_its_box_says() -> None:
    """Large and small, wide and high pictures in cells: each box is full of its face, and nothing else is."""
    pictures = [
        picture(1280, 720, (400, 200, 560, 400)),
        picture(300, 200, (10, 20, 50, 80)),
        picture(400, 900, (100, 700, 250, 860)),
    ] * 3
    hung = wall(pictures, (3 * CELL[0], 3 * CELL[1]))
    green = hung.image[:, :, 1] > 150
    assert len(hung.boxes) == 9
    inside = np.zeros_like(green)
    for left, top, right, bottom in np.rint(hung.boxes).astype(int).tolist():
        assert green[top + 1 : bottom - 1, left + 1 : right - 1].all()
        inside[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = True
    assert not (green & ~inside).any()


def test_the_same_pictures_give_the_same_walls() -> None:
    """Full HD holds 24 pictures; another call hangs the same ones in the same places."""
    pictures = [picture(200 + step, 200, (20, 20, 60, 60)) for step in range(50)]
    first, second = hang(pictures, (1920, 1080), 2), hang(pictures, (1920, 1080), 2)
    assert [len(one.boxes) for one in first] == [24, 24]
    assert all((one.image == other.image).all() for one, other in zip(first, second, strict=True))


def test_both_looks_are_judged_on_the_same_faces() -> None:
    """A small face that only both looks find is worth a point of recall; the precision is that of each."""
    shown = picture(400, 400, (100, 100, 115, 115))
    nothing = Seen(shown, Detections.empty())
    found = Detections(shown.boxes, np.asarray([0.7], np.float32), np.asarray([0]))
    looks = Looks([nothing], [Seen(shown, found)], 2.0, 3.0)
    assert looks.ratio == 1.5
    assert [(row.truths, row.first, row.both) for row in by_class(looks, NAMES)] == [(1, 0.0, 1.0)]
    (row,) = by_size("wall", looks, 2, [("8-20", 8.0, 20.0)])
    assert row.cells() == ("wall", "recall at precision 0.9, 8-20 px", "1", "0.000", "1.000", "+100.0")


def test_what_cannot_be_measured_is_refused(capsys, monkeypatch) -> None:
    """A part that is none, and a missing folder of data, are one line and status 2."""
    assert main(["noses"]) == 2
    assert "no such part: noses" in capsys.readouterr().err
    monkeypatch.delenv("GB_DATA", raising=False)
    assert main([]) == 2
    assert "GB_DATA" in capsys.readouterr().err


def test_the_page_has_a_place_for_the_rows() -> None:
    """One command rewrites what lies between the markers."""
    page = PAPERS.read_text(encoding="utf-8")
    assert page.count("<!-- second look: python -m benchmarks.look -->") == 1
    assert page.count("<!-- end of second look -->") == 1
