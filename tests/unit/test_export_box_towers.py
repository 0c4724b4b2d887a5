"""Boxes are computed where something is seen, and are those of the network's convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

import onnx  # noqa: E402  after the check for PyTorch

from export.errors import TrainError  # noqa: E402
from export.model.network import STRIDES  # noqa: E402
from export.onnx.decode import BOXES, ROWS  # noqa: E402
from export.onnx.parity import check_parity, noise, reference, run_whole  # noqa: E402
from export.onnx.to_onnx import describe, export  # noqa: E402
from tests.unit.test_export_onnx import RECIPE, SIZE, network  # noqa: E402

CELLS = [(SIZE[0] // stride) * (SIZE[1] // stride) for stride in STRIDES]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of one size."""
    path = tmp_path_factory.mktemp("model") / "one.onnx"
    export(network(), path, SIZE, describe(RECIPE, SIZE, 5, "1"))
    return path


def test_each_cell_gets_the_box_of_its_own_level(path: Path) -> None:
    """All cells, those at the edges and corners of all three maps too, are PyTorch's to 0.01 pixels."""
    picture = noise(SIZE, 4)
    said = run_whole(path, picture, 0)
    assert said[ROWS].tolist() == list(range(sum(CELLS)))
    boxes, _ = reference(network(), picture)
    assert np.abs(said[BOXES][0] - boxes).max() < 0.01


@pytest.mark.parametrize("least", [0.02, 0.1, 0.3])
def test_cells_that_see_nothing_are_not_decoded(path: Path, least: float) -> None:
    """Those as sure of a class as is asked for are, none that is clearly less; boxes stay the same."""
    picture = noise(SIZE, 4)
    boxes, classes = reference(network(), picture)
    said = run_whole(path, picture, least)
    best = classes.max(1)
    rows = said[ROWS]
    assert set(np.flatnonzero(best > least)) <= set(rows)
    assert (best[rows] > 0.97 * least).all()
    assert 0 < len(rows) < sum(CELLS)
    assert np.abs(said[BOXES][0] - boxes[rows]).max() < 0.01


def test_where_nothing_is_asked_for_nothing_is_said(path: Path) -> None:
    """At a confidence of 1 no cell is decoded, and the answer is empty."""
    said = run_whole(path, noise(SIZE, 4), 1)
    assert said[ROWS].shape == (0,)
    assert said["boxes"].shape == (0, 4)


def test_a_file_that_leaves_cells_out_is_refused(path: Path, tmp_path: Path) -> None:
    """The comparison with PyTorch sees that cells are missing, though the others' boxes are right."""
    proto = onnx.load(path)
    line = next(node for node in proto.graph.node if node.op_type == "GreaterOrEqual")
    line.op_type = "Less"
    wrong = tmp_path / "wrong.onnx"
    onnx.save(proto, wrong)
    with pytest.raises(TrainError, match="decodes other cells"):
        check_parity(network(), wrong, SIZE)
