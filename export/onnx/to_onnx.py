"""Write a trained network as one .onnx file that needs no code round it.

The network's own nodes come from `export.onnx.writer`; here they get decoding, suppression and metadata. What
always holds: the written file has been compared with PyTorch on a picture that nothing in it was made from,
and names its classes, data licence and recipe.

    picture uint8 (1,h,w,3) BGR ┐
    confidence float (1,)       ┴─▶ boxes (N,4) input pixels, scores (N,), classes (N,); best first
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from agent.atomic_file import replacing
from agent.see.infer import FORMAT, MIRRORED, SECOND
from export.errors import TrainError
from export.model.baseline import AnchorNetwork
from export.model.network import STRIDES, Network
from export.model.zoo import make_model
from export.onnx.decode import IOU, Cells, Kinds, decode, decode_anchors, suppress
from export.onnx.fold import fold
from export.onnx.graph import Graph
from export.onnx.mirror import beside
from export.onnx.pairing import SMALL, alone, apart, least_score, pair, strongest
from export.onnx.parity import check_parity
from export.onnx.second_size import doubt, shrink
from export.onnx.self_test import store_answer
from export.onnx.writer import PARTS, PICTURE, Writer

OPSET = 17
IR_VERSION = 8
MADE = "%Y-%m-%d %H:%M UTC"  # how a file tells when it was made
Size = tuple[int, int]  # height, width


def fold_input(model: Network) -> Network:
    """Let the stem take BGR bytes 0..255 instead of RGB 0..1: exact, for zero stays zero at the border."""
    stem = model.stage2[0][0]
    stem.weight.data = stem.weight.data[:, [2, 1, 0]] / 255
    return model


def unfold_input(folded: Network) -> Network:
    """Return a copy of a folded network whose stem takes RGB 0..1, as `fold_input` found it."""
    plain = copy.deepcopy(folded)
    stem = plain.stage2[0][0]
    stem.weight.data = stem.weight.data[:, [2, 1, 0]] * 255
    return plain


def folded_copy(model: Network, *, fusions: bool = True) -> Network:
    """Return a folded copy of a network whose stem takes bytes; `fusions` as `fold` takes it."""
    return fold_input(fold(copy.deepcopy(model).float().cpu(), fusions=fusions))


def write(
    folded: Network, size: Size, metadata: dict[str, str], form: str = PARTS
) -> tuple[onnx.ModelProto, set[str]]:
    """Write the graph of a folded network; return it and the nodes that stay in float in int8.

    Where the metadata names a second size, the picture is looked at in that size too, with the same weights,
    if the first leaves a doubt (`export.onnx.second_size`); where they say that it is mirrored, each with its
    mirror image (`export.onnx.mirror`);
    where it names kinds of objects, these are suppressed apart (`export.onnx.pairing`).
    """
    graph = Graph()
    second = second_of(metadata)
    kinds = kinds_of(metadata)
    mirrored = MIRRORED in metadata
    check_can(folded, size, second, kinds, mirrored=mirrored)
    parted = second is not None or len(kinds) > 1
    least = least_score(graph) if parted else "confidence"
    cells, in_float = look(graph, folded, size, form, kinds, least, mirrored=mirrored)
    if parted:
        large = strongest(graph, cells, size, size, kinds, least)
        cells = alone(graph, large)
    if second:
        asked = doubt(graph, large.classes, large.scores)
        picture = shrink(graph, size, second, asked)
        others, more = look(graph, folded, second, form, kinds, least, picture, SMALL, mirrored=mirrored)
        small = strongest(graph, others, size, second, kinds, least, SMALL)
        cells = pair(graph, large, small, folded.classes, asked)
        in_float |= more
    suppress(graph, cells, moved(size, kinds))
    if form == PARTS:
        graph.regroup()
    return pack(graph, size, metadata), in_float


def look(
    graph: Graph,
    folded: Network,
    size: Size,
    form: str,
    kinds: Kinds,
    least: str,
    picture: str = PICTURE,
    mark: str = "",
    *,
    mirrored: bool = False,
) -> tuple[Cells, set[str]]:
    """Add a network and its decoding for a picture of one size, `mirrored` too; return as `write` does.

    Cells are decoded from the score `least` (1,) on.
    """
    if mirrored:
        picture = beside(graph, picture)
    writer = Writer(graph, size, form, picture)
    levels = writer.network(folded)
    if isinstance(folded, AnchorNetwork):
        return decode_anchors(graph, levels, size, folded.classes), writer.in_float
    cells = decode(graph, levels, size, form, kinds, least, folded.heads, mark, mirrored=mirrored)
    return cells, writer.in_float


def check_can(folded: Network, size: Size, second: Size | None, kinds: Kinds, *, mirrored: bool) -> None:
    """Raise `TrainError` for a second size, kinds of objects or mirroring that a network cannot have."""
    if isinstance(folded, AnchorNetwork) and (second or len(kinds) > 1 or mirrored):
        raise TrainError(
            "a network with anchors looks at one size and knows one kind: "
            "leave second_input, kinds and mirrored out"
        )
    if second and not (second[0] < size[0] and second[1] < size[1]):
        first = "x".join(map(str, size))
        raise TrainError(f"second size {'x'.join(map(str, second))}: must be smaller than {first} both ways")


def pack(graph: Graph, size: Size, metadata: dict[str, str]) -> onnx.ModelProto:
    """Give a graph its ports, version and metadata."""
    ports = [
        helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, *size, 3]),
        helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]),
    ]
    results = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("classes", TensorProto.INT64, ["n"]),
    ]
    body = helper.make_graph(graph.nodes, "gb-yolo", ports, results, graph.constants, value_info=graph.shapes)
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="gb-fleet")
    proto.ir_version = IR_VERSION
    helper.set_model_props(proto, metadata)
    onnx.checker.check_model(proto)
    return proto


def describe(
    recipe: dict[str, Any], size: Size, pictures: int, version: str, made: float | None = None
) -> dict[str, str]:
    """Return the metadata that goes into the file; `made` is when, in seconds since 1970, else now."""
    date = datetime.now(UTC) if made is None else datetime.fromtimestamp(made, UTC)
    said = {
        "format": FORMAT,
        "name": recipe["name"],
        "version": version,
        "task": recipe["task"],
        "names": json.dumps(recipe["names"]),
        "input": f"{size[0]}x{size[1]} uint8 BGR",
        "strides": json.dumps(STRIDES),
        "suppression_iou": str(IOU),
        "licence": recipe["licence"],
        "recipe": json.dumps(recipe),
        "pictures_seen": str(pictures),
        "made": date.strftime(MADE),
    }
    if second := recipe.get("second_input"):
        said[SECOND] = "{}x{}".format(*second)
    if recipe.get("mirrored"):
        said[MIRRORED] = "yes"
    if kinds := recipe.get("kinds"):
        said["kinds"] = json.dumps(kinds)
    return said


def second_of(metadata: dict[str, str]) -> Size | None:
    """Return the second size that a file's metadata name."""
    if SECOND not in metadata:
        return None
    height, _, width = metadata[SECOND].partition("x")
    return int(height), int(width)


def kinds_of(metadata: dict[str, str]) -> Kinds:
    """Return the kinds of objects that metadata name, else all classes as one; raises `TrainError`."""
    names = json.loads(metadata["names"])
    kinds = json.loads(metadata.get("kinds", "null")) or [names]
    if sorted(name for kind in kinds for name in kind) != sorted(names):
        raise TrainError(f"kinds: must name each of {', '.join(names)} once")
    return tuple(tuple(names.index(name) for name in kind) for kind in kinds)


def moved(size: Size, kinds: Kinds) -> list[float]:
    """Return by how much the boxes of each class are moved while kinds are kept apart."""
    place = {name: by for kind, by in zip(kinds, apart(size, kinds).tolist(), strict=True) for name in kind}
    return [place[name] for name in sorted(place)]


def export_average(
    state: dict[str, Any],
    path: Path,
    version: str,
    said: dict[str, Any] | None = None,
    made: float | None = None,
) -> tuple[float, float]:
    """Write a checkpoint's average weights; return their differences from PyTorch.

    Args:
        state: the checkpoint.
        path: of the file.
        version: of this package.
        said: `input`, `second_input`, `mirrored` and `kinds` of the file, where they are not its recipe's.
        made: when, in seconds since 1970; now if it is not said.
    """
    recipe = state["recipe"] | (said or {})
    model = make_model(recipe)
    model.load_state_dict(state["average"])
    size = (recipe["input"][0], recipe["input"][1])
    return export(model, path, size, describe(recipe, size, state["done"] * recipe["batch"], version, made))


def export(model: Network, path: Path, size: Size, metadata: dict[str, str]) -> tuple[float, float]:
    """Write a network, return its differences from PyTorch; an old file stays until the new one is right."""
    return _export(folded_copy(model), model, path, size, metadata)


def export_folded(folded: Network, path: Path, size: Size, metadata: dict[str, str]) -> tuple[float, float]:
    """Write a folded network with these very weights, as `export` does."""
    return _export(folded, unfold_input(folded), path, size, metadata)


def _export(
    folded: Network, model: Network, path: Path, size: Size, metadata: dict[str, str]
) -> tuple[float, float]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as fresh:
        onnx.save(write(folded, size, metadata)[0], fresh)
        looks = second_of(metadata), kinds_of(metadata), MIRRORED in metadata
        difference = check_parity(model, fresh, size, 1, *looks)
        store_answer(fresh)
    return difference
