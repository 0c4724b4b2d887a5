"""Files that other exporters really wrote: read without a word from the owner, and right about a street.

Small public detectors lie beside the development data (`peers` beside `GB_DATA`); without them this is
skipped. `GB_REAL_MODELS` may name a folder of more files, called LAYOUT--anything.onnx, each made in an
environment of its own by its tool's documented command (random weights do; two classes where the file does
not name them): it must be read by that layout.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from agent.boxes import iou
from agent.see.infer import Detector
from agent.see.trial import try_model
from agent.street.scene import CLASSES, Scene

DATA = os.environ.get("GB_DATA")
PEERS = Path(DATA).parent / "peers" if DATA else None
MORE = Path(os.environ.get("GB_REAL_MODELS", "/nowhere"))
COCO = ["person", "bicycle", "car", "motorcycle", "4", "bus", "6", "truck", *map(str, range(8, 80))]

there = pytest.mark.skipif(not PEERS or not PEERS.is_dir(), reason="no folder `peers` beside GB_DATA")


@there
@pytest.mark.parametrize(
    ("file", "layout"),
    [("yolox_nano_416", "yolox"), ("picodet_s_416", "picodet"), ("fastestdet", "fastestdet")],
)
def test_a_public_detector_finds_the_drawn_street(file: str, layout: str) -> None:
    """Colours, fit and decoding are right: people and cars are where the street's truth has them."""
    assert PEERS
    detector = Detector(PEERS / f"{file}.onnx", 0.3, names=COCO)
    assert detector.layout == layout
    scene = Scene(7)
    found = detector.detect(scene.frame(450))
    truth = scene.truth(450)
    for name in ("person", "car"):
        told = found.xyxy[found.class_id == COCO.index(name)]
        true = np.asarray(truth.xyxy[truth.class_id == CLASSES.index(name)], np.float32)
        assert (iou(true, told) >= 0.6).any(), name


@there
def test_wrong_colours_are_worse() -> None:
    """What YOLOX's own tools give it is right: the same picture in 0..1 shows it next to nothing."""
    from agent.see.preprocess import Preprocess

    assert PEERS
    picture = Scene(7).frame(450)
    dark = Preprocess(std=[255.0, 255.0, 255.0])
    path = PEERS / "yolox_nano_416.onnx"
    right = Detector(path, 0.3, names=COCO).detect(picture)
    assert len(right) > len(Detector(path, 0.3, names=COCO, preprocess=dark).detect(picture))


@pytest.mark.parametrize("path", sorted(MORE.glob("*--*.onnx")), ids=lambda path: path.stem)
def test_a_real_file_is_read_by_its_layout(path: Path) -> None:
    """The layout is found, it runs, and what it says of a picture is numbers."""
    metadata = {each.key for each in onnx.load(path).metadata_props}
    detector = Detector(path, 0.1, names=[] if "names" in metadata else ["one", "two"])
    assert detector.layout == path.stem.partition("--")[0]
    assert "finite" not in try_model(detector).told
