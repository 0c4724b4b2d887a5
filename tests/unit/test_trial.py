"""`gb-agent check` shows each model a picture, and says what comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agent.check import check_model
from agent.config import CameraConfig
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from agent.see.preprocess import Preprocess
from agent.see.trial import try_model
from tests.unit.onnx_files import write


def camera(path: Path, **keys: object) -> CameraConfig:
    return CameraConfig(source="scene:", model=str(path), **keys)  # type: ignore[arg-type]


def said(capsys: pytest.CaptureFixture[str], cam: CameraConfig) -> tuple[bool, str]:
    good = check_model("cam0", cam)
    return good, capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "names", "good", "told"),
    [
        (
            [[10, 10, 40, 40, 0.9, 0]],
            ["person"],
            True,
            "ok    cam0 model m.onnx: sees 2 object(s) in 2 picture(s)",
        ),
        (
            [[0, 0, 0, 0, 0, 0]],
            ["person"],
            False,
            "FAIL  cam0 model m.onnx: sees nothing in 2 pictures of a street",
        ),
        (
            [[0, 0, 0, 0, 0, 0]],
            ["helmet"],
            True,
            "warn  cam0 model m.onnx: sees nothing in 2 pictures of a street",
        ),
        (
            [[0.1, 0.1, 0.5, 0.5, 0.9, 0]],
            ["person"],
            False,
            "only boxes under 2 pixels or outside the picture",
        ),
        (
            [[900, 900, 950, 950, 0.9, 0]],
            ["person"],
            False,
            "only boxes under 2 pixels or outside the picture",
        ),
        ([[np.nan, 1, 9, 9, 0.9, 0]], ["person"], False, "numbers that are not finite"),
        ([[1, 1, 9, 9, np.nan, 0]], ["person"], False, "numbers that are not finite"),
        ([[1, 1, 9, 9, 0.9, 3]], ["person"], False, "a class that has no name"),
    ],
)
def test_check_says_what_a_model_sees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list, names: list[str], good: bool, told: str
) -> None:
    """Objects are good; nothing is not, where the street shows its classes; specks and nonsense never are."""
    path = write(tmp_path / "m.onnx", [np.asarray(rows, np.float32)])
    cam = camera(path, names=names, layout="end2end", preprocess=Preprocess(boxes="pixels"))
    passed, text = said(capsys, cam)
    assert passed == good
    assert told in text
    assert good != text.startswith("FAIL")


def test_check_tells_a_baked_confidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weaker boxes, with which the tracker would go on, never come out of such a file."""
    rows = [np.asarray([[10, 10, 40, 40, 0.9, 0]], np.float32)]
    path = write(tmp_path / "m.onnx", rows, names="['person']", args="{'nms': True, 'conf': 0.5}")
    good, text = said(capsys, camera(path))
    assert good
    assert "warn  cam0 model m.onnx: a confidence of 0.5 is baked into the file" in text


def test_a_packaged_model_sees_its_stored_picture() -> None:
    """A model with a stored answer is asked about that picture."""
    outcome = try_model(Detector(MODELS / "gb-yolo-n-mask.onnx", 0.1))
    assert outcome.good
    assert outcome.sure
