"""A training may leave the early parts of a network as they are."""

import copy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

import export.train.train as loop  # noqa: E402  after the check for PyTorch
from export.data.augment import Augmentation, Batch, make_batch  # noqa: E402
from export.data.recipe import load_recipe  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import DataError, TrainError  # noqa: E402

RECIPE = {
    "name": "small",
    "names": ["a"],
    "licence": "none needed",
    "seed": 1,
    "size": 64,
    "fit": [64, 64],
    "scale": [0.8, 1.2],
    "mosaic": 0.0,
    "batch": 2,
    "learning_rate": 2e-3,
    "weight_decay": 0.02,
    "images": 4,
    "source": [],
    "frozen": ["stage2", "stage3"],
}


def a_picture() -> Picture:
    """Return a picture with one bright box in noise."""
    image = np.random.default_rng(1).integers(0, 90, (64, 64, 3), np.uint8)
    image[16:48, 16:48] = 230
    box = np.asarray([[16, 16, 48, 48]], np.float32)
    return Picture(image, box, np.ones((1, 1), np.bool_), np.zeros(1, np.bool_), "s")


def a_batch() -> Batch:
    """Return a batch of that picture."""
    return make_batch([a_picture()], Augmentation(64, (64, 64), (1, 1), 0.0), 2, (1, 0))


def test_frozen_parts_do_not_change_and_the_others_do(tmp_path: Path) -> None:
    """After three steps stages 2 and 3 hold the same weights and the same norms; stage 4 does not."""
    run = loop.Run(RECIPE, loop.Plan(threads=1), tmp_path)
    before = copy.deepcopy(run.model.state_dict())
    for _ in range(3):
        loop.step(run.model, run.optimizer, a_batch())
    changed = {
        name.split(".")[0] for name, value in run.model.state_dict().items() if (value != before[name]).any()
    }
    assert changed == {"stage4", "stage5", "neck", "heads"}
    learning = sum(len(group["params"]) for group in run.optimizer.param_groups)
    parameters = list(run.model.parameters())
    assert learning == sum(p.requires_grad for p in parameters) < len(parameters)


def test_frozen_needs_something_to_keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing it is refused in one line; from a checkpoint it trains, and goes on without being told."""
    monkeypatch.setattr(loop, "read_recipe", lambda *_: [a_picture()])
    with pytest.raises(TrainError, match=r"frozen: these parts have no trained weights yet; .* by --weights"):
        loop.train(RECIPE, tmp_path, loop.Plan(threads=1), tmp_path / "nothing")
    whole = RECIPE | {"frozen": []}
    first = loop.train(whole, tmp_path, loop.Plan(threads=1), tmp_path / "first")
    plan = loop.Plan(threads=1, weights=first)
    then = loop.load_checkpoint(loop.train(RECIPE, tmp_path, plan, tmp_path / "then"))
    again = loop.load_checkpoint(loop.train(RECIPE, tmp_path, loop.Plan(threads=1), tmp_path / "then"))
    began = loop.load_checkpoint(first)
    for name, value in began["average"].items():
        if name.startswith(("stage2", "stage3")):
            assert torch.equal(value, then["model"][name]), name
    assert again["done"] == then["done"] == 2


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    """A part that no network has is named with its place in the recipe."""
    path = tmp_path / "own.toml"
    path.write_text('base = "traffic"\nfrozen = ["stage9"]\n')
    with pytest.raises(DataError, match=r"own.toml: frozen\[0\]"):
        load_recipe(str(path))
