"""The ladder of paper 2: what its steps and its tables say of pictures whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")
pytest.importorskip("skimage", reason="scikit-image is only in the `export` extra")

from agent.boxes import Detections
from agent.look.judge import PACKAGED, Judge
from benchmarks.crops import states, textured
from benchmarks.face_rivals import Aizoo, CenterFace, Yunet, anchors
from benchmarks.ladder import BEGIN, END, STEPS, climbed, main, narrow, row
from benchmarks.look import PAGE
from export.crops.cut import NO_FACE, STORED, Crops
from export.crops.texture import texture
from export.data.sample import Picture
from export.judge.evaluate import Seen
from export.judge.mask_metrics import gather
from tests.unit.test_look import SMALL, Sees, picture

NAMES = ["with_mask", "without_mask"]


def striped(count: int = 24) -> Crops:
    """Return crops of two textures: fine stripes are masked, broad ones bare, at any brightness."""
    rng = np.random.default_rng(3)
    pixels = np.zeros((count, STORED, STORED, 3), np.uint8)
    state = np.arange(count) % 2
    for crop, kind in zip(pixels, state, strict=True):
        width = 4 if kind == 0 else 16
        crop[:] = rng.integers(40, 90)
        crop[:, np.arange(STORED) // width % 2 == 1] += np.uint8(100)
    return Crops(pixels, state, np.full(count, 40.0, np.float32), np.arange(count))


def test_each_step_of_the_ladder_finds_what_it_should() -> None:
    """The first look sees none of three small boxes; regions see them often, merged they are three."""
    detector = Sees()
    detector.names = {0: "with_mask", 1: "without_mask"}
    said = climbed(detector, Judge(PACKAGED, NAMES), picture(*SMALL))
    assert list(said) == list(STEPS)
    assert len(said["first look"]) == 0
    assert len(said["+ regions"]) >= len(SMALL)
    assert len(said["+ merge"]) == len(said["+ agreement"]) == len(said["+ judge"]) == len(SMALL)


def test_a_line_of_the_ladder_counts_both_ways() -> None:
    """Of two masked faces one is found and called bare: found a half, none right, recall 0."""
    boxes = np.asarray([(10, 10, 60, 60), (100, 100, 150, 150)], np.float32)
    allowed = np.asarray([(True, False)] * 2)
    shown = Picture(np.zeros((200, 200, 3), np.uint8), boxes, allowed, np.zeros(2, np.bool_), "here")
    found = Detections(boxes[:1], np.asarray([0.9], np.float32), np.ones(1, np.int64))
    cells = row("first look", gather([Seen(shown, found)], NAMES))
    assert [cell.partition(" ")[0] for cell in cells[1:]] == ["2", "0.500", "0.000", "-", "-", "0.000"]


def test_narrow_faces_are_told_apart_from_those_that_the_border_cuts() -> None:
    """Of a broad, a narrow, a small and a cut face one is narrow."""
    boxes = [(10, 10, 60, 60), (100, 100, 120, 150), (70, 70, 75, 90), (180, 20, 199.5, 90)]
    allowed = np.asarray([(True, False)] * 4)
    truths = np.asarray(boxes, np.float32)
    shown = Picture(np.zeros((200, 200, 3), np.uint8), truths, allowed, np.zeros(2, np.bool_), "here")
    found = Detections(truths[1:2], np.asarray([0.9], np.float32), np.zeros(1, np.int64))
    faces = gather([Seen(shown, found)], NAMES)
    assert faces.shape.tolist() == pytest.approx([1.0, 0.4, 0.25, np.inf])
    ((name, count, share, *_),) = narrow({"first look": faces})
    assert (name, count, share.partition(" ")[0]) == ("first look", "1", "1.000")


def test_texture_tells_fine_stripes_from_broad_ones() -> None:
    """96 features that do not depend on brightness alone; neighbours tell every crop that they never saw."""
    crops = striped()
    assert texture(crops.pixels[0]).shape == (96,)
    learnt = crops.some(np.arange(24) < 16)
    asked = crops.some(np.arange(24) >= 16)
    precision, recall, mask, bare = textured(learnt, asked)
    assert (precision, recall) == ("1.000", "1.000")
    assert mask.startswith("1.000")
    assert bare.startswith("1.000")


def test_the_row_of_a_judge_is_of_faces_alone() -> None:
    """Three masked faces, one called bare, one bare face called masked: precision and recall are 2 of 3."""
    state = np.asarray([0, 0, 0, 1, NO_FACE])
    crops = Crops(
        np.zeros((5, STORED, STORED, 3), np.uint8), state, np.full(5, 40.0, np.float32), np.arange(5)
    )
    says = np.asarray([(0.9, 0.1, 0), (0.8, 0.2, 0), (0.3, 0.7, 0), (0.6, 0.4, 0), (0, 0, 1)], np.float32)
    assert states(crops, says)[:2] == ("0.667", "0.667")


def test_yunet_finds_the_face_that_its_levels_hold(tmp_path: Path) -> None:
    """One cell of stride 8 that is sure of a face of 32 x 16 pixels gives that box, called bare."""
    levels = {}
    for step in (8, 16, 32):
        count = (640 // step) ** 2
        levels |= {f"cls_{step}": np.zeros((1, count, 1), np.float32)}
        levels |= {f"obj_{step}": np.zeros((1, count, 1), np.float32)}
        levels |= {f"bbox_{step}": np.zeros((1, count, 4), np.float32)}
    cell = 10 * 80 + 20  # row 10, column 20
    levels["cls_8"][0, cell] = levels["obj_8"][0, cell] = 0.81
    levels["bbox_8"][0, cell] = (0.5, 0.5, np.log(4), np.log(2))

    class Session:
        def get_outputs(self) -> list[object]:
            return [type("Port", (), {"name": name})() for name in levels]

    yunet = object.__new__(Yunet)
    yunet.session = Session()  # type: ignore[assignment]
    yunet.size = (640, 640)
    found = yunet.read(list(levels.values()), (320, 320, 3), 2.0)
    assert found.xyxy.tolist() == [
        [pytest.approx(74), pytest.approx(38), pytest.approx(90), pytest.approx(46)]
    ]
    assert found.confidence.tolist() == [pytest.approx(0.81)]
    assert found.class_id.tolist() == [1]


def test_aizoo_finds_the_face_of_an_anchor() -> None:
    """The second anchor of the first cell, moved by its own width and twice as high, is a masked face."""
    assert anchors().shape == (11000, 4)
    raw = np.zeros((1, 11000, 4), np.float32)
    raw[0, 1] = (10.0, 0.0, 0.0, 5 * np.log(2))  # in tenths of the anchor, and fifths of a power of e
    scores = np.zeros((1, 11000, 2), np.float32)
    scores[0, 1, 0] = 0.8
    found = object.__new__(Aizoo).read([raw, scores], (1000, 2000, 3), 1.0)
    middle = 0.5 / 45
    left = (middle + 0.056 - 0.028) * 2000
    assert found.xyxy[0].tolist() == [
        pytest.approx(left),
        pytest.approx((middle - 0.056) * 1000),
        pytest.approx(left + 112),
        pytest.approx((middle + 0.056) * 1000),
    ]
    assert found.class_id.tolist() == [0]


def test_centerface_finds_the_face_of_a_cell() -> None:
    """A sure cell gives a bare face of the picture's own pixels: 32 wide, 64 high, moved by half a cell."""
    scores = np.zeros((1, 1, 8, 16), np.float32)
    scores[0, 0, 3, 10] = 0.9
    sizes = np.zeros((1, 2, 8, 16), np.float32)
    sizes[0, :, 3, 10] = np.log(16), np.log(8)  # height and width, in cells
    offsets = np.zeros((1, 2, 8, 16), np.float32)
    offsets[0, :, 3, 10] = 0.5, 0.0  # down, to the right
    face = object.__new__(CenterFace)
    face.size = (32, 64)
    found = face.read([scores, sizes, offsets], (32, 64, 3), 1.0)
    assert found.xyxy[0].tolist() == pytest.approx([42 - 16, 16 - 32, 42 + 16, 16 + 32])
    assert found.class_id.tolist() == [1]


def test_what_cannot_be_measured_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is none, and a missing folder of data, are one line and status 2."""
    assert main(["noses"]) == 2
    assert "no such part: noses" in capsys.readouterr().err
    monkeypatch.delenv("GB_DATA", raising=False)
    assert main([]) == 2
    assert "GB_DATA" in capsys.readouterr().err


def test_the_page_has_a_place_for_the_ladder() -> None:
    """One command rewrites what lies between the markers."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
