"""The commands that judge a model, and the page that they write."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.boxes import Detections
from agent.see.infer import Detector
from export.__main__ import main
from export.data.sample import JUDGED, Picture
from export.data.user_dataset import own_recipe, read_labelled, read_own, to_toml
from export.judge.assess import Assessment, Masks, assess, text, to_json
from export.judge.evaluate import Seen, confusion, judge
from export.judge.mask_metrics import by_size, find, gather, roc_points, tell
from export.judge.reliability import reliability
from export.judge.report import page, write_report

MODEL = Path("agent/models/gb-yolo-n-mask.onnx").resolve()
NAMES = ["with_mask", "without_mask"]
VOID = {"meta", "image", "rect", "line", "path", "polyline", "br"}


def assessment() -> Assessment:
    """Return what is known of a model that misses one face, invents one, and calls one wrongly."""
    boxes = np.asarray([[0, 0, 40, 40], [60, 0, 100, 40], [120, 0, 200, 80]], np.float32)
    masked = np.asarray([True, True, False])
    image = np.full((120, 220, 3), 90, np.uint8)
    picture = Picture(image, boxes, np.stack((masked, ~masked), 1), np.zeros(2, bool), "<s>", "a&b.png")
    said = np.concatenate((boxes[:2], [[5, 60, 55, 110]])).astype(np.float32)
    seen = [Seen(picture, Detections(said, np.asarray([0.9, 0.8, 0.7]), np.asarray([0, 1, 0])))]
    faces = gather(seen, NAMES)
    told = tell(faces)
    found, at_90 = find(seen, NAMES)
    masks = Masks(told, {"<s>": told}, by_size(faces), {"0": told}, {}, None, found, at_90, roc_points(faces))
    scores = judge(seen, NAMES)
    worth = reliability(seen, NAMES)
    confused = confusion(seen, NAMES)
    return Assessment("m<1>.onnx", "0" * 64, (96, 96), NAMES, 1, scores, confused, worth, masks, seen)


class Checker(HTMLParser):
    """Hold every element closed, and gather what the page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.titles: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID - {"rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.asked += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title":
            self.titles.append(data)


def test_the_page_is_whole_and_asks_nobody(tmp_path: Path) -> None:
    """Every element is closed, nothing is fetched, words of the data are words, each mistake is drawn."""
    path = write_report(assessment(), tmp_path / "new")
    checker = Checker()
    checker.feed(path.read_text())
    assert checker.open == []
    assert checker.asked
    assert all(address.startswith("data:image/jpeg;base64,") for address in checker.asked)
    assert not re.search(r"https?://|@import|<script|url\(", path.read_text())
    assert checker.titles == [
        "m<1>.onnx",
        "missed: without_mask",
        "wrong class: without_mask 0.80",
        "invented: with_mask 0.70",
    ]
    assert "a&amp;b.png (&lt;s&gt;): 1 missed, 1 invented, 1 wrong class" in path.read_text()


def test_the_figures_are_machine_readable() -> None:
    """The JSON has every figure with its interval, and null for what is not known."""
    said = json.loads(to_json(assessment()))
    assert said["masks"]["whole"]["end to end"]["TPR"][0] == 0.5
    assert said["confusion"]["nothing there"] == [1, 0, 0]
    assert "seen" not in said
    assert "NaN" not in to_json(assessment())
    assert "recall of faces at precision 0.9" in text(assessment())
    assert said["reliability"]["without_mask"][0]["right"][0] == 0.0


def test_what_a_score_is_worth() -> None:
    """Of boxes told at a score, those are right that lie on an object of their class, each object once."""
    boxes = np.asarray([[0, 0, 40, 40], [100, 0, 140, 40]], np.float32)
    either = np.asarray([[True, True], [True, False]])
    image = np.zeros((60, 300, 3), np.uint8)
    labelled = Picture(image, boxes, either, np.zeros(2, bool), "s", "a.png")
    second = Picture(image, boxes[:1], either[1:], np.asarray([False, True]), "s", "b.png")
    places = np.asarray([boxes[0], boxes[0], boxes[1], [200, 0, 240, 40]], np.float32)
    told = Detections(places, np.asarray([0.95, 0.75, 0.35, 0.05]), np.asarray([1, 0, 0, 0]))
    seen = [Seen(labelled, told), Seen(second, told[:1])]
    worth = reliability(seen, ["car", "bus"])
    cars = [(one.low, one.boxes, one.right.value) for one in worth["car"]]
    assert cars == [(0.3, 1, 1.0), (0.7, 1, 0.0)]  # a second box of one object; under 0.1 none is judged
    assert [(one.low, one.boxes, one.right.value) for one in worth["bus"]] == [(0.8, 1, 1.0)]
    assert worth["car"][0].mean == pytest.approx(0.35)
    assert reliability([Seen(labelled, told[3:])], ["car", "bus"]) == {"car": [], "bus": []}


def faces_of_noise(root: Path) -> Path:
    """Write a folder of two pictures with labels, one to learn from and one to judge by."""
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        cv2.imwrite(str(root / split / "a.png"), np.full((64, 64, 3), 120, np.uint8))
        (root / split / "a.txt").write_text("0 .5 .5 .4 .4\n1 .2 .2 .3 .3\n")
    (root / "classes.txt").write_text("with_mask\nwithout_mask\n")
    return root


def test_a_users_folder_judges_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recipe made from a folder, written and read again, names the pictures to judge by."""
    data = faces_of_noise(tmp_path / "data")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(own_recipe(data)))
    words = ["evaluate", str(MODEL), str(recipe), "--data", str(data), "--report", str(tmp_path / "page")]
    assert main([*words, "--json", "--roll", "0,30"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["pictures"] == 1
    assert said["masks"]["by_roll"].keys() == {"0", "30"}
    assert (tmp_path / "page" / "report.html").stat().st_size > 4000
    assert read_labelled(data).names == tuple(NAMES)


def test_one_command_from_a_folder_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training on a folder ends with a checkpoint, a recipe and a report, and what it prints next works."""
    pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")
    import export.__main__ as command

    small = {"size": 64, "fit": [64, 64], "input": [64, 64], "batch": 2, "images": 4}
    small["finish"] = {"share": 0.1, "size": [64, 64]}
    monkeypatch.setattr(command, "own_recipe", lambda *given: own_recipe(*given) | small)
    data = faces_of_noise(tmp_path / "data")
    folder = tmp_path / "out"
    assert main(["train", "--data", str(data), "--folder", str(folder), "--threads", "1"]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "compared.txt",
        "last.pt",
        "recipe.toml",
        "report.html",
    }
    following = capsys.readouterr().out.split("gb-export ")[-1].split()
    assert main([*following, "--out", str(tmp_path / "own.onnx")]) == 0
    assert list(Detector(tmp_path / "own.onnx").names.values()) == NAMES
    assert main(["evaluate", str(folder / "last.pt"), "--data", str(data)]) == 0


def test_some_sources_are_judged_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the named sources have rows; a name that no picture has is an error that lists those there are."""
    data = tmp_path / "masks"
    for source in ("near", "far"):
        drawn = faces_of_noise(tmp_path / source)
        for path in [path for path in drawn.rglob("*") if path.is_file() and path.suffix in (".png", ".txt")]:
            part = "labels" if path.suffix == ".txt" else "images"
            (data / "val" / part).mkdir(parents=True, exist_ok=True)
            path.rename(data / "val" / part / f"{source}{path.name}")
    names = sorted(path.name for path in (data / "val" / "images").iterdir())
    rows = "".join(f"{name},{'far' if name.startswith('far') else 'near'}\n" for name in names)
    (data / "sources.csv").write_text("file,source\n" + rows)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'names = ["with_mask", "without_mask"]\n[[source]]\nfolder = "masks"\n'
        'classes = [["with_mask"], ["without_mask"]]\n'
    )
    words = ["evaluate", str(MODEL), str(recipe), "--data", str(tmp_path)]
    assert main([*words, "--sources", "far"]) == 0
    said = capsys.readouterr().out
    assert "far " in said
    assert "near " not in said
    assert main([*words, "--sources", "far, moon"]) == 2
    assert "no pictures of 'moon'; there are far, near" in capsys.readouterr().err


def test_wrong_use_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of other classes, no pictures and a wrong folder each end with 2 and one line."""
    data = faces_of_noise(tmp_path / "data")
    (data / "classes.txt").write_text("with_mask\nwithout_mask\nthird\n")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(to_toml(own_recipe(data)))
    assert main(["evaluate", str(MODEL), str(recipe), "--data", str(data)]) == 2
    assert "not the classes of this recipe" in capsys.readouterr().err
    assert main(["train", "--data", str(tmp_path / "none")]) == 2
    assert "give the folder of your pictures by --data" in capsys.readouterr().err
    for words in (["--limit", "0"], ["--roll", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", "m.onnx", *words])
        assert ended.value.code == 2


def test_a_model_judged_by_its_own_findings_is_perfect(data: Path) -> None:
    """Real faces, with what the model says as the truth: every figure is one."""
    detector = Detector(MODEL, confidence=0.3)
    paths = sorted((data / "masks" / "val" / "images").glob("andrewmvd*"))[:3]
    pictures = []
    for path in paths:
        image = cv2.imread(str(path))
        found = detector.detect(image)
        allowed = np.eye(2, dtype=bool)[found.class_id]
        pictures.append(Picture(image, found.xyxy, allowed, np.zeros(2, bool), "s"))
    said = assess(detector, pictures)
    assert said.masks
    assert said.masks.whole["end to end"]["recall"].value == 1
    assert said.masks.at_90[0] == 1
    assert "<svg" in page(said)


def test_pictures_to_judge_by_are_larger(tmp_path: Path) -> None:
    """To judge, pictures stay as a camera gives them; to learn, they are made as small as a canvas shows."""
    data = faces_of_noise(tmp_path)
    cv2.imwrite(str(data / "val" / "a.png"), np.full((700, 900, 3), 120, np.uint8))
    assert read_own(data, "val", NAMES, longest=JUDGED)[0].image.shape == (700, 900, 3)
    assert read_own(data, "val", NAMES)[0].image.shape == (498, 640, 3)
