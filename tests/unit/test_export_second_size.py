"""The second size is looked at where the first leaves a doubt, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from torch.nn import functional  # noqa: E402  after the check for PyTorch

from agent.see import self_test  # noqa: E402
from agent.see.infer import Detector  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.onnx import parity  # noqa: E402
from export.onnx.decode import BOXES, ROWS  # noqa: E402
from export.onnx.graph import Graph  # noqa: E402
from export.onnx.pairing import SMALL  # noqa: E402
from export.onnx.parity import check_parity, noise, run_whole  # noqa: E402
from export.onnx.quantize import quantize  # noqa: E402
from export.onnx.release import MODELS  # noqa: E402
from export.onnx.second_size import ALWAYS, DOUBTED, FROM, NEVER, TWICE, doubt, in_doubt, shrink  # noqa: E402
from export.onnx.to_onnx import describe, export  # noqa: E402
from tests.unit.test_export_onnx import SIZE, network  # noqa: E402
from tests.unit.test_export_pairing import SECOND, TWO  # noqa: E402

Session = onnxruntime.InferenceSession


def session(graph: Graph, inputs: list[onnx.ValueInfoProto], output: str, kind: int) -> Session:
    """Return a graph with one result, ready to run."""
    results = [helper.make_tensor_value_info(output, kind, None)]
    body = helper.make_graph(graph.nodes, "part", inputs, results, graph.constants)
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def doubting() -> Session:
    """Return a graph of nothing but the doubt, for three classes."""
    graph = Graph()
    best = graph.node("ReduceMax", "classes", axes=[1], keepdims=0)
    result = doubt(graph, "classes", best)
    ports = [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [None, 3])]
    return session(graph, ports, result, TensorProto.BOOL)


@pytest.mark.parametrize(
    ("finds", "twice"),
    [
        pytest.param([], False, id="nothing at all"),
        pytest.param([(0.04, 0.04, 0.04)], False, id="noise"),
        pytest.param([(0, 0.06, 0)], True, id="hardly anything"),
        pytest.param([(0.9, 0.05, 0.02)], False, id="a sure one"),
        pytest.param([(0.45, 0, 0)], True, id="may be one"),
        pytest.param([(0.9, 0.3, 0.2)], True, id="one by two names"),
        pytest.param([(0.9, 0, 0), (0, 0.3, 0)], True, id="a sure one and a weak one"),
        pytest.param([(0.9, 0, 0), (0, 0, 0.7), (0.02, 0, 0)], False, id="two sure ones and noise"),
    ],
)
def test_doubt_is_what_is_neither_sure_nor_nothing(
    doubting: Session, finds: list[tuple[float, ...]], twice: bool
) -> None:
    """By hand, and as numpy says: from 0.05 on, unless one class is 0.5 ahead of all others together."""
    classes = np.asarray([*finds, (0, 0, 0)], np.float32)  # an empty row ends every list of finds
    said = doubting.run(None, {"classes": classes})[0]
    assert said.tolist() == [twice]
    assert in_doubt(classes) is twice


@pytest.mark.parametrize("sizes", [((96, 128), (64, 96)), ((384, 640), (224, 384)), ((640, 640), (416, 416))])
def test_the_smaller_picture_is_the_one_that_pytorch_makes(
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """Bilinear at pixel centres, whatever the two sizes share; where it is not asked for, there is none."""
    size, second = sizes
    graph = Graph()
    result = shrink(graph, size, second, "asked")
    ports = [
        helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, *size, 3]),
        helper.make_tensor_value_info("asked", TensorProto.BOOL, [1]),
    ]
    part = session(graph, ports, result, TensorProto.FLOAT)
    picture = noise(size, 3)[None]
    small = part.run(None, {"picture": picture, "asked": np.asarray([True])})[0]
    whole = torch.from_numpy(picture).permute(0, 3, 1, 2).float()
    true = functional.interpolate(whole, second, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(small, true.permute(0, 2, 3, 1).numpy(), atol=0.02)
    assert part.run(None, {"picture": picture, "asked": np.asarray([False])})[0].shape == (0, *second, 3)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that looks at pictures in two sizes."""
    path = tmp_path_factory.mktemp("model") / "two.onnx"
    export(network(), path, SIZE, describe(TWO, SIZE, 5, "1"))
    return path


@pytest.fixture(scope="module", params=["float", "int8"])
def either(request: pytest.FixtureRequest, exported: Path) -> Path:
    """Return that file, and its int8 copy."""
    if request.param == "float":
        return exported
    target = exported.with_name("int8.onnx")
    nothing = (np.zeros((0, 4), np.float32), np.zeros((0, 2), bool), np.zeros(2, bool), "s")
    quantize(exported, target, [Picture(noise(SIZE, seed), *nothing) for seed in range(4)])
    return target


def test_without_doubt_the_first_size_is_the_answer(either: Path) -> None:
    """Where nothing is in doubt there is no small picture, and what the large one shows keeps its score."""
    twice = run_whole(either, noise(SIZE, 7), 0.05, ALWAYS)
    once = run_whole(either, noise(SIZE, 7), 0.05, NEVER)
    assert twice[TWICE].tolist() == [True]
    assert once[TWICE].tolist() == [False]
    assert 5 < len(twice[f"{ROWS}{SMALL}"]) <= 126  # 8x12 and 4x6 and 2x3 cells
    assert twice[f"{BOXES}{SMALL}"].shape == (1, len(twice[f"{ROWS}{SMALL}"]), 4)
    assert once[f"{BOXES}{SMALL}"].shape == (1, 0, 4)
    assert len(twice["found_boxes_small"]) > 5
    assert once["found_boxes_small"].tolist() == [[0, 0, 0, 0]]
    sure = np.sort(once["found_classes"].max(1))[::-1]
    np.testing.assert_array_equal(once["scores"], sure[sure > 0.05])
    assert once["scores"][0] > twice["scores"][0]


def test_a_finished_file_doubts_from_the_score_that_is_written_here(either: Path) -> None:
    """What it took to measure a file's ranges is taken back: it doubts from 0.05 on."""
    values = {c.name: onnx.numpy_helper.to_array(c) for c in onnx.load(either).graph.initializer}
    assert values[FROM] == pytest.approx(DOUBTED)


def test_a_file_that_doubts_where_it_should_not_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule in numpy is asked about every file; where it says something else, the file is not used."""
    monkeypatch.setattr(parity, "in_doubt", lambda classes: not in_doubt(classes))
    with pytest.raises(TrainError, match="is in doubt where it should not be"):
        check_parity(network(), exported, SIZE, 11, SECOND)


@pytest.mark.parametrize("name", ["traffic", "traffic-square", "traffic-int8"])
def test_an_empty_picture_is_looked_at_once(name: str) -> None:
    """The packaged files look once at a grey wall, and twice at the picture of their stored answer."""
    detector = Detector(MODELS / f"gb-yolo-n-{name}.onnx")
    grey = run_whole(detector.path, np.full((*detector.input_size, 3), 128, np.uint8), 0.1)
    assert grey[TWICE].tolist() == [False]
    assert len(grey["scores"]) == 0
    seed = json.loads(detector.metadata[self_test.KEY])["seed"]
    picture = self_test.picture(seed, detector.input_size)
    assert run_whole(detector.path, picture, 0.1)[TWICE].tolist() == [True]
