"""Beginning with what a file knows: nothing is lost by the way, and what is new is only what must be."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

import export.model.widen as widening  # noqa: E402
import export.train.train as loop  # noqa: E402  after the check for PyTorch
from agent.see.sources import open_source  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.data.augment import make_batch  # noqa: E402
from export.data.pseudo_labels import MODELS, packaged  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.model.network import Network, Raw  # noqa: E402
from export.model.widen import widen  # noqa: E402
from export.model.zoo import make_model, parameters  # noqa: E402
from export.onnx.to_onnx import describe, export, folded_copy, write  # noqa: E402
from export.train.warm_start import load_trainable, transfer  # noqa: E402
from tests.unit.test_export_model import randomise_weights  # noqa: E402
from tests.unit.test_export_train import RECIPE as SMALL  # noqa: E402

SIZE = (96, 128)
RECIPE = SMALL | {"task": "test", "names": ["a", "b"], "size": 96, "fit": [96, 96], "mosaic": 0.0}
RNG = np.random.default_rng(5)


def learned(**changes: object) -> Network:
    """Return a network whose norms, fusion weights and classes are not at their start."""
    torch.manual_seed(4)
    return randomise_weights(make_model(RECIPE | changes), 4)


def views(count: int = 2) -> list[np.ndarray]:
    """Return batches of noise (2,96,128,3)."""
    return [RNG.integers(0, 255, (2, *SIZE, 3), np.uint8) for _ in range(count)]


def ask(model: Network, seed: int = 3) -> Raw:
    """Return what a network says of one picture."""
    view = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        raw: Raw = model.eval()(view)
    return raw


def write_file(model: Network, path: Path) -> Path:
    """Export a network of the recipe."""
    export(model, path, SIZE, describe(RECIPE, SIZE, 5, "1"))
    return path


def test_a_file_learns_again_from_where_it_was(tmp_path: Path) -> None:
    """A network loaded from its file says what it said, and its norms would not change it either."""
    model = learned()
    known = views(8)
    again, recipe = load_trainable(write_file(model, tmp_path / "a.onnx"), known)
    assert recipe == RECIPE
    before = ask(model)
    after = ask(again)
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.xyxy, before.xyxy, atol=1e-2, rtol=1e-4)
    picture = torch.from_numpy(np.concatenate(known)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        told = again.eval()(picture).logits
        norms = again.train()(picture).logits  # with the mean and spread of these very pictures
    torch.testing.assert_close(norms, told, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("name", ["yolov5n", "paper"])
def test_other_networks_thaw_too(name: str, tmp_path: Path) -> None:
    """Nothing of it belongs to one network: paths and bottlenecks of others come back as well."""
    model = learned(model=name)
    path = tmp_path / "a.onnx"
    export(model, path, SIZE, describe(RECIPE | {"model": name}, SIZE, 5, "1"))
    again, _ = load_trainable(path, views())
    torch.testing.assert_close(ask(again).logits, ask(model).logits, atol=1e-3, rtol=1e-3)


def test_a_wider_network_begins_as_the_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise the wide network says the same, exactly; with it, copies of a channel differ."""
    small = learned().double()
    large = make_model(RECIPE | {"model": "s"}).double()
    monkeypatch.setattr(widening, "NOISE", 0.0)
    widen(small, large)
    assert parameters(large) > 3 * parameters(small)
    view = torch.rand(1, 3, *SIZE, dtype=torch.float64)
    with torch.no_grad():
        pairs = zip(small.levels(view), large.eval().levels(view), strict=True)
        for few, many in pairs:
            torch.testing.assert_close(many, few, atol=1e-9, rtol=1e-9)
    stem = large.stage2[0][0].weight
    assert torch.equal(stem[:16], stem[16:])
    monkeypatch.undo()
    widen(small, large)
    assert not torch.allclose(stem[:16], stem[16:])


def test_the_noise_of_a_wider_network_costs_next_to_nothing() -> None:
    """What the packaged model is sure of in the built-in street keeps its scores to 0.02 in the mean."""
    source = open_source("scene:?seed=3&width=640&height=384")
    frames = [source.read().image for _ in range(200)][::50]
    pictures = np.ascontiguousarray(np.stack(frames)[..., ::-1])
    known, recipe = load_trainable(packaged("traffic"), [pictures])
    wide = transfer(known, recipe["names"], recipe | {"model": "s"})
    view = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        before = known.eval()(view).logits.sigmoid()
        after = wide.eval()(view).logits.sigmoid()
    sure = before > 0.25
    assert sure.sum() > 100
    assert float((after - before).abs()[sure].mean()) < 0.02


def test_classes_go_by_their_names() -> None:
    """A class that the file knows keeps what it says, wherever it stands; one that is new begins fresh."""
    known = learned()
    ours = transfer(known, ["a", "b"], RECIPE | {"names": ["new", "b"]})
    before = ask(known).logits
    after = ask(ours).logits
    torch.testing.assert_close(after[..., 1], before[..., 1])
    assert not torch.allclose(after[..., 0], before[..., 0], atol=1e-2)
    wide = transfer(known, ["a", "b"], RECIPE | {"names": ["b", "c", "d"], "model": "s"})
    assert ask(wide).logits.shape[2] == 3
    assert float((ask(wide).logits[..., 0] - before[..., 1]).abs().mean()) < 0.2


@pytest.mark.parametrize("name", ["yolov5n", "paper"])
def test_a_network_of_other_layers_is_refused(name: str) -> None:
    """Neither alike nor narrower: one line says so."""
    with pytest.raises(TrainError, match="neither like this one nor narrower"):
        transfer(learned(), ["a", "b"], RECIPE | {"model": name})
    with pytest.raises(TrainError, match="neither like this one nor narrower"):
        transfer(make_model(RECIPE | {"model": "s"}), ["a", "b"], RECIPE)


def test_a_training_begins_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole road: a checkpoint from a file, resumed without it, and its licence says where it began."""
    path = write_file(learned(), tmp_path / "a.onnx")
    image = RNG.integers(0, 255, (96, 96, 3), np.uint8)
    box = np.asarray([[10, 10, 60, 60]], np.float32)
    kinds = np.asarray([[True, False]])
    picture = Picture(image, box, kinds, np.zeros(2, np.bool_), "s")
    monkeypatch.setattr(loop, "read_recipe", lambda *_: [picture])
    recipe = RECIPE | {"name": "mine", "licence": "its owner's"}
    plan = loop.Plan(threads=1, weights=path, images=4, learning_rate=1e-9)
    state = loop.load_checkpoint(loop.train(recipe, tmp_path, plan, tmp_path / "run"))
    assert state["done"] == 2
    assert state["recipe"]["licence"] == "its owner's; begun with small: none needed"
    begun, _ = load_trainable(
        path, (make_batch([picture], loop.augmentation(recipe, 0), 2, (1, n)).pictures for n in range(8))
    )
    after = copy.deepcopy(begun)
    after.load_state_dict(state["average"])
    assert torch.allclose(after.stage2[0][0].weight, begun.stage2[0][0].weight, atol=1e-6)
    again = loop.train(recipe, tmp_path, loop.Plan(threads=1, images=8), tmp_path / "run")
    assert loop.load_checkpoint(again)["recipe"]["licence"].endswith("none needed")


def test_wrong_weights_are_said_before_the_pictures_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for minutes to hear that a name was mistyped."""
    monkeypatch.setattr(loop, "read_recipe", lambda *_: pytest.fail("read"))
    for path, reason in (
        (Path("none.onnx"), "no such file to start from; --weights takes the name"),
        (Path("none.pt"), "no such file to start from; --weights takes the name"),
        (packaged("mask-int8"), "not a float file of this `gb-export onnx`"),
    ):
        with pytest.raises(TrainError, match=reason):
            loop.train(RECIPE, tmp_path, loop.Plan(threads=1, weights=path), tmp_path / "run")


def test_what_cannot_begin_a_training_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, an int8 one and one of another exporter end with one line and exit code 1."""
    whole = describe(RECIPE, SIZE, 5, "1")
    other, _ = write(
        folded_copy(learned()), SIZE, {key: value for key, value in whole.items() if key != "recipe"}
    )
    onnx.save(other, tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    none = tmp_path / "none.onnx"
    for path in (packaged("mask-int8"), tmp_path / "other.onnx", tmp_path / "broken.onnx", none):
        with pytest.raises(TrainError, match="not a float file of this `gb-export onnx`"):
            load_trainable(path, views())
    assert packaged("traffic") == MODELS / "gb-yolo-n-traffic.onnx"
    assert packaged("my.onnx") == Path("my.onnx")
    with pytest.raises(SystemExit):
        main(["train", "--weights"])
    assert "--weights" in capsys.readouterr().err
