"""The network: its size, its two equations, and that folding changes nothing."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from export.errors import DataError  # noqa: E402
from export.model.network import (  # noqa: E402
    EPSILON,
    Convolution,
    Fusion,
    GBYolo,
    Ghost,
    Network,
    cells,
)
from export.model.zoo import FAMILY, cost, make_model, parameters  # noqa: E402
from export.onnx.fold import fold  # noqa: E402  after the check for PyTorch


def randomise_weights(model: Network, seed: int = 1) -> Network:
    """Move a network's norms and fusion weights away from their start."""
    torch.manual_seed(seed)
    for module in model.eval().modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.2)
        if isinstance(module, Fusion):
            module.weight.data.uniform_(0.2, 2)
    return model


def stirred(classes: int = 6) -> Network:
    """Return a network whose norms and fusion weights are not at their start."""
    torch.manual_seed(1)
    return randomise_weights(GBYolo(classes))


def test_size_and_shapes() -> None:
    """The network has the 0.58 M parameters of its design and one answer for each cell."""
    model = GBYolo(6).eval()
    assert parameters(model) == pytest.approx(580_000, rel=0.02)
    with torch.no_grad():
        raw = model(torch.rand(2, 3, 64, 96))
    count = 8 * 12 + 4 * 6 + 2 * 3
    assert raw.logits.shape == (2, count, 6)
    assert raw.xyxy.shape == (2, count, 4)
    assert (raw.xyxy[..., 2:] > raw.xyxy[..., :2]).all()
    assert raw.logits.sigmoid().mean() < 0.05


@pytest.mark.parametrize(
    ("name", "classes", "millions", "gflops"),
    [
        ("yolov5n-published", 80, 1.872157, 4.5),  # the published figures
        ("yolov5s-published", 80, 7.235389, 16.5),
        ("yolov5n-published", 1, 1.77, 4.13),
        ("yolov5s-published", 1, 7.03, 15.8),
        ("n", 1, 0.58, 1.46),
        ("s", 1, 2.16, 4.99),
        ("paper", 1, 0.90, 2.57),
    ],
)
def test_the_family_costs_what_it_should(name: str, classes: int, millions: float, gflops: float) -> None:
    """Parameters and operations at 640x640 are those of the published shapes and of the design."""
    counted = cost(FAMILY[name], classes)
    assert counted.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert counted.gflops == pytest.approx(gflops, rel=0.01)


def test_a_recipe_names_its_network() -> None:
    """Without `model` it is n; a table gives the shape; what is not known is refused by name."""
    recipe = {"names": ["a", "b"]}
    assert parameters(make_model(recipe)) == cost(FAMILY["n"], 2).parameters
    assert parameters(make_model(recipe | {"model": "s"})) == cost(FAMILY["s"], 2).parameters
    slim = make_model(recipe | {"model": {"widths": [16, 32, 64, 128, 128], "neck": 32}})
    assert parameters(slim) < 400_000
    with pytest.raises(DataError, match="model = 'x': not known; use one of n, s, paper"):
        make_model(recipe | {"model": "x"})
    with pytest.raises(DataError, match=r"model\.width: not known"):
        make_model(recipe | {"model": {"width": 1}})


def test_cells_lie_where_boxes_are_decoded() -> None:
    """Centres go row by row, fine level first, half a cell from the border."""
    centres, strides = cells(64, 96)
    assert centres[0].tolist() == [4, 4]
    assert centres[1].tolist() == [12, 4]
    assert centres[12].tolist() == [4, 12]
    assert centres[-1].tolist() == [80, 48]
    assert strides.unique().tolist() == [8, 16, 32]


@pytest.mark.parametrize(("channels", "kernel"), [(64, 3), (128, 3), (128, 1)])
def test_ghost_costs_about_half(channels: int, kernel: int) -> None:
    """Eq. (1): a Ghost module's multiplications against a plain convolution's follow the formula."""
    multiplications = 0

    def count(layer: torch.nn.Conv2d, _: tuple, result: torch.Tensor) -> None:
        nonlocal multiplications
        multiplications += result[0].numel() * layer.weight[0].numel()

    costs = []
    for module in (Convolution(channels, channels, kernel), Ghost(channels, channels, kernel)):
        multiplications = 0
        for layer in module.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(count)
        with torch.no_grad():
            module.eval()(torch.rand(1, channels, 16, 16))
        costs.append(multiplications)
    work = channels * kernel**2
    s = 2
    d = 3
    assert costs[0] / costs[1] == pytest.approx(work * s / (work + (s - 1) * d * d))
    assert 1.7 < costs[0] / costs[1] < 2


def test_fusion_is_a_weighted_mean() -> None:
    """Eq. (4): shares are the clipped weights over their sum, and a negative weight counts as none."""
    fusion = Fusion(3)
    fusion.weight.data = torch.tensor([1.0, 3.0, -2.0])
    assert fusion.shares().tolist() == pytest.approx([1 / (4 + EPSILON), 3 / (4 + EPSILON), 0])
    maps = [torch.full((1, 1, 2, 2), value) for value in (4.0, 8.0, 100.0)]
    assert fusion(*maps).mean().item() == pytest.approx(7, abs=1e-3)


def test_folding_changes_nothing() -> None:
    """Without norms and fusion weights the network says the same, to float precision."""
    model = stirred()
    folded = fold(copy.deepcopy(model))
    assert not any(isinstance(m, torch.nn.BatchNorm2d | Fusion) for m in folded.modules())
    with torch.no_grad():
        pictures = torch.rand(1, 3, 96, 128)
        before = model(pictures)
        after = folded(pictures)
    assert (before.logits - after.logits).abs().max() < 1e-4
    assert (before.xyxy - after.xyxy).abs().max() < 1e-2


def test_a_dead_fusion_weight_cannot_be_folded() -> None:
    """A zero share is refused with a reason instead of dividing by it."""
    model = stirred()
    model.neck.fuse_out4.weight.data[1] = -1
    with pytest.raises(ValueError, match="fusion weight is zero"):
        fold(model)
