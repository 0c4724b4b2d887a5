"""Every layout of the table, as its exporter writes it: the same boxes come out of each, right to a pixel.

The files are made here, of exactly the shapes, ports and metadata of the real exporters; what they answer is
worked out backwards from boxes in the picture, by the arithmetic that each exporter's own tools use.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.boxes import Detections
from agent.see.infer import Detector, ModelError
from agent.see.layouts import LAYOUTS, choose
from agent.see.outputs import Asked
from agent.see.preprocess import Preprocess
from tests.unit.onnx_files import Answer, write

HEIGHT = 64
WIDTH = 96
# left, top, right, bottom of the canvas, score, class
TRUE = [(10.0, 20.0, 30.0, 44.0, 0.9, 1), (50.0, 8.0, 90.0, 50.0, 0.5, 0)]
PICTURE = np.full((HEIGHT * 2, WIDTH * 2, 3), 90, np.uint8)
NAMES = ["person", "car"]
STRIDES = (8, 16, 32)


def cells(strides: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return (x, y, stride) of each cell, rows first."""
    return [(x, y, s) for s in strides for y in range(-(-HEIGHT // s)) for x in range(-(-WIDTH // s))]


def cell_of(strides: tuple[int, ...], x: float, y: float, stride: int) -> int:
    return cells(strides).index((int(x // stride), int(y // stride), stride))


def heads(classes: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows,2) boxes of nothing as (centre, size) and (rows,C) scores, a network's small ones."""
    noise = np.random.default_rng(3)
    return np.zeros((rows, 4), np.float32), noise.uniform(0.001, 0.02, (rows, classes)).astype(np.float32)


def centred(row: tuple[float, ...]) -> list[float]:
    x1, y1, x2, y2 = row[:4]
    return [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]


def fill(rows: int, *, scale: tuple[float, float] = (1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (rows,4) as centre and size, and scores (rows,2), with TRUE in rows 5 and 6."""
    boxes, scores = heads(2, rows)
    boxes[:] = np.asarray([WIDTH / 2, HEIGHT / 2, 9, 9])
    for at, row in enumerate(TRUE, 5):
        boxes[at] = centred(row)
        scores[at, int(row[5])] = row[4]
    boxes *= np.asarray(scale * 2, np.float32)
    return boxes, scores


def yolov8() -> list[np.ndarray]:
    return [np.concatenate(fill(126), 1).T[None].copy()]


def yolov8_rows() -> list[np.ndarray]:
    return [np.concatenate(fill(126), 1)[None]]


def rtdetr() -> list[np.ndarray]:
    return [np.concatenate(fill(300, scale=(1 / WIDTH, 1 / HEIGHT)), 1)[None]]


def rtdetr_topk() -> list[np.ndarray]:
    """The best queries: centre and size in fractions, score, class."""
    rows = np.tile(np.asarray([0.7, 0.6, 0.05, 0.05, 0.03, 1], np.float32), (300, 1))
    for at, row in enumerate(TRUE):
        rows[at] = [*(np.asarray(centred(row)) / (WIDTH, HEIGHT, WIDTH, HEIGHT)), row[4], row[5]]
    return [rows[None]]


def with_objectness(rows: int, sure: bool = False) -> list[np.ndarray]:
    boxes, scores = fill(rows)
    objectness = np.ones((rows, 1), np.float32) if sure else np.full((rows, 1), 0.95, np.float32)
    return [np.concatenate([boxes, objectness, scores / objectness], 1)[None]]


def yolov5() -> list[np.ndarray]:
    return with_objectness(3 * 126)


def yolov6() -> list[np.ndarray]:
    return with_objectness(126, sure=True)


def yolox_decoded() -> list[np.ndarray]:
    return with_objectness(126)


def yolox() -> list[np.ndarray]:
    """Offsets from cells and logarithms of sizes, in strides; most cells say something about nothing."""
    rows = np.random.default_rng(1).normal(0, 0.4, (126, 7)).astype(np.float32)
    rows[:, 4:] = 0.01
    for row in TRUE:
        x, y, width, height = centred(row)
        at = cell_of(STRIDES, x, y, 16)
        cx, cy, stride = cells(STRIDES)[at]
        rows[at, :4] = x / stride - cx, y / stride - cy, np.log(width / stride), np.log(height / stride)
        rows[at, 4] = 0.95
        rows[at, 5 + int(row[5])] = row[4] / 0.95
    return [rows[None]]


def end2end() -> list[np.ndarray]:
    rows = np.zeros((300, 6), np.float32)
    rows[: len(TRUE)] = TRUE
    return [rows[None]]


def end2end_flat() -> list[np.ndarray]:
    return [np.asarray(TRUE, np.float32)]


def deepstream() -> list[np.ndarray]:
    """Corners, score and class of each cell, not suppressed."""
    rows = np.tile(np.asarray([40, 30, 44, 34, 0.01, 0], np.float32), (126, 1))
    rows[3:9] = np.repeat(np.asarray(TRUE, np.float32), 3, 0)
    return [rows[None]]


def yolov7() -> list[np.ndarray]:
    return [np.asarray([(0, *row[:4], row[5], row[4]) for row in TRUE], np.float32)]


def bins(distance: float) -> list[float]:
    """Return 8 logits whose softmax has this mean: two neighbours share it."""
    low = min(int(distance), 6)
    odds = np.full(8, 1e-9)
    odds[low], odds[low + 1] = 1 - (distance - low) + 1e-9, distance - low + 1e-9
    return np.log(odds).tolist()


def distances(half: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (N,2) and distributions (N,32) of four strides; `half` of a cell is its middle."""
    every = cells((8, 16, 32, 64))
    _, scores = heads(2, len(every))
    sides = np.tile(np.asarray(bins(0.5) * 4, np.float32), (len(every), 1))
    for row in TRUE:
        x, y = centred(row)[:2]
        at = cell_of((8, 16, 32, 64), x, y, 16)
        cx, cy, s = every[at]
        middle = ((cx + half) * s, (cy + half) * s)
        parts = [middle[0] - row[0], middle[1] - row[1], row[2] - middle[0], row[3] - middle[1]]
        sides[at] = np.concatenate([bins(part / s) for part in parts])
        scores[at, int(row[5])] = row[4]
    return scores, sides


def nanodet() -> list[np.ndarray]:
    return [np.concatenate(distances(0.0), 1)[None]]


def picodet() -> list[np.ndarray]:
    scores, sides = distances(0.5)
    counts = [len(cells((s,))) for s in (8, 16, 32, 64)]
    cuts = np.cumsum(counts)[:-1]
    return [part[None] for whole in (scores, sides) for part in np.split(whole, cuts)]


def fastestdet() -> list[np.ndarray]:
    """A map of objectness, offset, size and two classes; score = objectness^0.6 * class^0.4."""
    every = cells((16,))
    rows = np.full((len(every), 7), 0.01, np.float32)
    for row in TRUE:
        x, y, width, height = centred(row)
        at = cell_of((16,), x, y, 16)
        cx, cy, _ = every[at]
        shares = np.asarray([width / WIDTH, height / HEIGHT])
        rows[at, 0] = row[4]
        rows[at, 1:3] = np.arctanh([x / 16 - cx - 1e-6, y / 16 - cy - 1e-6])
        rows[at, 3:5] = np.log(shares / (1 - shares))
        rows[at, 5 + int(row[5])] = row[4]
    return [rows.T.reshape(1, 7, HEIGHT // 16, WIDTH // 16)]


def queries(columns: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (1,300,4) in fractions and logits (1,300,C)."""
    boxes, scores = fill(300, scale=(1 / WIDTH, 1 / HEIGHT))
    logits = np.full((300, columns), -5, np.float32)
    logits[:, :2] = np.log(scores / (1 - scores))
    return boxes[None], logits[None]


def detr() -> list[np.ndarray]:
    boxes, logits = queries()
    return [logits, boxes]


def rfdetr() -> list[np.ndarray]:
    return list(queries(3))


def dfine() -> list[np.ndarray]:
    rows = np.asarray(TRUE, np.float32)
    return [rows[None, :, 5].astype(np.int64), rows[None, :, :4].copy(), rows[None, :, 4].copy()]


def paddle() -> list[np.ndarray]:
    rows = np.asarray([(row[5], row[4], *row[:4]) for row in TRUE], np.float32)
    return [rows, np.asarray([len(rows)], np.int32)]


def boxes_scores() -> list[np.ndarray]:
    boxes, scores = fill(126)
    half = boxes[:, 2:] / 2
    return [np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)[None], scores.T[None].copy()]


PADDLE = (("image", "picture"), ("scale_factor", [1, 2]), ("im_shape", [1, 2]))
DFINE = (("images", "picture"), ("orig_target_sizes", [1, 2]))

# the layout that is found; what is answered; how the picture is fitted; the ports
CASES: dict[str, tuple[str, Callable[[], list[np.ndarray]], Answer]] = {
    "Ultralytics v8, 11": ("yolov8", yolov8, Answer()),
    "rows instead of columns": ("yolov8-rows", yolov8_rows, Answer()),
    "Ultralytics RT-DETR, two classes": ("rtdetr", rtdetr, Answer()),
    "Ultralytics RT-DETR of 2026": ("rtdetr-topk", rtdetr_topk, Answer()),
    "YOLOv5": ("yolov5", yolov5, Answer()),
    "YOLOv6": ("yolov6", yolov6, Answer()),
    "YOLOX": ("yolox", yolox, Answer()),
    "YOLOX, decoded": ("yolox-decoded", yolox_decoded, Answer()),
    "Ultralytics end2end": ("end2end", end2end, Answer()),
    "list": ("end2end", end2end_flat, Answer()),
    "DeepStream": ("end2end", deepstream, Answer()),
    "YOLOv7 end2end": ("yolov7", yolov7, Answer()),
    "NanoDet-Plus": ("nanodet-plus", nanodet, Answer()),
    "FastestDet": ("fastestdet", fastestdet, Answer()),
    "RT-DETR, D-FINE of transformers": ("detr", detr, Answer(outputs=("logits", "pred_boxes"))),
    "RF-DETR": ("rfdetr", rfdetr, Answer(outputs=("dets", "labels"))),
    "D-FINE": ("dfine", dfine, Answer(inputs=DFINE, outputs=("labels", "boxes", "scores"))),
    "PicoDet": ("picodet", picodet, Answer()),
    "PicoDet with suppression": ("paddle", paddle, Answer(inputs=PADDLE)),
    "PicoDet without suppression": ("boxes-scores", boxes_scores, Answer()),
}


def assert_true(found: Detections, scale: float = 2.0, tolerance: float = 0.5) -> None:
    """Check that both boxes, their scores and classes are those of TRUE in a picture so much larger."""
    assert len(found) == len(TRUE)
    np.testing.assert_allclose(found.xyxy, np.asarray(TRUE)[:, :4] * scale, atol=tolerance)
    np.testing.assert_allclose(found.confidence, np.asarray(TRUE)[:, 4], atol=1e-3)
    assert found.class_id.tolist() == [1, 0]


@pytest.mark.parametrize("case", CASES)
def test_each_exporter_gives_the_same_boxes(tmp_path: Path, case: str) -> None:
    """The layout is found without a word from the owner, and what was put in comes out, to half a pixel."""
    layout, answer, ports = CASES[case]
    detector = Detector(write(tmp_path / "m.onnx", answer(), ports, names=json.dumps(NAMES)))
    assert detector.layout == layout
    assert_true(detector.detect(PICTURE))


@pytest.mark.parametrize("case", CASES)
def test_each_layout_can_be_declared(tmp_path: Path, case: str) -> None:
    """`layout` in the config says what the file does not; with it nothing is found out."""
    layout, answer, ports = CASES[case]
    path = write(tmp_path / "m.onnx", answer(), ports)
    assert_true(Detector(path, names=NAMES, layout=layout).detect(PICTURE))


def test_every_layout_has_its_file() -> None:
    """No row of the table is without a test."""
    assert {layout for layout, _, _ in CASES.values()} == set(LAYOUTS)


@pytest.mark.parametrize(
    "case", ["Ultralytics v8, 11", "YOLOv5", "Ultralytics end2end", "YOLOv7 end2end", "DeepStream"]
)
def test_boxes_in_fractions_are_found_out(tmp_path: Path, case: str) -> None:
    """Boxes in 0..1 are boxes, not specks in a corner."""
    layout, answer, ports = CASES[case]
    arrays = answer()
    rows = arrays[0][0].T if layout == "yolov8" else arrays[0].reshape(-1, arrays[0].shape[-1])
    start = 1 if layout == "yolov7" else 0
    rows[:, start : start + 4] /= (WIDTH, HEIGHT, WIDTH, HEIGHT)
    assert_true(
        Detector(write(tmp_path / "m.onnx", arrays, ports), names=NAMES, layout=layout).detect(PICTURE)
    )


@pytest.mark.parametrize(
    "said",
    ["['person', 'car']", '["person", "car"]', "{0: 'person', 1: 'car'}", '{"1": "car", "0": "person"}'],
)
def test_names_of_every_form_are_read(tmp_path: Path, said: str) -> None:
    """Lists and dicts, of Python and of JSON, whose keys are text."""
    detector = Detector(write(tmp_path / "m.onnx", yolov8(), names=said))
    assert detector.names == {0: "person", 1: "car"}


# ── what is not plain ─────────────────────────────────────────────────────────────────────────────


def test_two_meanings_are_named(tmp_path: Path) -> None:
    """A list of six columns that holds nothing may be a two-class RT-DETR or suppressed: both are named."""
    path = write(tmp_path / "m.onnx", [np.zeros((1, 300, 6), np.float32)])
    with pytest.raises(ModelError) as caught:
        Detector(path, names=NAMES)
    told = str(caught.value)
    assert "several meanings" in told
    assert 'layout = "rtdetr"' in told
    assert 'layout = "end2end"' in told
    assert "\n" not in told
    assert Detector(path, names=NAMES, layout="end2end").layout == "end2end"
    assert (
        Detector(write(path, [np.zeros((1, 300, 6), np.float32)], end2end="True"), names=NAMES).layout
        == "end2end"
    )
    args = "{'batch': 1, 'nms': True, 'conf': 0.25}"
    assert (
        Detector(write(path, [np.zeros((1, 300, 6), np.float32)], args=args), names=NAMES).layout == "end2end"
    )
    said = "Ultralytics RT-DETR-l model"
    assert (
        Detector(write(path, [np.zeros((1, 300, 6), np.float32)], description=said), names=NAMES).layout
        == "rtdetr"
    )


def test_one_class_of_six_columns(tmp_path: Path) -> None:
    """DeepStream's (1, N, 6) of one class is told from YOLOX's by its numbers; of zeros one is asked."""
    rows = deepstream()[0]
    rows[..., 5] = 0
    assert Detector(write(tmp_path / "a.onnx", [rows]), names=["car"]).layout == "end2end"
    boxes = yolox()[0][..., :6]
    assert Detector(write(tmp_path / "b.onnx", [boxes]), names=["car"]).layout == "yolox"
    with pytest.raises(ModelError, match=r'layout = "yolox".* or layout = "end2end"'):
        Detector(write(tmp_path / "c.onnx", [np.zeros((1, 126, 6), np.float32)]), names=["car"])


@pytest.mark.parametrize("task", ["classify", "segment", "pose", "obb", "semantic"])
def test_other_tasks_are_refused(tmp_path: Path, task: str) -> None:
    """A network that does not detect is refused by what its metadata says."""
    path = write(tmp_path / "m.onnx", yolov8(), task=task)
    with pytest.raises(ModelError, match=f"its task is '{task}': the agent needs boxes; export a model"):
        Detector(path, names=NAMES)


@pytest.mark.parametrize("classes", [2, 6, 7])
def test_a_classifier_is_refused(tmp_path: Path, classes: int) -> None:
    """(1, 6) with six names is no list of boxes."""
    scores = np.random.default_rng(0).dirichlet(np.ones(classes), 1).astype(np.float32)
    with pytest.raises(ModelError, match=f"one score for each of {classes} classes: a classifier"):
        Detector(write(tmp_path / "m.onnx", [scores]), names=[f"c{n}" for n in range(classes)])


def test_what_is_declared_must_fit(tmp_path: Path) -> None:
    """A layout that the output does not have, and one that there is not, are told in one line."""
    path = write(tmp_path / "m.onnx", yolov8())
    with pytest.raises(
        ModelError, match=r"layout = 'yolox' is .* with 2 class names its output is \(1, 6, 126\)"
    ):
        Detector(path, names=NAMES, layout="yolox")
    with pytest.raises(
        ModelError, match=r"layout = 'yolo8': not known; did you mean 'yolov8'\? Use one of yolov8,"
    ):
        Detector(path, names=NAMES, layout="yolo8")


def test_numbers_that_fit_nothing_are_told(tmp_path: Path) -> None:
    """Scores beyond 0..1 in the shape of a known layout: it is another network."""
    arrays = yolov8()
    arrays[0][0, 4:] *= 90
    with pytest.raises(
        ModelError, match=r'numbers fit no layout of its shape: .* known is layout = "yolov8"'
    ):
        Detector(write(tmp_path / "m.onnx", arrays), names=NAMES)


@pytest.mark.parametrize("boxes_first", [True, False])
@pytest.mark.parametrize("largest", [1.0, 640.0])
def test_finished_scores_beside_boxes_are_no_logits(
    tmp_path: Path, boxes_first: bool, largest: float
) -> None:
    """Corners and scores of other networks (YOLO-NAS, DAMO-YOLO, SSD) have the shape of queries: they are
    refused, not read as centres and logits.
    """
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.uniform(0, largest, (1, 8400, 2, 2)), 2).reshape(1, 8400, 4).astype(np.float32)
    scores = rng.uniform(0.001, 0.3, (1, 8400, len(NAMES))).astype(np.float32)
    arrays = [boxes, scores] if boxes_first else [scores, boxes]
    with pytest.raises(ModelError, match=r"numbers fit no layout of its shape: .* if it is none of these"):
        Detector(write(tmp_path / "m.onnx", arrays), names=NAMES)


@pytest.mark.parametrize("outputs", [("dets", "labels"), ("labels", "dets"), ("a", "b"), ("b", "a")])
def test_three_classes_and_a_background_are_as_wide_as_a_box(outputs: tuple[str, str]) -> None:
    """RF-DETR with three classes answers (1,Q,4) twice: which holds the boxes is told by name, else by what
    logits cannot be.
    """
    boxes = np.array([[[0.5, 0.5, 0.2, 0.4]]], np.float32)
    logits = np.array([[[-6.0, 3.0, -5.0, -7.0]]], np.float32)
    swapped = outputs[0] in ("labels", "b")
    arrays = [logits, boxes] if swapped else [boxes, logits]
    asked = Asked(3, (640, 640), ("images",), outputs)
    layout = choose([arrays, arrays], asked)
    assert layout.name == "rfdetr"
    xyxy, scores, classes = layout.read(arrays, asked, 0.25)
    assert np.allclose(xyxy, [[0.4, 0.3, 0.6, 0.7]])
    assert scores[0] == pytest.approx(0.9526, abs=1e-3)
    assert list(classes) == [1]


# ── what goes in ──────────────────────────────────────────────────────────────────────────────────

SEEN = {
    "yolov8": ((0.2, 0.4, 0.6), "letterbox"),
    "rtdetr": ((0.2, 0.4, 0.6), "stretch"),
    "yolov5": ((0.2, 0.4, 0.6), "letterbox"),
    "end2end": ((0.2, 0.4, 0.6), "letterbox"),
    "detr": ((0.2, 0.4, 0.6), "stretch"),
    "dfine": ((0.2, 0.4, 0.6), "stretch"),
    "yolox": ((153, 102, 51), "corner"),
    "fastestdet": ((0.6, 0.4, 0.2), "stretch"),
    "rfdetr": ((-1.2445, -0.2500, 0.8623), "stretch"),
    "picodet": ((-1.2445, -0.2500, 0.8623), "stretch"),
    "nanodet-plus": ((0.8622, -0.2500, -1.2445), "stretch"),
}


@pytest.mark.parametrize("layout", SEEN)
def test_the_picture_goes_in_as_the_exporter_wants_it(tmp_path: Path, layout: str) -> None:
    """Order of colours, mean, deviation and fit are those of each layout's own tools."""
    values, fit = SEEN[layout]
    wanted = LAYOUTS[layout].input
    blob = wanted.blob(np.full((2, 3, 3), (153, 102, 51), np.uint8))  # blue, green, red
    assert blob.shape == (1, 3, 2, 3)
    np.testing.assert_allclose(blob[0, :, 0, 0], values, atol=1e-3)
    assert wanted.fit == fit


@pytest.mark.parametrize("fit", ["letterbox", "corner", "stretch"])
def test_every_fit_finds_the_way_back(tmp_path: Path, fit: str) -> None:
    """A tall picture on a wide canvas: boxes come back to where they were, whatever the fit."""
    tall = np.full((HEIGHT * 2, HEIGHT, 3), 90, np.uint8)  # letterbox: scaled by 1/2, 32 wide, padded by 32
    boxes = {"letterbox": (42, 16, 52, 40), "corner": (10, 16, 20, 40), "stretch": (30, 16, 60, 40)}
    rows = np.asarray([[*boxes[fit], 0.9, 0]], np.float32)
    path = write(tmp_path / "m.onnx", [rows])
    detector = Detector(path, names=NAMES, layout="end2end", preprocess=Preprocess(fit=fit, boxes="pixels"))
    np.testing.assert_allclose(detector.detect(tall).xyxy, [[20, 32, 40, 80]], atol=0.5)


@pytest.mark.parametrize(("pad", "fit"), [("topleft", "corner"), ("center", "letterbox"), ("", "letterbox")])
def test_the_metadata_may_tell_the_padding(tmp_path: Path, pad: str, fit: str) -> None:
    """LibreYOLO says where it pads; boxes of a tall picture come back to their place."""
    boxes = {"letterbox": (42, 16, 52, 40), "corner": (10, 16, 20, 40)}
    rows = np.asarray([[*boxes[fit], 0.9, 0]], np.float32)
    said = {"letterbox_pad": pad} if pad else {}
    path = write(tmp_path / "m.onnx", [rows], **said)
    tall = np.full((HEIGHT * 2, HEIGHT, 3), 90, np.uint8)
    np.testing.assert_allclose(Detector(path, names=NAMES).detect(tall).xyxy, [[20, 32, 40, 80]], atol=0.5)


def test_a_head_that_only_detects_is_told_by_its_name(tmp_path: Path) -> None:
    """Ultralytics names the head: with it there is one meaning."""
    path = write(tmp_path / "m.onnx", yolov8(), head="Detect", end2end="False")
    assert Detector(path, names=NAMES).layout == "yolov8"
    path = write(tmp_path / "m.onnx", [np.zeros((1, 300, 6), np.float32)], head="RTDETRDecoder")
    assert Detector(path, names=NAMES).layout == "rtdetr"
