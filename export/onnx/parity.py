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
from export.onnx.decode import BOXES, IOU, LIMIT, MARGIN, ROWS, SCORES, Kinds
from export.onnx.mirror import opposite
from export.onnx.pairing import ALONE, LOW, LOW_SHARE, PAIR_IOU, PLACED, SEEN, SIDES, SMALL, apart
from export.onnx.second_size import ALWAYS, DOUBTED, NEVER, TWICE, doubt_from, in_doubt

ASKED = 0.001  # confidence of the comparison
INNER = (BOXES, SCORES, "found_boxes", "found_classes")  # of each size; and of both:
PAIRED = ("paired_boxes", "paired_classes")
Array = NDArray[Any]
Size = tuple[int, int]
Cells = tuple[Array, Array]


def reference(
    model: Network, picture: NDArray[np.uint8], second: Size | None = None, *, mirrored: bool = False
) -> Cells:
    """Ask PyTorch about all cells of a picture (h,w,3) BGR, made smaller first where `second` says a size.

    `mirrored` takes the mean with the mirror image. Returns boxes (A,4) and probabilities (A,C).
    """
    rgb = torch.from_numpy(np.ascontiguousarray(picture[None, :, :, ::-1].transpose(0, 3, 1, 2))).float()
    if second:
        rgb = functional.interpolate(rgb, second, mode="bilinear", align_corners=False)
    both = torch.cat((rgb, rgb.flip(3))) if mirrored else rgb
    with torch.no_grad():
        raw = model.eval()(both / 255)
    boxes = raw.xyxy[0]
    logits = raw.logits[0]
    if mirrored:
        height, width = rgb.shape[2:]
        back = opposite((height, width))
        turned = raw.xyxy[1, back][:, [2, 1, 0, 3]]
        turned[:, 0::2] = width - turned[:, 0::2]
        boxes = (boxes + turned) / 2
        logits = (logits + raw.logits[1, back]) / 2
    return boxes.numpy(), logits.sigmoid().numpy()


def noise(size: Size, seed: int) -> NDArray[np.uint8]:
    """Return a picture (h,w,3) of coarse patches under fine noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 128, (size[0] // 16, size[1] // 16, 3), np.uint8)
    fine = rng.integers(0, 128, (*size, 3), np.uint8)
    return np.asarray(coarse.repeat(16, 0).repeat(16, 1) + fine, np.uint8)


def run_whole(
    path: Path, picture: NDArray[np.uint8], confidence: float, doubted: float = DOUBTED
) -> dict[str, Array]:
    """Run a file on a picture (h,w,3) and return what it says before and after suppression.

    It is in doubt, and looks at its second size, from the score `doubted` on.
    """
    proto = onnx.load(path)
    doubt_from(proto, doubted)
    made = {name for node in proto.graph.node for name in node.output}
    if TWICE in made:
        proto.graph.output.append(helper.make_tensor_value_info(TWICE, TensorProto.BOOL, None))
    for name in {ROWS, f"{ROWS}{SMALL}"} & made:
        proto.graph.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
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
    model: Network,
    path: Path,
    size: Size,
    seed: int = 1,
    second: Size | None = None,
    kinds: Kinds | None = None,
    mirrored: bool = False,
) -> tuple[float, float]:
    """Compare file and network on a picture; return the largest differences (pixels, score).

    All cells that see something are compared with PyTorch, suppression and pairing with ours on the file's
    own cells.

    Args:
        model: the network.
        path: of the file.
        size: of its input.
        seed: of the picture.
        second: size in which the file looks at a picture as well.
        kinds: of objects, that are suppressed apart; all classes are one kind if it is not said.
        mirrored: whether it looks at mirror images as well.

    Raises:
        TrainError: the file says something else.
    """
    kinds = kinds or (tuple(range(model.classes)),)
    picture = noise(size, seed)
    said = run_whole(path, picture, ASKED, ALWAYS)
    views = {"": (size, reference(model, picture, mirrored=mirrored))}
    if second:
        views[SMALL] = second, reference(model, picture, second, mirrored=mirrored)
    least = min(LOW, LOW_SHARE * ASKED) if second or len(kinds) > 1 else ASKED
    views = {mark: (own, _seen(path, said, true, least, mark)) for mark, (own, true) in views.items()}
    differences = [_check_cells(path, said, true, kinds, mark) for mark, (_, true) in views.items()]
    if second is None and len(kinds) == 1:
        boxes, scores, classes = said[BOXES][0], said[SCORES][0, 0], views[""][1][1].argmax(1)
    else:
        for mark, (own, true) in views.items():
            _check_finds(path, said, true[1], kinds, mark, (size, own))
        if second:
            _check_doubt(path, picture)
        boxes, told = _pairs(path, said) if second else (said["found_boxes"], said["found_classes"])
        scores, classes = told.max(1), told.argmax(1)
    _check_answer(path, said, boxes, scores, classes)
    place = {name: by for kind, by in zip(kinds, apart(size, kinds), strict=True) for name in kind}
    _check_back(path, said, boxes, place)
    pixels, by_score = zip(*differences, strict=True)
    return max(pixels), max(by_score)


def _seen(path: Path, said: dict[str, Array], true: Cells, least: float, mark: str) -> Cells:
    """Return the network's answer for the cells that a file decodes; raise where these are others.

    They are those that are as sure of something as `least`, and at most some that are hardly less.
    """
    rows = said.get(f"{ROWS}{mark}")
    if rows is None:  # a network with anchors decodes all
        return true
    best = true[1].max(1)
    inside = np.isin(np.arange(len(best)), rows)
    hardly = least / (least + (1 - least) * np.exp(2 * MARGIN))  # so much less as a logit
    if (best[~inside] > least).any() or (best[inside] < hardly).any():
        raise TrainError(f"{path}: decodes other cells than those that see something; do not use it")
    return true[0][rows], true[1][rows]


def _check_cells(
    path: Path, said: dict[str, Array], true: Cells, kinds: Kinds, mark: str
) -> tuple[float, float]:
    """Compare the decoded cells of one size with PyTorch's; return the largest differences."""
    best = np.stack([true[1][:, list(kind)].max(1) for kind in kinds])  # (G,A)
    by_pixels = float(np.abs(said[f"{BOXES}{mark}"][0] - true[0]).max(initial=0))
    by_score = float(np.abs(said[f"{SCORES}{mark}"][0] - best).max(initial=0))
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
    path: Path,
    said: dict[str, Array],
    sure: Array,
    kinds: Kinds,
    mark: str,
    sizes: tuple[Size, Size],
) -> None:
    """Compare what one size finds with ours on its cells, and with PyTorch's probabilities (A,C).

    `sizes` are the large picture's and this one's.
    """
    size, own = sizes
    cells = said[f"{BOXES}{mark}"][0]
    ours, names = [], []
    for kind, by, scores in zip(kinds, apart(size, kinds), said[f"{SCORES}{mark}"][0], strict=True):
        rows = _kept(cells, scores, min(LOW, LOW_SHARE * ASKED))
        ours.append(cells[rows] * ((size[1] / own[1], size[0] / own[0]) * 2) + by)
        names.append(np.asarray(kind)[sure[rows][:, list(kind)].argmax(1)])
    found = said[f"found_boxes{mark}"][:-1]
    expected = np.concatenate(ours)
    if found.shape != expected.shape or not np.allclose(np.sort(found, 0), np.sort(expected, 0), atol=1e-2):
        raise TrainError(f"{path}: its suppression keeps other boxes than `agent.boxes.nms`; do not use it")
    told = said[f"found_classes{mark}"][:-1].argmax(1)
    if not np.array_equal(np.sort(np.concatenate(names)), np.sort(told)):
        raise TrainError(f"{path}: calls some boxes by other names than PyTorch; do not use it")


def _pairs(path: Path, said: dict[str, Array]) -> Cells:
    """Return boxes and probabilities of the pairs, compared with ours of both sizes' finds."""
    large, small = ((said[f"found_boxes{mark}"], said[f"found_classes{mark}"]) for mark in ("", SMALL))
    for name, ours, near in zip(PAIRED, paired(large, small), (0.05, 1e-4), strict=True):
        if not np.allclose(said[name][0], ours, atol=near):
            raise TrainError(f"{path}: pairs the two sizes in another way than it should; do not use it")
    return said[PAIRED[0]][0], said[PAIRED[1]][0]


def _check_doubt(path: Path, picture: NDArray[np.uint8]) -> None:
    """Check that a file looks twice where it is in doubt, and else tells what it sees in the first size."""
    said = run_whole(path, picture, ASKED)
    if bool(said[TWICE][0]) is not in_doubt(said["found_classes"]):
        raise TrainError(f"{path}: is in doubt where it should not be, or is not; do not use it")
    once = run_whole(path, picture, ASKED, NEVER)
    told = once["found_classes"]
    _check_answer(path, once, once["found_boxes"], told.max(1), told.argmax(1))


def _check_answer(path: Path, said: dict[str, Array], boxes: Array, scores: Array, classes: Array) -> None:
    """Compare the answer with ours on boxes (A,4), scores (A,) and classes (A,)."""
    rows = _kept(boxes, scores, ASKED)
    if not np.array_equal(np.sort(scores[rows]), np.sort(said["scores"])):
        raise TrainError(f"{path}: its suppression keeps other boxes than `agent.boxes.nms`; do not use it")
    if not np.array_equal(np.sort(classes[rows]), np.sort(said["classes"])):
        raise TrainError(f"{path}: calls some boxes by other names than PyTorch; do not use it")


def _check_back(path: Path, said: dict[str, Array], boxes: Array, place: dict[int, float]) -> None:
    """Check that the answer's boxes are some of these (A,4), moved back by their class's place."""
    by = np.asarray([place[name] for name in said["classes"].tolist()]).reshape(-1, 1)
    away = np.abs((said["boxes"] + by)[:, None] - boxes[None]).max(2).min(1, initial=np.inf)
    if (away > 0.01).any():
        raise TrainError(f"{path}: its boxes lie elsewhere than those that it kept; do not use it")
