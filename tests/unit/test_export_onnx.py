"""From network to file: parity, metadata, int8, and that evaluation counts right."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from agent.boxes import Detections  # noqa: E402  after the check for PyTorch
from agent.see.infer import Detector, ModelError  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.judge.evaluate import average_precision, evaluate, match_picture, table  # noqa: E402
from export.model.baseline import AnchorHead  # noqa: E402
from export.model.network import Fusion, Network  # noqa: E402
from export.model.zoo import FAMILY, make_model  # noqa: E402
from export.onnx.equalize import equalize, pairs, ranges  # noqa: E402
from export.onnx.parity import check_parity, noise, run_whole  # noqa: E402
from export.onnx.quantize import quantize  # noqa: E402
from export.onnx.to_onnx import describe, export, folded_copy, write  # noqa: E402
from export.onnx.writer import INT8, PARTS, PLAIN, read_back  # noqa: E402

SIZE = (96, 128)
RECIPE = {"name": "small", "task": "test", "names": ["a", "b"], "licence": "none needed"}


def network(name: str = "n") -> Network:
    """Return a network that is not at its start and finds many things in noise."""
    torch.manual_seed(2)
    torch.set_num_threads(1)
    model = FAMILY[name](2).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.05)
            module.running_var.uniform_(*((0.05, 0.3) if name == "n" else (0.1, 0.5)))
        if isinstance(module, Fusion):
            module.weight.data.uniform_(0.3, 2)
    for head in model.heads:
        if isinstance(head, AnchorHead):
            head.out.bias.data.fill_(1.0)
        else:
            head.class_out.bias.data.fill_(-1.0)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    model = network()
    path = tmp_path_factory.mktemp("model") / "small.onnx"
    export(model, path, SIZE, describe(RECIPE, SIZE, 5, "1"))
    return model, path


def test_the_file_says_what_pytorch_says(exported: tuple[Network, Path]) -> None:
    """On pictures that the file was not made with, every cell agrees, and so do the boxes that are kept."""
    model, path = exported
    for seed in (11, 12):
        pixels, score = check_parity(model, path, SIZE, seed)
        assert pixels < 1e-2
        assert score < 1e-5
    detector = Detector(path, confidence=0.3)
    assert detector.names == {0: "a", 1: "b"}
    assert detector.input_size == SIZE
    assert json.loads(detector.metadata["recipe"])["name"] == "small"
    assert detector.metadata["licence"] == "none needed"
    found = detector.detect(noise(SIZE, 13))
    assert len(found) > 0
    assert (np.diff(found.confidence) <= 0).all()


@pytest.mark.parametrize("form", [PARTS, PLAIN, INT8])
@pytest.mark.parametrize("name", [name for name in FAMILY if "yolov5s" not in name])
def test_every_network_in_every_form_says_what_pytorch_says(name: str, form: str, tmp_path: Path) -> None:
    """However the graph is written, cells, kept boxes and classes are PyTorch's."""
    model = network(name)
    path = tmp_path / "model.onnx"
    onnx.save(write(folded_copy(model), (96, 64), describe(RECIPE, (96, 64), 5, "1"), form)[0], path)
    pixels, score = check_parity(model, path, (96, 64), 11)
    assert pixels < 1e-2
    assert score < 1e-4
    assert len(run_whole(path, noise((96, 64), 3), 0.001)["boxes"]) > 0


def test_the_float_form_puts_nothing_together(exported: tuple[Network, Path]) -> None:
    """Before the decoding there is no concatenation and no transposition in a finished file."""
    nodes = list(onnx.load(exported[1]).graph.node)
    last = max(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    assert not {"Concat", "Transpose"} & {node.op_type for node in nodes[:last]}


def test_fusion_weights_may_stay(tmp_path: Path) -> None:
    """Without folding the shares are in the graph, and it says the same."""
    model = network()
    path = tmp_path / "model.onnx"
    proto, _ = write(folded_copy(model, fusions=False), SIZE, describe(RECIPE, SIZE, 5, "1"), PLAIN)
    onnx.save(proto, path)
    assert sum(node.op_type == "Mul" for node in proto.graph.node) >= 9
    check_parity(model, path, SIZE, 12)


@pytest.mark.parametrize("name", ["n", "yolov5n"])
def test_a_file_can_be_read_back(name: str, tmp_path: Path) -> None:
    """The weights of a file fill a network that writes the same file again."""
    recipe = RECIPE | {"model": name}
    first, _ = write(folded_copy(network(name)), SIZE, describe(recipe, SIZE, 5, "1"))
    again, _ = write(read_back(first, folded_copy(make_model(recipe))), SIZE, describe(recipe, SIZE, 5, "1"))
    assert again.graph == first.graph


def test_a_file_of_other_weights_is_refused(exported: tuple[Network, Path], tmp_path: Path) -> None:
    """The parity check fails where file and network differ by one weight, and no file is left."""
    model, path = exported
    other = network()
    other.heads[0].box_out.weight.data[0, 0] += 1.0
    with pytest.raises(TrainError, match="differs from PyTorch"):
        check_parity(other, path, SIZE)
    assert model is not other
    assert not list(tmp_path.iterdir())


def test_one_object_is_one_box_whatever_its_class(exported: tuple[Network, Path]) -> None:
    """Suppression works across classes: kept boxes never overlap by more than 0.6."""
    from agent.boxes import iou

    said = run_whole(exported[1], noise(SIZE, 14), 0.001)
    share = iou(said["boxes"], said["boxes"])
    np.fill_diagonal(share, 0)
    assert len(said["boxes"]) > 5
    assert share.max() <= 0.6 + 1e-6


def test_ranges_become_alike_and_nothing_else_changes() -> None:
    """Before int8 the channels of a map get more alike ranges; every cell says what it said."""
    folded = folded_copy(network())
    canvases = [noise(SIZE, seed) for seed in (5, 6)]
    for first, second in pairs(folded):  # far apart, as training leaves them
        share = torch.logspace(-2, 2, first.out_channels)
        first.weight.data *= share[:, None, None, None]
        if first.bias is not None:
            first.bias.data *= share
        second.weight.data /= share[None, :, None, None]
    before = run_levels(folded)
    layers = [first for first, _ in pairs(folded)]
    assert len(layers) == 4 + 3 * 4

    def spread() -> float:
        tops = ranges(folded, layers, canvases).values()
        return float(np.median([(top.max() / top.clamp_min(1e-6).median()).item() for top in tops]))

    wide = spread()
    equalize(folded, canvases)
    assert spread() < wide / 3
    for one, other in zip(before, run_levels(folded), strict=True):
        assert (one - other).abs().max() < 1e-3


def run_levels(folded: Network) -> list[torch.Tensor]:
    """Return all logits and sides of a folded network for one picture."""
    picture = torch.from_numpy(noise(SIZE, 9)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        return [part for level in folded.levels(picture) for part in level]


def test_int8_is_smaller_and_close(exported: tuple[Network, Path], tmp_path: Path) -> None:
    """The int8 copy keeps the metadata, says what it is, and finds the same best object."""
    target = tmp_path / "int8.onnx"
    pictures = [
        Picture(
            noise(SIZE, seed), np.zeros((0, 4), np.float32), np.zeros((0, 2), bool), np.zeros(2, bool), "s"
        )
        for seed in range(4)
    ]
    quantize(exported[1], target, pictures)
    whole = Detector(exported[1], 0.1)
    small = Detector(target, 0.1)
    assert small.metadata["precision"].startswith("int8")
    assert small.names == whole.names
    assert target.stat().st_size < exported[1].stat().st_size / 2
    proto = onnx.load(target)
    kinds = [node.op_type for node in proto.graph.node if node.op_type != "DequantizeLinear"]
    assert kinds.index("QuantizeLinear") > kinds.index("Conv")  # the stem is in float
    weights = {c.name: numpy_helper.to_array(c) for c in proto.graph.initializer}
    reduced = tmp_path / "reduced.onnx"
    quantize(exported[1], reduced, pictures, reduce_range=True)
    assert max(abs(w.astype(int)).max() for w in weights.values() if w.dtype == np.int8) == 127
    narrow = [numpy_helper.to_array(c) for c in onnx.load(reduced).graph.initializer]
    assert max(abs(w.astype(int)).max() for w in narrow if w.dtype == np.int8) <= 64
    assert "7-bit" in Detector(reduced).metadata["precision"]
    a = whole.detect(noise(SIZE, 3))
    b = small.detect(noise(SIZE, 3))
    assert abs(float(a.confidence[0] - b.confidence[0])) < 0.1
    with pytest.raises(ModelError, match="no such model file"):
        quantize(tmp_path / "gone.onnx", target, pictures)
    with pytest.raises(ModelError, match="not written by this"):
        quantize(target, target, pictures)


def found(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    table = np.asarray(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def test_average_precision_table() -> None:
    """Curves worked out by hand: perfect, half found, one wrong first, nothing to find."""
    scores = np.asarray([0.9, 0.8], np.float32)
    yes = True
    no = False
    assert average_precision(scores, np.asarray([yes, yes]), 2) == pytest.approx(1)
    assert average_precision(scores[:1], np.asarray([yes]), 2) == pytest.approx(51 / 101)
    assert average_precision(scores, np.asarray([no, yes]), 1) == pytest.approx(0.5)
    assert average_precision(scores[:0], np.zeros(0, bool), 3) == 0
    assert np.isnan(average_precision(scores, np.asarray([no, no]), 0))


def test_matching_is_one_to_one() -> None:
    """A second box on the same truth is wrong, one on a hidden box is left out, another class is not seen."""
    truths = np.asarray([[0, 0, 10, 10]], np.float32)
    hidden = np.asarray([[50, 50, 60, 60]], np.float32)
    boxes = found(
        (0, 0, 10, 10, 0.9, 0), (1, 0, 11, 10, 0.8, 0), (50, 50, 60, 60, 0.7, 0), (0, 0, 10, 10, 0.6, 1)
    )
    matched = match_picture(boxes, truths, np.asarray([0]), hidden)
    assert matched.scores.tolist() == pytest.approx([0.9, 0.8])
    assert matched.hit[:, 0].tolist() == [True, False]
    assert matched.found.tolist() == [True]


def test_evaluation_runs_the_file(exported: tuple[Network, Path]) -> None:
    """A detector judged by its own findings is perfect, and misses half of twice as many."""
    detector = Detector(exported[1], confidence=0.5)
    picture = noise(SIZE, 21)
    mine = detector.detect(picture)
    assert len(mine) > 0
    truth = Picture(picture, mine.xyxy, np.eye(2, dtype=bool)[mine.class_id], np.zeros(2, bool), "s")
    scores = evaluate(detector, [truth])
    assert all(score.ap50 == score.ap == score.recall == 1 for score in scores)
    assert all(size.ap50 == size.ap == 1 for score in scores for size in score.by_size.values())
    specks = np.tile(np.asarray([0, 0, 1, 1], np.float32), (len(mine), 1))
    both = np.concatenate((mine.xyxy, specks))
    allowed = np.concatenate((truth.allowed, truth.allowed))
    more = Picture(picture, both, allowed, truth.unlabelled, "s")
    assert all(score.recall == 0.5 for score in evaluate(detector, [more]))
    assert "source" in table(scores)


def test_commands_end_with_their_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong arguments and data end with 2 and one line; a checkpoint that is not there with 1."""
    assert main(["train", "traffic", "--data", str(tmp_path), "--folder", str(tmp_path / "f")]) == 2
    assert main(["evaluate", str(tmp_path / "m.onnx"), "mask", "--data", str(tmp_path)]) == 2
    assert main(["onnx", "mask", "--checkpoint", str(tmp_path / "none.pt")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("gb-export: ") for line in lines)
    with pytest.raises(SystemExit) as ended:
        main(["onnx", "mask", "--size", "100x100"])
    assert ended.value.code == 2
