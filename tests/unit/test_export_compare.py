"""A user's own model beside one that comes along, and scores that mean something."""

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from agent.boxes import Detections  # noqa: E402
from agent.see.infer import Detector  # noqa: E402
from export.__main__ import main  # noqa: E402
from export.data.drawn import draw_scene  # noqa: E402
from export.data.pseudo_labels import MODELS  # noqa: E402
from export.data.recipe import load_recipe  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import DataError, TrainError  # noqa: E402
from export.judge.compare import Renamed, rival  # noqa: E402
from export.judge.evaluate import Seen  # noqa: E402
from export.onnx.calibrate import Shift, apply, asked, calibrate, fit  # noqa: E402
from export.train.checkpoint import load_checkpoint  # noqa: E402
from export.train.warm_start import load_trainable  # noqa: E402

TRAFFIC = MODELS / "gb-yolo-n-traffic.onnx"
NAMES = ["person", "bicycle", "car", "motorcycle", "bus", "truck"]


def test_classes_go_by_their_names() -> None:
    """A model's cars are numbered as the user's labels number them; what these lack is left out."""
    picture = draw_scene(7, [600], NAMES)[0].image
    detector = Detector(TRAFFIC)
    found = detector.detect(picture)
    renamed = Renamed(detector, ["van", "car"]).detect(picture)
    cars = found[found.class_id == 2]
    assert len(cars) > 0
    assert renamed.class_id.tolist() == [1] * len(cars)
    assert np.array_equal(renamed.xyxy, cars.xyxy)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [(["car", "van"], "gb-yolo-n-traffic"), (["with_mask"], "gb-yolo-n-mask"), (["penguin"], None)],
)
def test_the_rival_is_the_one_that_knows_most(names: list[str], wanted: str | None) -> None:
    """Without a file that the training began with, the shared class names decide; none is none."""
    found = rival(names, None)
    assert (found.path.stem if found else None) == wanted
    begun = rival(names, TRAFFIC)
    assert begun is not None
    assert begun.path == TRAFFIC


def test_a_training_ends_beside_the_packaged_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train --data` writes what it and the packaged model find on the kept pictures, class by class."""
    monkeypatch.setattr("export.data.user_dataset.with_split", _split)
    for number, picture in enumerate(draw_scene(11, [200, 500, 800, 1100], NAMES)):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture.image)
        height, width = picture.image.shape[:2]
        rows = []
        for (left, top, right, bottom), allowed in zip(picture.boxes, picture.allowed, strict=True):
            if allowed[2] or allowed[0]:
                place = (left + right) / 2 / width, (top + bottom) / 2 / height
                size = (right - left) / width, (bottom - top) / height
                rows.append(" ".join(map(str, (int(allowed[0]), *place, *size))))
        (tmp_path / f"{number}.txt").write_text("\n".join(rows))
    (tmp_path / "classes.txt").write_text("auto\nperson\n")
    out = tmp_path / "run"
    words = ["train", "--data", str(tmp_path), "--weights", "traffic", "--folder", str(out), "--threads", "1"]
    assert main([*words, "--images", "24"]) == 0
    said = capsys.readouterr().out
    compared = (out / "compared.txt").read_text()
    assert compared in said
    assert "beside gb-yolo-n-traffic.onnx, on the same" in compared
    lines = {line.split()[0]: line for line in compared.splitlines()[2:]}
    assert lines["auto"].endswith("does not know it")
    assert not lines["person"].endswith("does not know it")


def _split(labelled: object) -> object:
    """Keep every other picture to judge by: drawn frames of one street all look alike."""
    from dataclasses import replace

    records = labelled.records  # type: ignore[attr-defined]
    return replace(  # type: ignore[type-var]
        labelled,
        records=tuple(replace(r, split=("train", "val")[n % 2]) for n, r in enumerate(records)),
    )


def told(scale: float, bias: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, and whether they are right as often as a * logit + b says."""
    rng = np.random.default_rng(3)
    logits = rng.normal(-0.5, 1.5, count)
    right = rng.random(count) < 1 / (1 + np.exp(-(scale * logits + bias)))
    return 1 / (1 + np.exp(-logits)), right


def reliability(score: np.ndarray, right: np.ndarray) -> list[tuple[float, int, float, float]]:
    """Return for each tenth of scores: its lower end, how many boxes, their mean score, the share right."""
    rows = []
    for low in np.arange(0.1, 1.0, 0.1):
        mine = (score >= low) & (score < low + 0.1)
        if mine.any():
            rows.append((low, int(mine.sum()), float(score[mine].mean()), float(right[mine].mean())))
    return rows


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (1.6, 1.2), (0.6, -0.8)])
def test_the_fit_finds_the_curve(scale: float, bias: float) -> None:
    """Scale and bias come back, and then of the boxes told at a score that share is right."""
    score, right = told(scale, bias)
    shift = fit(score, right)
    assert shift.scale == pytest.approx(scale, abs=0.08)
    assert shift.bias == pytest.approx(bias, abs=0.08)
    logits = np.log(score / (1 - score))
    better = 1 / (1 + np.exp(-(shift.scale * logits + shift.bias)))
    for _, count, mean, share in reliability(better, right):
        assert count < 300 or abs(mean - share) < 0.06


def test_where_little_is_known_scores_stay_as_they_are() -> None:
    """No box changes nothing, and a handful hardly anything."""
    assert fit(np.zeros(0), np.zeros(0, np.bool_)) == Shift(1.0, 0.0)
    shift = fit(np.full(4, 0.5), np.ones(4, np.bool_))
    assert 0 < shift.bias < 0.1


def test_only_where_people_labelled_is_asked() -> None:
    """A class that a picture leaves unlabelled, and boxes on what is hidden, say nothing of a score."""
    boxes = np.asarray([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
    allowed = np.asarray([[True, False], [False, False]])
    image = np.zeros((40, 40, 3), np.uint8)
    picture = Picture(image, boxes, allowed, np.asarray([False, True]), "s")
    corners = [[0, 0, 10, 10], [20, 0, 30, 10], [0, 20, 10, 30], [0, 0, 9, 9]]
    found = Detections(
        np.asarray(corners, np.float32),
        np.asarray([0.9, 0.8, 0.7, 0.6], np.float32),
        np.asarray([0, 0, 0, 1]),
    )
    score, right = asked([Seen(picture, found)], 0)
    assert score.round(2).tolist() == [0.9, 0.7]
    assert right.tolist() == [True, False]
    assert len(asked([Seen(picture, found)], 1)[0]) == 0


def test_calibrated_weights_tell_shifted_scores(tmp_path: Path) -> None:
    """The copy of the checkpoint says a * logit + b and nothing else is different; once is enough."""
    recipe = load_recipe("traffic") | {"source": []}
    noise = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    network, _ = load_trainable(TRAFFIC, [noise])
    state = {"average": network.state_dict(), "recipe": recipe, "done": 1, "seconds": 0.0}
    torch.save(state, tmp_path / "last.pt")
    held = [p for seed in (71, 72) for p in draw_scene(seed, [230, 1030], NAMES)]
    shift = calibrate(tmp_path / "last.pt", held, tmp_path / "calibrated.pt")
    after = load_checkpoint(tmp_path / "calibrated.pt")
    changed = {name for name, array in after["average"].items() if not array.equal(state["average"][name])}
    assert changed
    assert all(".class_out." in name for name in changed)
    again, _ = load_trainable(TRAFFIC, [noise])
    apply(again, shift)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before, now = (model.eval()(picture) for model in (network, again))
    assert torch.allclose(now.logits, before.logits * shift.scale + shift.bias, atol=1e-4)
    assert torch.equal(now.xyxy, before.xyxy)
    with pytest.raises(TrainError, match="calibrated already"):
        calibrate(tmp_path / "calibrated.pt", held, tmp_path / "twice.pt")
    with pytest.raises(DataError, match="no pictures to calibrate by"):
        calibrate(tmp_path / "last.pt", [], tmp_path / "none.pt")
