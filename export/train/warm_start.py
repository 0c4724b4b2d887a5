"""Begin a training from what an exported file knows.

    .onnx ─ read back ─▶ folded network ─ norms, shares ─▶ network that learns ─ transfer ─▶ the recipe's

What always holds: the network that learns says what the file says, to float precision, and only arrays of
classes that the file does not know are new. Norms come back by looking: what a folded convolution gives has
some mean and spread over pictures; a norm that takes both out and puts both back changes nothing.
"""

# mypy: allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from torch import Tensor, nn

from export.errors import TrainError
from export.model.network import EPSILON, BiFPN, Convolution, Head, Network
from export.model.widen import widen
from export.model.zoo import make_model
from export.onnx.to_onnx import folded_copy
from export.onnx.writer import read_back

CLASSES = ".class_out."  # the arrays that depend on which classes there are


def read_file(path: Path) -> tuple[Network, dict[str, Any]]:
    """Return the folded network in a float file, and its recipe.

    Raises `TrainError` for a file that `gb-export onnx` did not write in float.
    """
    try:
        proto = onnx.load(path)
        said = {entry.key: entry.value for entry in proto.metadata_props}
        recipe: dict[str, Any] = json.loads(said["recipe"])
        return read_back(proto, folded_copy(make_model(recipe))), recipe
    except (DecodeError, OSError, KeyError, IndexError, ValueError, RuntimeError):
        raise TrainError(
            f"{path}: not a float file of this `gb-export onnx`; start from such a file, or a checkpoint"
        ) from None


def load_trainable(path: Path, canvases: Iterable[NDArray[np.uint8]]) -> tuple[Network, dict[str, Any]]:
    """Return the network in a float file as one that learns, and its recipe; canvases (B,h,w,3) RGB.

    Raises `TrainError` as `read_file` does.
    """
    folded, recipe = read_file(path)
    return unfold(folded, make_model(recipe), canvases), recipe


@torch.no_grad()
def unfold(folded: Network, fresh: Network, canvases: Iterable[NDArray[np.uint8]]) -> Network:
    """Give a fresh network what a folded one knows; canvases (B,h,w,3) RGB tell how its channels range."""
    convolutions = [module for module in folded.modules() if isinstance(module, Convolution)]
    seen = spreads(folded, [module[0] for module in convolutions], canvases)
    ours = [module for module in fresh.modules() if isinstance(module, Convolution)]
    for target, source, (mean, variance) in zip(ours, convolutions, seen, strict=True):
        target[0].weight.copy_(source[0].weight)
        norm = target[1]
        norm.running_mean.copy_(mean - source[0].bias)  # of the convolution without its bias
        norm.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean)
    ours[0][0].weight.copy_(ours[0][0].weight.flip(1) * 255)  # bytes BGR -> 0..1 RGB
    for name, module in fresh.named_modules():
        if isinstance(module, nn.Conv2d) and not isinstance(_parent(fresh, name), Convolution):
            _copy(module, folded.get_submodule(name))
    if isinstance(fresh.neck, BiFPN):
        for node, fusion in fresh.neck.nodes():
            fusion.weight.fill_(1.0)
            node[0].weight.mul_(len(fusion.weight) + EPSILON)  # a folded sum has no shares
    return fresh


def _parent(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def _copy(target: nn.Conv2d, source: nn.Conv2d) -> None:
    target.weight.copy_(source.weight)
    if target.bias is not None:
        target.bias.copy_(source.bias)


def spreads(
    folded: Network, layers: list[nn.Conv2d], canvases: Iterable[NDArray[np.uint8]]
) -> list[tuple[Tensor, Tensor]]:
    """Return mean and variance (channels,) of what each layer gives, over canvases (B,h,w,3) RGB."""
    sums = [torch.zeros(3, layer.out_channels, dtype=torch.float64) for layer in layers]

    def note(total: Tensor) -> Any:
        def hook(layer: nn.Module, inputs: Any, result: Tensor) -> None:
            flat = result.transpose(0, 1).flatten(1).double()  # (channels, B*h*w)
            total.add_(torch.stack((torch.ones(len(flat)) * flat.shape[1], flat.sum(1), (flat**2).sum(1))))

        return hook

    hooks = [layer.register_forward_hook(note(total)) for layer, total in zip(layers, sums, strict=True)]
    for batch in canvases:
        bgr = torch.from_numpy(batch[..., ::-1].copy()).permute(0, 3, 1, 2).float()
        folded.levels(bgr)
    for hook in hooks:
        hook.remove()
    means = [(total[1] / total[0], total[2] / total[0]) for total in sums]
    return [(mean.float(), (square - mean**2).clamp(min=0).float()) for mean, square in means]


@torch.no_grad()
def transfer(known: Network, names: list[str], recipe: dict[str, Any]) -> Network:
    """Return a network of the recipe's shape and classes that begins with what `known` knows of them.

    Classes go by their names; those that `known` has not heard of begin fresh. A wider network of the same
    depths begins as a widened copy. Raises `TrainError` where the shapes have nothing in common.
    """
    ours = make_model(recipe)
    small = ours if _alike(known, ours) else _of_classes(known, len(recipe["names"]))
    state = small.state_dict()
    arrays = known.state_dict()
    rows = [(row, names.index(name)) for row, name in enumerate(recipe["names"]) if name in names]
    for name, array in arrays.items():
        if CLASSES not in name:
            state[name].copy_(array)
        for row, theirs in rows if CLASSES in name else []:
            state[name][row] = array[theirs]
    if small is not ours:
        widen(small, ours, recipe["seed"])
    return ours


def _alike(one: Network, other: Network) -> bool:
    """Say whether two networks have the same shapes but for how many classes they tell."""
    shapes = [
        {name: array.shape for name, array in network.state_dict().items() if CLASSES not in name}
        for network in (one, other)
    ]
    return shapes[0] == shapes[1]


def _of_classes(known: Network, classes: int) -> Network:
    """Return a copy of a network whose heads tell so many classes, all fresh."""
    network = copy.deepcopy(known)
    network.classes = classes
    for head in network.heads:
        head.class_out = Head(1, head.class_out.in_channels, classes).class_out
    return network
