"""Two sizes in one file: which finds are pairs, what a pair tells, and that the file does as it should."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from agent.boxes import iou  # noqa: E402  after the check for PyTorch
from agent.see.infer import Detector  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.data.recipe import load_recipe  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.model.zoo import make_model  # noqa: E402
from export.onnx import parity  # noqa: E402
from export.onnx.decode import suppress  # noqa: E402
from export.onnx.graph import Graph  # noqa: E402
from export.onnx.pairing import ALONE, PAIR_IOU, Finds, pair  # noqa: E402
from export.onnx.parity import check_parity, noise, paired, run_whole  # noqa: E402
from export.onnx.quantize import quantize  # noqa: E402
from export.onnx.release import FILES  # noqa: E402
from export.onnx.to_onnx import describe, export, folded_copy, write  # noqa: E402
from export.onnx.writer import read_back  # noqa: E402
from tests.unit.test_export_onnx import RECIPE, SIZE, network  # noqa: E402

SECOND = (64, 96)
TWO = RECIPE | {"second_input": SECOND}
APART = TWO | {"kinds": [["a"], ["b"]]}
Rows = list[tuple[float, ...]]  # left, top, right, bottom, and how sure of each of two classes


@pytest.fixture(scope="module")
def pairing() -> onnxruntime.InferenceSession:
    """Return a graph of nothing but the pairing and the last suppression, for two classes."""
    graph = Graph()
    sides = []
    for mark in ("large", "small"):
        best = graph.node("ReduceMax", f"{mark}_classes", axes=[1], keepdims=0)
        sides.append(Finds(f"{mark}_boxes", f"{mark}_classes", best))
    suppress(graph, pair(graph, sides[0], sides[1], 2, graph.constant([True], np.bool_)))
    ports = [
        helper.make_tensor_value_info(f"{mark}_{name}", TensorProto.FLOAT, [None, width])
        for mark in ("large", "small")
        for name, width in (("boxes", 4), ("classes", 2))
    ]
    ports.append(helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]))
    results = [
        helper.make_tensor_value_info(name, kind, None)
        for name, kind in (
            ("paired_boxes", TensorProto.FLOAT),
            ("paired_classes", TensorProto.FLOAT),
            ("boxes", TensorProto.FLOAT),
            ("scores", TensorProto.FLOAT),
            ("classes", TensorProto.INT64),
        )
    ]
    body = helper.make_graph(graph.nodes, "pairing", ports, results, graph.constants)
    proto = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def finds(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and probabilities of rows, and the empty one at the end."""
    table = np.asarray([*rows, (0,) * 6], np.float32)
    return table[:, :4], table[:, 4:]


def answer(
    session: onnxruntime.InferenceSession, large: Rows, small: Rows, confidence: float = 0.05
) -> list[tuple[float, ...]]:
    """Return what is told of both sizes' finds: left, top, right, bottom, score, class; best first.

    What the graph pairs is compared with the rule in numpy, whatever comes out.
    """
    (boxes, classes), (other_boxes, other_classes) = finds(large), finds(small)
    feed = {
        "large_boxes": boxes,
        "large_classes": classes,
        "small_boxes": other_boxes,
        "small_classes": other_classes,
        "confidence": np.asarray([confidence], np.float32),
    }
    pairs, told, *said = session.run(None, feed)
    ours = paired((boxes, classes), (other_boxes, other_classes))
    np.testing.assert_allclose(pairs[0], ours[0], atol=0.05)
    np.testing.assert_allclose(told[0], ours[1], atol=1e-5)
    rows = zip(*(part.tolist() for part in said), strict=True)
    return [(*box, score, kind) for box, score, kind in rows]


BOX = (100, 100, 190.5, 190.5)  # a side of 90.5 pixels: both count alike for the classes
SMALL_BOX = (10, 10, 34, 34)  # 24 pixels
LARGE_BOX = (0, 0, 400, 300)  # 346 pixels
RIGHT = (190.5, 100, 281, 190.5)  # beside BOX


@pytest.mark.parametrize(
    ("large", "small", "expected"),
    [
        pytest.param([(*BOX, 0.9, 0.1)], [(*BOX, 0.5, 0.3)], [(*BOX, 0.7, 0)], id="both see it"),
        pytest.param([(*BOX, 0.9, 0.1)], [], [(*BOX, 0.54, 0)], id="the large picture alone"),
        pytest.param([], [(*BOX, 0.2, 0.8)], [(*BOX, 0.48, 1)], id="the small picture alone"),
        pytest.param([], [], [], id="nothing at all"),
        pytest.param(
            [(*SMALL_BOX, 0.9, 0)], [(*SMALL_BOX, 0.4, 0)], [(*SMALL_BOX, 0.7, 0)], id="a small object"
        ),
        pytest.param(
            [(*LARGE_BOX, 0.4, 0)], [(*LARGE_BOX, 0.9, 0)], [(*LARGE_BOX, 0.7, 0)], id="a large object"
        ),
        pytest.param(
            [(*BOX, 0.6, 0.3)], [(*BOX, 0.1, 0.7)], [(*BOX, 0.5, 1)], id="they call it by two names"
        ),
        pytest.param(
            [(*BOX, 0.8, 0), (*RIGHT, 0.7, 0)],
            [(*RIGHT, 0.5, 0), (*BOX, 0.4, 0)],
            [(*BOX, 0.6, 0), (*RIGHT, 0.6, 0)],
            id="two neighbours, each with its own",
        ),
        pytest.param(
            [(*BOX, 0.8, 0), (*RIGHT, 0.7, 0)],
            [(100, 100, 281, 190.5, 0.9, 0)],
            [(100, 100, 281, 190.5, 0.54, 0), (*BOX, 0.48, 0), (*RIGHT, 0.42, 0)],
            id="one box over two neighbours is no pair of either",
        ),
    ],
)
def test_what_both_sizes_see_is_told_once(
    pairing: onnxruntime.InferenceSession, large: Rows, small: Rows, expected: Rows
) -> None:
    """By hand: the mean by size where both see it, 0.6 of the score where one does, the surest class."""
    said = answer(pairing, large, small)
    assert len(said) == len(expected)
    for one in expected:  # equal scores come in any order
        near = [other for other in said if np.allclose(other, one, atol=2e-3)]
        assert len(near) == 1, f"{one} is not in {said}"


def test_a_small_object_lies_where_the_large_picture_says(pairing: onnxruntime.InferenceSession) -> None:
    """Of two boxes as sure, a small object's is nine tenths the large picture's, a large one's three."""
    small = answer(pairing, [(10, 10, 30, 30, 0.5, 0)], [(12, 10, 32, 30, 0.5, 0)])
    assert small[0][0] == pytest.approx(10.2, abs=0.01)
    large = answer(pairing, [(0, 0, 300, 300, 0.5, 0)], [(20, 0, 320, 300, 0.5, 0)])
    assert large[0][0] == pytest.approx(14, abs=0.01)
    surer = answer(pairing, [(0, 0, 300, 300, 0.7, 0)], [(20, 0, 320, 300, 0.3, 0)])
    assert surer[0][0] == pytest.approx(10, abs=0.01)


def test_the_surest_of_several_is_the_partner(pairing: onnxruntime.InferenceSession) -> None:
    """Two finds of the small picture on one of the large: one object, one box, told with the surer one."""
    said = answer(pairing, [(*BOX, 0.8, 0)], [(100, 100, 180, 190, 0.3, 0), (100, 100, 195, 190, 0.6, 0)])
    assert len(said) == 1
    assert said[0][4] == pytest.approx(0.7, abs=2e-3)


def test_an_object_at_the_border_stays_there(pairing: onnxruntime.InferenceSession) -> None:
    """Boxes that reach out of the picture are paired as they are, and the mean reaches out as well."""
    said = answer(pairing, [(-40, 100, 60, 200, 0.8, 0)], [(-44, 100, 60, 204, 0.8, 0)])
    assert len(said) == 1
    assert -44 < said[0][0] < -40
    assert said[0][4] == pytest.approx(0.8)


def test_just_below_the_overlap_they_are_two(pairing: onnxruntime.InferenceSession) -> None:
    """From an overlap of 0.55 on two finds are one object; a hair below, each stands alone."""
    wide = (0, 0, 100, 100, 0.5, 0)
    assert PAIR_IOU == 0.55
    assert [row[4] for row in answer(pairing, [wide], [(0, 0, 100, 55.1, 0.5, 0)])] == [0.5]
    apart = [row[4] for row in answer(pairing, [wide], [(0, 0, 100, 54.9, 0.5, 0)])]
    assert apart == pytest.approx([0.3, 0.3])


def test_three_hundred_finds_of_each_size(pairing: onnxruntime.InferenceSession) -> None:
    """A full picture: as many pairs as places, whatever the order, and never two boxes on one object."""
    rng = np.random.default_rng(3)
    corners = np.stack(np.meshgrid(np.arange(20) * 30, np.arange(15) * 25), -1).reshape(-1, 2)
    boxes = np.concatenate((corners, corners + np.asarray((24, 20))), 1).astype(np.float32)
    sure = rng.uniform(0.3, 0.9, (300, 2)).astype(np.float32)
    large = [tuple(row) for row in np.concatenate((boxes, sure), 1).tolist()]
    moved = np.concatenate((boxes + rng.uniform(-1, 1, boxes.shape), sure[::-1]), 1)
    small = [tuple(row) for row in rng.permutation(moved).tolist()]
    said = np.asarray(answer(pairing, large, small))
    assert len(said) == 300
    shares = iou(said[:, :4].astype(np.float32), said[:, :4].astype(np.float32))
    np.fill_diagonal(shares, 0)
    assert shares.max() < 0.01


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file that looks at pictures in two sizes."""
    path = tmp_path_factory.mktemp("model") / "two.onnx"
    export(network(), path, SIZE, describe(TWO, SIZE, 5, "1"))
    return path


def test_a_file_of_two_sizes_says_what_pytorch_says(exported: Path) -> None:
    """Cells of both sizes, finds, pairs and the answer agree on pictures that it was not made with."""
    apart = exported.with_name("apart.onnx")
    export(network(), apart, SIZE, describe(APART, SIZE, 5, "1"))
    for path, kinds, seed in ((exported, None, 11), (exported, None, 12), (apart, ((0,), (1,)), 13)):
        pixels, score = check_parity(network(), path, SIZE, seed, SECOND, kinds)
        assert pixels < 1e-2
        assert score < 1e-4
    said = run_whole(exported, noise(SIZE, 11), 0.05)
    assert len(said["found_boxes"]) > 10
    assert len(said["found_boxes_small"]) > 5
    detector = Detector(exported)
    assert detector.input_size == SIZE
    assert detector.second_size == SECOND
    assert detector.inputs == "96x128 and 64x96"


def test_the_weights_are_there_once(exported: Path, tmp_path: Path) -> None:
    """A second size makes the file a little longer, not twice as long, and it can be read back."""
    one = tmp_path / "one.onnx"
    export(network(), one, SIZE, describe(RECIPE, SIZE, 5, "1"))
    assert exported.stat().st_size < one.stat().st_size * 1.1
    assert Detector(one).inputs == "96x128"
    recipe = RECIPE | {"model": "n"}
    again = read_back(onnx.load(exported), folded_copy(make_model(recipe)))
    metadata = describe(TWO, SIZE, 5, "1")
    first = write(folded_copy(network()), SIZE, metadata)[0]
    assert write(again, SIZE, metadata)[0].graph == first.graph


@pytest.mark.parametrize("recipe", [APART, RECIPE | {"kinds": [["b"], ["a"]]}], ids=["two sizes", "one"])
def test_objects_of_two_kinds_may_lie_on_each_other(recipe: dict[str, object], tmp_path: Path) -> None:
    """Boxes of one kind overlap by 0.6 at most, those of two kinds by more; each in its place, best first."""
    path = tmp_path / "m.onnx"
    export(network(), path, SIZE, describe(recipe, SIZE, 5, "1"))
    found = Detector(path, 0.05).detect_uncut(noise(SIZE, 14))
    assert (np.diff(found.confidence) <= 0).all()
    together = iou(found.xyxy, found.xyxy)
    np.fill_diagonal(together, 0)
    same = found.class_id[:, None] == found.class_id[None, :]
    assert together[same].max() <= 0.6 + 1e-4
    assert together[~same].max() > 0.7
    assert np.abs(found.xyxy).max() < 1000  # nobody was left where kinds are kept apart
    plain = tmp_path / "plain.onnx"
    export(network(), plain, SIZE, describe(recipe | {"kinds": []}, SIZE, 5, "1"))
    assert len(Detector(plain, 0.05).detect_uncut(noise(SIZE, 14))) < len(found)


def test_kinds_name_every_class_once(tmp_path: Path) -> None:
    """A class that no kind has, or two have, is refused in one line, and nothing is written."""
    for kinds in ([["a"]], [["a", "b"], ["b"]], [["a"], ["b"], ["c"]]):
        with pytest.raises(TrainError, match="kinds: must name each of a, b once"):
            export(network(), tmp_path / "m.onnx", SIZE, describe(RECIPE | {"kinds": kinds}, SIZE, 5, "1"))
    assert not list(tmp_path.iterdir())


def test_a_higher_confidence_leaves_out_and_changes_nothing(exported: Path) -> None:
    """From 0.05 on, boxes asked for at a higher confidence are those of a lower one that are so sure."""
    picture = noise(SIZE, 5)
    many = Detector(exported, 0.05).detect(picture)
    few = Detector(exported, 0.3).detect(picture)
    assert len(many) > len(few) > 3
    np.testing.assert_array_equal(few.xyxy, many[many.confidence > 0.3].xyxy)
    np.testing.assert_array_equal(few.confidence, many[many.confidence > 0.3].confidence)


def test_a_file_that_pairs_in_another_way_is_refused(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rule in numpy says something else than the graph, the file is not put into place."""
    monkeypatch.setattr(parity, "ALONE", ALONE / 2)
    with pytest.raises(TrainError, match="pairs the two sizes in another way"):
        check_parity(network(), exported, SIZE, 11, SECOND)
    monkeypatch.undo()
    other = network()
    other.heads[0].box_out.weight.data[0, 0] += 1.0
    with pytest.raises(TrainError, match="differs from PyTorch"):
        check_parity(other, exported, SIZE, 11, SECOND)


def test_int8_has_both_sizes_too(exported: Path, tmp_path: Path) -> None:
    """The int8 copy looks at two sizes with the same weights, the last in float; it finds the same object."""
    target = tmp_path / "int8.onnx"
    nothing = (np.zeros((0, 4), np.float32), np.zeros((0, 2), bool), np.zeros(2, bool), "s")
    quantize(exported, target, [Picture(noise(SIZE, seed), *nothing) for seed in range(4)])
    small = Detector(target, 0.1)
    assert small.inputs == "96x128 and 64x96"
    assert target.stat().st_size < exported.stat().st_size / 2
    graph = onnx.load(target).graph
    products = [node for node in graph.node if node.op_type == "Gemm"]
    assert len(products) == 2 * (3 + 2)  # two sizes: classes of three levels, sides of all
    kept = {constant.name: constant.data_type for constant in graph.initializer if "_out." in constant.name}
    assert len(kept) == 2 * 2 * 3  # weights and biases, classes and sides, three levels
    assert set(kept.values()) == {onnx.TensorProto.FLOAT}
    a = Detector(exported, 0.1).detect(noise(SIZE, 3))
    b = small.detect(noise(SIZE, 3))
    assert abs(float(a.confidence[0] - b.confidence[0])) < 0.1


def test_the_command_writes_one_size_or_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--second-size` is looked at as well; by the recipe without it; what cannot be is said in one line."""
    recipe = RECIPE | {"batch": 4, "input": list(SIZE), "second_input": list(SECOND)}
    recipe |= {"source": [{"own": "."}]}
    kept = tmp_path / "own.toml"
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in recipe.items() if key != "source"]
    kept.write_text("".join(lines) + '[[source]]\nown = "."\n')
    checkpoint = tmp_path / "c.pt"
    torch.save({"recipe": recipe, "done": 5, "average": network().state_dict()}, checkpoint)
    out = tmp_path / "m.onnx"
    words = ["onnx", str(kept), "--checkpoint", str(checkpoint), "--out", str(out)]
    for more, inputs in (
        ([], "96x128 and 64x96"),
        (["--second-size", "64x64"], "96x128 and 64x64"),
        (["--size", "128x160"], "128x160"),
        (["--size", "128x160", "--second-size", "96x128"], "128x160 and 96x128"),
        (["--mirrored"], "96x128 and 64x96, mirrored too"),
    ):
        assert main([*words, *more]) == 0
        assert Detector(out).inputs == inputs
    capsys.readouterr()
    before = out.read_bytes()
    assert main([*words, "--size", "96x128", "--second-size", "96x96"]) == 1
    said = capsys.readouterr().err
    assert said == "gb-export: second size 96x96: must be smaller than 96x128 both ways\n"
    assert out.read_bytes() == before
    with pytest.raises(SystemExit) as ended:
        main([*words, "--second-size", "100x100"])
    assert ended.value.code == 2


def test_anchors_have_one_size_and_one_kind() -> None:
    """A network with anchors is refused a second size and kinds, by a line that says what to do."""
    model = network("yolov5n-published")
    for more in ({"second_input": SECOND}, {"kinds": [["a"], ["b"]]}, {"mirrored": True}):
        with pytest.raises(TrainError, match="leave second_input, kinds and mirrored out"):
            write(folded_copy(model), SIZE, describe(RECIPE | more, SIZE, 5, "1"))


def test_the_recipe_and_the_packaged_file_have_the_same_sizes() -> None:
    """What `gb-export onnx traffic` writes looks as the file that comes along does."""
    recipe = load_recipe("traffic")
    told = {key: recipe[key] for key in ("input", "second_input", "kinds")}
    assert json.loads(json.dumps(FILES[0].said())) == told
