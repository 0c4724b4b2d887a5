"""A file that looks at the mirror image too: what it tells, that it is checked, and where it is refused."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from agent.boxes import Detections  # noqa: E402  after the check for PyTorch
from agent.check import check_model  # noqa: E402
from agent.config import CameraConfig  # noqa: E402
from agent.see.infer import Detector  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.model.network import cells  # noqa: E402
from export.onnx.mirror import opposite  # noqa: E402
from export.onnx.parity import check_parity, noise, reference  # noqa: E402
from export.onnx.quantize import quantize  # noqa: E402
from export.onnx.to_onnx import describe, export  # noqa: E402
from tests.unit.test_export_onnx import RECIPE, SIZE, network  # noqa: E402

SECOND = (64, 96)
MIRRORED = RECIPE | {"second_input": SECOND, "kinds": [["a"], ["b"]], "mirrored": True}


def written(folder: Path, recipe: dict[str, object]) -> Path:
    """Write the test's network as a file, as a recipe says it looks."""
    path = folder / "m.onnx"
    export(network(), path, SIZE, describe(recipe, SIZE, 5, "1"))
    return path


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of two sizes that looks at mirror images."""
    return written(tmp_path_factory.mktemp("mirror"), MIRRORED)


def turned(found: Detections) -> np.ndarray:
    """Return the boxes (n,4) as they lie in the mirror image, in an order of their own."""
    boxes = found.xyxy[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (SIZE[1], 0, SIZE[1], 0)
    return boxes[np.lexsort(boxes.T)]


def test_a_cell_is_averaged_with_the_one_that_looks_at_the_same_place() -> None:
    """The opposite of each cell has its centre mirrored, at the same height and of the same stride."""
    centres, strides = (part.numpy() for part in cells(96, 160))
    there = opposite((96, 160))
    np.testing.assert_array_equal(centres[there, 0], 160 - centres[:, 0])
    np.testing.assert_array_equal(centres[there, 1], centres[:, 1])
    np.testing.assert_array_equal(strides[there], strides)


@pytest.mark.parametrize("recipe", [MIRRORED, RECIPE | {"mirrored": True}], ids=["two sizes", "one size"])
def test_a_mirror_image_is_told_as_the_picture_mirrored(tmp_path: Path, recipe: dict[str, object]) -> None:
    """Boxes, scores and classes of a mirror image are those of the picture, on the other side."""
    detector = Detector(written(tmp_path, recipe), 0.1)
    assert detector.mirrored
    picture = noise(SIZE, 3)
    ours = detector.detect(picture)
    theirs = detector.detect(np.ascontiguousarray(picture[:, ::-1]))
    assert len(ours) > 3
    np.testing.assert_allclose(np.sort(theirs.confidence), np.sort(ours.confidence), atol=1e-5)
    expected = ours.xyxy[np.lexsort(ours.xyxy.T)]
    np.testing.assert_allclose(turned(theirs)[:, [1, 3]].sum(), expected[:, [1, 3]].sum(), rtol=1e-4)
    shares = np.abs(turned(theirs)[:, None] - ours.xyxy[None]).max(2).min(1)
    assert shares.max() < 0.05


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (RECIPE | {"mirrored": True}, "each picture in 96x128, mirrored too"),
        (MIRRORED, "each picture in two sizes, 96x128 and 64x96, mirrored too"),
    ],
)
def test_the_check_says_how_a_file_looks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: dict[str, object], words: str
) -> None:
    """`gb-agent check` names the sizes and the mirror image, which cost time."""
    check_model("cam0", CameraConfig("scene:", str(written(tmp_path, recipe))))
    assert words in capsys.readouterr().out


def test_without_it_a_mirror_image_is_told_otherwise(tmp_path: Path) -> None:
    """The same network alone does not tell both alike: the test above says something."""
    detector = Detector(written(tmp_path, RECIPE), 0.1)
    assert not detector.mirrored
    assert "mirrored" not in detector.inputs
    picture = noise(SIZE, 3)
    ours = detector.detect(picture).confidence
    theirs = detector.detect(np.ascontiguousarray(picture[:, ::-1])).confidence
    assert len(ours) != len(theirs) or np.abs(np.sort(ours) - np.sort(theirs)).max() > 1e-3


def test_the_mean_is_the_one_of_both_answers_of_the_network() -> None:
    """Boxes are the mean of both, scores the mean of logits, cell by cell, as PyTorch tells them."""
    picture = noise(SIZE, 5)
    both = reference(network(), picture, mirrored=True)
    boxes, scores = reference(network(), picture)
    other, other_scores = reference(network(), np.ascontiguousarray(picture[:, ::-1]))
    there = opposite(SIZE)
    back = other[there][:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (SIZE[1], 0, SIZE[1], 0)
    np.testing.assert_allclose(both[0], (boxes + back) / 2, atol=1e-3)
    pair = np.stack((scores, other_scores[there])).astype(np.float64)
    inside = ((pair > 1e-4) & (pair < 1 - 1e-4)).all(0)  # where a logit can be told from a score
    assert inside.sum() > 100
    mean = np.log(pair[:, inside] / (1 - pair[:, inside])).mean(0)
    np.testing.assert_allclose(both[1][inside], 1 / (1 + np.exp(-mean)), atol=1e-3)


def test_a_file_that_is_not_mirrored_is_not_taken_for_one(tmp_path: Path) -> None:
    """The comparison with PyTorch sees whether mirror images are in the mean."""
    path = written(tmp_path, RECIPE)
    with pytest.raises(TrainError, match=r"PyTorch|decodes other cells"):
        check_parity(network(), path, SIZE, mirrored=True)


def test_int8_is_mirrored_too(mirrored: Path, tmp_path: Path) -> None:
    """The int8 copy keeps both sizes and the mirror images, and finds the same best object."""
    target = tmp_path / "int8.onnx"
    nothing = (np.zeros((0, 4), np.float32), np.zeros((0, 2), bool), np.zeros(2, bool), "s")
    quantize(mirrored, target, [Picture(noise(SIZE, seed), *nothing) for seed in range(4)])
    small = Detector(target, 0.1)
    assert small.inputs == Detector(mirrored).inputs == "96x128 and 64x96, mirrored too"
    a = Detector(mirrored, 0.1).detect(noise(SIZE, 3))
    b = small.detect(noise(SIZE, 3))
    assert abs(float(a.confidence[0] - b.confidence[0])) < 0.1
