"""The family by name: which networks there are, which one a recipe means, and what each costs.

What always holds: a recipe without `model` means `n`, and a checkpoint's own recipe says which network it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from export.errors import DataError
from export.model.baseline import yolov5
from export.model.network import GBYolo, Network

FAMILY: dict[str, Callable[[int], Network]] = {
    "n": GBYolo,
    "s": lambda classes: GBYolo(classes, (32, 64, 128, 256, 512), 96),
    "paper": lambda classes: GBYolo(classes, literal=True),
    "yolov5n": lambda classes: yolov5(classes, 0.25, 0.33),
    "yolov5s": lambda classes: yolov5(classes, 0.5, 0.33),
    "yolov5n-published": lambda classes: yolov5(classes, 0.25, 0.33, published=True),
    "yolov5s-published": lambda classes: yolov5(classes, 0.5, 0.33, published=True),
}


class Cost(NamedTuple):
    """Say what a network costs: learned numbers, and 10^9 operations for one picture (2 a multiplication)."""

    parameters: int
    gflops: float


def make_model(recipe: dict[str, Any]) -> Network:
    """Return the untrained network of a recipe: `model` is a name, or a table of GB-YOLO's own shape.

    Raises `DataError` for a name or a key that is not known.
    """
    wanted = recipe.get("model", "n")
    classes = len(recipe["names"])
    if isinstance(wanted, dict):
        unknown = set(wanted) - {"widths", "neck", "depths", "literal"}
        if unknown:
            raise DataError(f"model.{sorted(unknown)[0]}: not known; use widths, neck, depths, literal")
        return GBYolo(classes, **wanted)
    if wanted not in FAMILY:
        raise DataError(f"model = {wanted!r}: not known; use one of {', '.join(FAMILY)}")
    return FAMILY[wanted](classes)


def parameters(model: nn.Module) -> int:
    """Count the learned numbers."""
    return sum(p.numel() for p in model.parameters())


def cost(build: Callable[[int], Network], classes: int, size: tuple[int, int] = (640, 640)) -> Cost:
    """Count what a network of the family costs at an input size (height, width); computes nothing."""
    with torch.device("meta"):
        model = build(classes).eval()
        operations = 0

        def count(layer: nn.Conv2d, _: Any, result: torch.Tensor) -> None:
            nonlocal operations
            operations += 2 * result.numel() * layer.weight[0].numel()

        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(count)
        with torch.no_grad():
            model.levels(torch.empty(1, 3, *size))
    return Cost(parameters(model), operations / 1e9)
