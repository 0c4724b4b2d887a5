"""Compare a written file with PyTorch: what each cell tells, what is kept, and how two sizes are paired.

Nothing of the file is taken on trust: its cells are compared with the network's own answer, its suppression
with `agent.boxes.nms`, and its pairing with `paired`, which writes the rule of `export.onnx.pairing` again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch.nn import functional

from agent.boxes import iou, nms
from export.errors import TrainError
from export.model.network import Network
from export.onnx.decode import IOU, LIMIT
from export.onnx.pairing import ALONE, LOW, LOW_SHARE, PAIR_IOU, PLACED, SEEN, SIDES, SMALL

ASKED = 0.001  # confidence of the comparison
INNER = ("all_boxes", "all_scores", "found_boxes", "found_classes")  # of each size; and of both:
PAIRED = ("paired_boxes", "paired_classes")
Array = NDArray[Any]
Size = tuple[int, int]


def reference(
    model: Network, picture: NDArray[np.uint8], second: Size | None = None
) -> tuple[Array, Array, Array]:
    """Ask PyTorch about all cells of a picture (h,w,3) BGR, made smaller first where `second` says a size.

    Returns boxes (A,4), best scores (A,), classes (A,).
    """
    rgb = torch.from_numpy(np.ascontiguousarray(picture[None, :, :, ::-1].transpose(0, 3, 1, 2))).float()
    if second:
        rgb = functional.interpolate(rgb, second, mode="bilinear", align_corners=False)
    with torch.no_grad():
        raw = model.eval()(rgb / 255)
    best = raw.logits[0].sigmoid().max(1)
    return raw.xyxy[0].numpy(), best.values.numpy(), best.indices.numpy()


def noise(size: Size, seed: int) -> NDArray[np.uint8]:
    """Return a picture (h,w,3) of coarse patches under fine noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 128, (size[0] // 16, size[1] // 16, 3), np.uint8)
    fine = rng.integers(0, 128, (*size, 3), np.uint8)
    return np.asarray(coarse.repeat(16, 0).repeat(16, 1) + fine, np.uint8)


def run_whole(path: Path, picture: NDArray[np.uint8], confidence: float) -> dict[str, Array]:
    """Run a file on a picture (h,w,3) and return what it says before and after suppression."""
    proto = onnx.load(path)
    made = {name for node in proto.graph.node for name in node.output}
    for name in (*INNER, *(f"{name}{SMALL}" for name in INNER), *PAIRED):
        if name in made:
            proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    least = np.asarray([confidence], np.float32)
    names = [port.name for port in session.get_outputs()]
    return dict(zip(names, session.run(None, {"picture": picture[None], "confidence": least}), strict=True))


def paired(large: tuple[Array, Array], small: tuple[Array, Array]) -> tuple[Array, Array]:
    """Pair the finds of two sizes: each boxes (n,4) in the large picture's pixels and probabilities (n,C).

    Returns boxes (n+m,4) and probabilities (n+m,C), in this order; what is in a pair leaves a row of zeros.
    """
    boxes, classes = (part.astype(np.float64) for part in large)
    other_boxes, other_classes = (part.astype(np.float64) for part in small)
    alike: NDArray[np.bool_] = np.greater_equal(iou(large[0], small[0]), PAIR_IOU)  # (n,m)
    surest = other_classes.max(1, initial=0)
    in_pairs = (alike & (surest > 0)).any(1)
    for row in np.flatnonzero(in_pairs):
        partner = np.where(alike[row], surest, -1).argmax()
        area = float(np.prod(boxes[row, 2:] - boxes[row, :2]))
        seen, placed = (np.interp(np.log(max(area, 1)), 2 * np.log(SIDES), share) for share in (SEEN, PLACED))
        weights = placed * classes[row].max(), (1 - placed) * surest[partner]
        boxes[row] = np.average((boxes[row], other_boxes[partner]), axis=0, weights=weights)
        classes[row] = seen * classes[row] + (1 - seen) * other_classes[partner]
    classes[~in_pairs] *= ALONE
    other_classes *= ALONE * ~alike.any(0, keepdims=True).T
    return np.concatenate((boxes, other_boxes)), np.concatenate((classes, other_classes))


def check_parity(
    model: Network, path: Path, size: Size, seed: int = 1, second: Size | None = None
) -> tuple[float, float]:
    """Compare file and network on a picture; return the largest differences (pixels, score).

    All cells are compared with PyTorch, suppression and pairing with ours on the file's own cells. Raises
    `TrainError` where the file says something else.
    """
    picture = noise(size, seed)
    said = run_whole(path, picture, ASKED)
    true = reference(model, picture)
    differences = [_check_cells(path, said, true, "")]
    if second is None:
        _check_answer(path, said, said["all_boxes"][0], said["all_scores"][0, 0], true[2])
    else:
        true_small = reference(model, picture, second)
        differences.append(_check_cells(path, said, true_small, SMALL))
        _check_finds(path, said, true[2], "", (1, 1))
        scale = size[1] / second[1], size[0] / second[0]
        _check_finds(path, said, true_small[2], SMALL, scale)
        _check_pairs(path, said)
        boxes, classes = (said[name][0] for name in PAIRED)
        _check_answer(path, said, boxes, classes.max(1), classes.argmax(1))
    pixels, scores = zip(*differences, strict=True)
    return max(pixels), max(scores)


def _check_cells(
    path: Path, said: dict[str, Array], true: tuple[Array, Array, Array], mark: str
) -> tuple[float, float]:
    """Compare the cells of one size with PyTorch's; return the largest differences."""
    by_pixels = float(np.abs(said[f"all_boxes{mark}"][0] - true[0]).max())
    by_score = float(np.abs(said[f"all_scores{mark}"][0, 0] - true[1]).max())
    if by_pixels > 0.05 or by_score > 1e-3:
        raise TrainError(
            f"{path}: differs from PyTorch by {by_pixels:.3g} pixels, {by_score:.3g} score; do not use it"
        )
    return by_pixels, by_score


def _kept(boxes: Array, scores: Array, least: float) -> Array:
    """Return the rows that `agent.boxes.nms` keeps of boxes (A,4) and scores (A,), best first."""
    above = np.flatnonzero(scores > np.float32(least))
    return above[nms(boxes[above], scores[above], np.zeros(len(above), np.int64), IOU, LIMIT)]


def _check_finds(
    path: Path, said: dict[str, Array], classes: Array, mark: str, scale: tuple[float, float]
) -> None:
    """Compare what one size finds with ours on its cells, and with PyTorch's classes (A,)."""
    boxes = said[f"all_boxes{mark}"][0]
    rows = _kept(boxes, said[f"all_scores{mark}"][0, 0], min(LOW, LOW_SHARE * ASKED))
    found = said[f"found_boxes{mark}"]
    names = said[f"found_classes{mark}"][:-1].argmax(1)
    if len(found) != len(rows) + 1 or not np.allclose(
        np.sort(found[:-1], 0), np.sort(boxes[rows] * (scale * 2), 0), atol=1e-2
    ):
        raise TrainError(f"{path}: its suppression keeps other boxes than `agent.boxes.nms`; do not use it")
    if not np.array_equal(np.sort(classes[rows]), np.sort(names)):
        raise TrainError(f"{path}: calls some boxes by other names than PyTorch; do not use it")


def _check_pairs(path: Path, said: dict[str, Array]) -> None:
    """Compare the pairs of both sizes' finds with ours; the last row of each is the empty one."""
    large, small = ((said[f"found_boxes{mark}"], said[f"found_classes{mark}"]) for mark in ("", SMALL))
    for name, ours, near in zip(PAIRED, paired(large, small), (0.05, 1e-4), strict=True):
        if not np.allclose(said[name][0], ours, atol=near):
            raise TrainError(f"{path}: pairs the two sizes in another way than it should; do not use it")


def _check_answer(path: Path, said: dict[str, Array], boxes: Array, scores: Array, classes: Array) -> None:
    """Compare the answer with ours on boxes (A,4), scores (A,) and classes (A,)."""
    rows = _kept(boxes, scores, ASKED)
    if not np.array_equal(np.sort(scores[rows]), np.sort(said["scores"])):
        raise TrainError(f"{path}: its suppression keeps other boxes than `agent.boxes.nms`; do not use it")
    if not np.array_equal(np.sort(classes[rows]), np.sort(said["classes"])):
        raise TrainError(f"{path}: calls some boxes by other names than PyTorch; do not use it")
