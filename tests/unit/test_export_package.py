"""The files that come along: each is whole, small and right, and the same command makes the same."""

import json
import re
from pathlib import Path

import cv2
import onnx
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from agent.config import CameraConfig  # noqa: E402
from agent.look.judge import PACKAGED  # noqa: E402
from agent.see import self_test  # noqa: E402  after the check for PyTorch
from agent.see.infer import Detector, ModelError  # noqa: E402
from benchmarks import cards  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.onnx import release  # noqa: E402
from export.onnx.parity import noise  # noqa: E402
from export.onnx.release import FILES, MODELS, main, prove  # noqa: E402
from tests.unit.test_export_onnx import network  # noqa: E402


def test_the_folder_holds_these_files_and_no_others() -> None:
    """What is packaged is what the command makes, and the judge of faces of `gb-export judge`."""
    made = {file.name for file in FILES} | {PACKAGED.name}
    assert {path.name for path in MODELS.glob("*.onnx")} == made


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_packaged_model_is_whole_small_and_right(file: release.File) -> None:
    """It opens by its name in a config, tells licence, task, size and precision, and answers right."""
    path = CameraConfig(
        source="0", model=file.name.removeprefix("gb-yolo-n-").removesuffix(".onnx")
    ).model_path
    assert path == MODELS / file.name
    prove(path)
    detector = Detector(path, confidence=0.1)
    assert detector.metadata["task"] == file.task.removesuffix("-free")
    assert detector.metadata["licence"].startswith("weights for")
    assert detector.metadata.get("precision", "float").startswith("int8" if file.int8 else "float")
    assert file.size in (None, detector.input_size)
    whole = next(one for one in FILES if one.task == file.task)  # int8 is made of it
    assert detector.second_size == (whole.second if file.int8 else file.second)
    assert detector.mirrored == file.mirrored
    assert json.loads(detector.metadata.get("kinds", "[]")) == [list(kind) for kind in whole.kinds]
    assert detector.metadata["input"].startswith("{}x{} ".format(*detector.input_size))
    assert json.loads(detector.metadata["recipe"])["names"] == list(detector.names.values())


def test_each_card_is_of_its_file() -> None:
    """The figures in the models' page were measured with these very files: no figure outlives its file."""
    card = cards.PAGE.read_text()
    for file in FILES:
        part = card.partition(f"### `{file.name}`")[2].partition("###")[0]
        assert f"sha256 `{Detector(MODELS / file.name).sha256[:12]}`" in part, f"{file.name}: measure it anew"
        assert f"| `{file.name}` |" in card


@pytest.mark.parametrize("file", [file for file in FILES if file.int8], ids=lambda file: file.name)
def test_int8_is_as_good_as_float(file: release.File) -> None:
    """The mean of the card's rows is at most 0.3 points below that of the float file."""
    part = cards.PAGE.read_text().partition(f"### `{file.name}`")[2].partition("###")[0]
    points = re.search(r"\(([+-][\d.]+) points against float\)", part)
    assert points
    assert float(points[1]) >= -0.3


def checkpoints(folder: Path) -> list[str]:
    """Write pictures in COCO form and three checkpoints of a network that sees much in noise."""
    data = folder / "data"
    for split in ("train", "val"):
        (data / split).mkdir(parents=True)
        images = [{"id": n, "file_name": f"{split}/{n}.png", "width": 128, "height": 96} for n in range(3)]
        for image in images:
            cv2.imwrite(str(data / image["file_name"]), noise((96, 128), image["id"]))
        boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [8, 8, 40, 40]} for n in range(3)]
        kinds = [{"id": n + 1, "name": name} for n, name in enumerate("ab")]
        table = {"images": images, "annotations": boxes, "categories": kinds}
        (data / f"{split}.json").write_text(json.dumps(table))
    paths = []
    for task in ("traffic", "mask", "mask-free"):
        recipe = {
            "name": f"gb-yolo-n-{task}",
            "task": task,
            "names": ["a", "b"],
            "licence": "weights for tests",
        }
        recipe |= {"batch": 4, "input": [96, 128], "source": [{"own": ".", "format": "coco"}]}
        paths.append(folder / f"{task}.pt")
        torch.save({"recipe": recipe, "done": 5, "average": network().state_dict()}, paths[-1])
    return [str(path) for path in paths]


def test_the_same_checkpoints_make_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All files, of one size and of two, come from three checkpoints in one go; the second gives the same."""
    monkeypatch.setenv("GB_DATA", str(tmp_path / "data"))
    wide, _, large, *rest = FILES
    little = {"size": (96, 128), "second": (64, 96), "kinds": (("b",), ("a",))}  # a large input is slow
    monkeypatch.setattr(release, "FILES", [wide._replace(**little), large._replace(**little), *rest])
    words = checkpoints(tmp_path)
    for target in ("one", "two"):
        assert main([*words, str(tmp_path / target)]) == 0
    names = sorted(file.name for file in release.FILES)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert Detector(tmp_path / "one" / names[0]).metadata["pictures_seen"] == "20"
    inputs = {name: Detector(tmp_path / "one" / name).inputs for name in names}
    twice = {name for name, said in inputs.items() if said == "96x128 and 64x96"}
    assert twice == {"gb-yolo-n-traffic.onnx", "gb-yolo-n-traffic-int8.onnx"}
    assert inputs["gb-yolo-n-traffic-large.onnx"] == "96x128 and 64x96, mirrored too"
    assert capsys.readouterr().out.count("bytes") == 2 * len(names)
    assert main(["", words[1], "", str(tmp_path / "masks")]) == 0
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {n for n in names if "-mask" in n} - {
        "gb-yolo-n-mask-free.onnx"
    }


def test_the_float_files_make_the_same_files_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no checkpoint is left, each comes from any float file: of two sizes, mirrored, int8."""
    monkeypatch.setenv("GB_DATA", str(tmp_path / "data"))
    wide, _, large, int8, *_ = FILES
    little = {"size": (96, 128), "second": (64, 96), "kinds": (("b",), ("a",))}
    made = [wide._replace(**little), large._replace(**little), int8]
    monkeypatch.setattr(release, "FILES", made)
    assert main([checkpoints(tmp_path)[0], "", "", str(tmp_path / "first")]) == 0
    for source in made[:2]:
        again = tmp_path / f"of {source.name}"
        assert main([str(tmp_path / "first" / source.name), "", "", str(again)]) == 0
        for file in made:
            assert (again / file.name).read_bytes() == (tmp_path / "first" / file.name).read_bytes()


def test_a_packaged_file_is_written_again_with_its_very_weights(tmp_path: Path) -> None:
    """The street model written again holds the same arrays, byte for byte, and gives the same boxes."""
    before = MODELS / FILES[0].name
    after = tmp_path / "again.onnx"
    release.write_float(before, after, FILES[0])
    arrays = [
        {one.name: one.raw_data for one in onnx.load(path).graph.initializer if "." in one.name}
        for path in (before, after)
    ]
    assert len(arrays[0]) > 100
    assert arrays[0] == arrays[1]
    picture = self_test.picture(10, (384, 640))
    one, two = (Detector(path, confidence=0.05).detect(picture) for path in (before, after))
    assert len(one)
    assert (one.xyxy == two.xyxy).all()
    assert (one.confidence == two.confidence).all()


def test_what_cannot_be_made_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing words, data and checkpoints each end with a reason, and no file is left behind."""
    assert main([]) == main(["", ""]) == 2
    monkeypatch.setenv("GB_DATA", str(tmp_path))
    words = [str(tmp_path / name) for name in ("a.pt", "b.pt", "c.pt", "out")]
    assert main(words) == 1
    assert "no such checkpoint" in capsys.readouterr().err
    (tmp_path / "a.onnx").write_bytes(b"no model")
    assert main([str(tmp_path / "a.onnx"), "", "", str(tmp_path / "out")]) == 1
    assert "not a float file" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_a_file_that_is_not_right_is_not_put_into_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too large, or computes wrongly here, is refused."""
    path = MODELS / FILES[0].name
    monkeypatch.setattr(self_test, "picture", lambda seed, size: noise(size, seed))
    with pytest.raises(ModelError, match="wrong answers"):
        prove(path)
    monkeypatch.setattr(release, "LIMIT", 1000)
    with pytest.raises(TrainError, match="1,000 is too much"):
        prove(path)


def test_fewer_streets_keep_their_share() -> None:
    """An eighth of the streets is drawn, each shown eight times; other sources stay as they are."""
    scene = {"scene_seeds": {"train": [1000, 1160]}, "repeat": {"scene": 3}}
    folder = {"folder": "x", "repeat": {"a": 2}}
    street, other = release.fewer_streets({"source": [scene, folder]})["source"]
    assert other is folder
    seeds = range(*street["scene_seeds"]["train"])
    assert len(seeds) * street["repeat"]["scene"] == 160 * 3
    assert set(seeds) < set(range(1000, 1160))


def test_calibration_pictures_lie_evenly() -> None:
    """So many are taken as asked for, or all, from the whole list."""
    pictures: list[Picture] = list(range(10))  # type: ignore[arg-type]
    assert release.evenly(pictures, 3) == [0, 3, 6]
    assert release.evenly(pictures, 20) == pictures
