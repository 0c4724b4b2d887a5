"""The loss and the loop: what is assigned, what is ignored, and that it learns and resumes."""

import copy
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")
from torch import nn  # noqa: E402

import export.train.train as loop  # noqa: E402  after the check for PyTorch
from agent.boxes import iou  # noqa: E402
from agent.see.infer import Detector  # noqa: E402
from agent.street.scene import Scene  # noqa: E402
from export.data.augment import Augmentation, Batch, make_batch  # noqa: E402
from export.data.loader import feed  # noqa: E402
from export.data.pseudo_labels import packaged  # noqa: E402
from export.data.recipe import load_recipe  # noqa: E402
from export.data.sample import Picture  # noqa: E402
from export.errors import TrainError  # noqa: E402
from export.model.network import Raw, cells  # noqa: E402
from export.model.zoo import FAMILY, make_model  # noqa: E402
from export.train.activation_annealing import is_soft, sharpen, soften  # noqa: E402
from export.train.loss import (  # noqa: E402
    ALPHA,
    BETA,
    TOP,
    Assignment,
    Boxes,
    assign,
    ciou,
    detection_loss,
    distillation_loss,
    row_iou,
)
from export.train.teacher import Teacher  # noqa: E402

RECIPE = {
    "name": "small",
    "names": ["a", "b", "c"],
    "licence": "none needed",
    "seed": 1,
    "size": 64,
    "fit": [64, 64],
    "scale": [0.8, 1.2],
    "mosaic": 0.5,
    "batch": 2,
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "images": 8,
    "source": [],
}


def one_batch(allowed: list[list[bool]], unlabelled: list[bool]) -> Batch:
    """Return two pictures with one bright box each."""
    image = np.full((64, 64, 3), 60, np.uint8)
    image[16:48, 16:48] = 230
    picture = Picture(
        image, np.asarray([[16, 16, 48, 48]], np.float32), np.asarray(allowed), np.asarray(unlabelled), "s"
    )
    how = Augmentation(64, (64, 64), (1, 1), 0.0, 0, 0, 0)
    return make_batch([picture], how, 2, (1, 0))


def test_overlaps_agree_with_the_plain_ones() -> None:
    """The loss's IoU is the agent's, and CIoU is 1 for equal boxes and less than IoU for others."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (8, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(4, 40, (8, 2))), 1).astype(np.float32)
    a = torch.from_numpy(boxes[:4])
    b = torch.from_numpy(boxes[4:])
    overlap = row_iou(a, b[None].expand(4, 4, 4))
    np.testing.assert_allclose(overlap.numpy(), iou(boxes[:4], boxes[4:]), atol=1e-6)
    assert ciou(a, a).tolist() == pytest.approx([1] * 4, abs=1e-4)
    assert (ciou(a, b) <= torch.diag(overlap) + 1e-6).all()
    far = ciou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[50.0, 50, 51, 51]]))
    assert far.item() < -0.9


def given_to(scores: torch.Tensor, xyxy: torch.Tensor, box: list[float], allowed: list[bool]) -> Assignment:
    """Assign one box of the only picture; return what its cells get, without the picture's axis."""
    centres, _ = cells(64, 64)
    taught = Boxes(torch.tensor([box]), torch.tensor([allowed]), torch.tensor([0]))
    return Assignment(*(part[0] for part in assign(scores[None], xyxy[None], centres, taught)))


def test_cells_inside_a_box_take_it() -> None:
    """At most ten cells, all inside, learn a box; the best one learns its own overlap."""
    centres, strides = cells(64, 64)
    xyxy = torch.cat((centres - strides[:, None] * 2, centres + strides[:, None] * 2), 1)
    scores = torch.full((len(centres), 2), 0.1)
    box = [16.0, 16, 48, 48]
    given = given_to(scores, xyxy, box, [False, True])
    rows = (given.owner == 0).nonzero()[:, 0]
    assert 1 <= len(rows) <= 10
    assert ((centres[rows] > 16) & (centres[rows] < 48)).all()
    assert given.target[:, 0].sum() == 0
    overlap = row_iou(torch.tensor([box]), xyxy[None])
    assert given.target.max().item() == pytest.approx(overlap[0, rows].max().item())
    assert (given.weight == 1).all()


def test_a_group_is_never_punished_within() -> None:
    """A "vehicle" teaches the best class of the group; the group's others carry no weight there."""
    centres, strides = cells(64, 64)
    xyxy = torch.cat((centres - strides[:, None] * 2, centres + strides[:, None] * 2), 1)
    scores = torch.full((len(centres), 3), 0.1)
    scores[:, 2] = 0.3
    given = given_to(scores, xyxy, [16.0, 16, 48, 48], [False, True, True])
    taken = given.owner == 0
    assert (given.target[taken][:, 2] > 0).all()
    assert given.target[:, :2].sum() == 0
    assert (given.weight[taken] == torch.tensor([1.0, 0.0, 1.0])).all()


def test_a_tiny_box_is_still_learned() -> None:
    """A box between all cell centres is given to the cells round it."""
    centres, strides = cells(64, 64)
    xyxy = torch.cat((centres - strides[:, None] / 4, centres + strides[:, None] / 4), 1)
    given = given_to(torch.full((len(centres), 1), 0.1), xyxy, [14.5, 14.5, 17.5, 17.5], [True])
    assert (given.owner == 0).any()


def assigned_one_by_one(
    scores: np.ndarray, xyxy: np.ndarray, boxes: np.ndarray, allowed: np.ndarray
) -> tuple:
    """Do what `assign` does for one picture by loops over boxes and cells: the reference, slow and plain."""
    centres = cells(64, 64)[0].numpy()
    overlap = iou(boxes, xyxy)  # (M,A)
    metric = np.zeros_like(overlap)
    for row, box in enumerate(boxes):
        room = 4 if min(box[2] - box[0], box[3] - box[1]) < 8 else 0
        for cell, (x, y) in enumerate(centres):
            if min(x - box[0], y - box[1], box[2] - x, box[3] - y) > -room:
                best = scores[cell][allowed[row]].max()
                metric[row, cell] = best**ALPHA * overlap[row, cell] ** BETA
    owner = np.full(len(centres), -1)
    target = np.zeros_like(scores)
    for row in range(len(boxes)):
        for cell in np.argsort(-metric[row], kind="stable")[:TOP]:
            other = owner[cell]
            if metric[row, cell] > 0 and (other < 0 or overlap[row, cell] > overlap[other, cell]):
                owner[cell] = row
    for cell in np.flatnonzero(owner >= 0):
        row = owner[cell]
        mine = owner == row
        share = metric[row, cell] / (metric[row, mine].max() + 1e-12) * overlap[row, mine].max()
        target[cell, np.where(allowed[row], scores[cell], -1).argmax()] = share
    return owner, target


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_is_assigned_as_its_pictures_one_by_one(seed: int) -> None:
    """Boxes that share cells, tiny ones, groups, and a picture without any: as the plain loops have it."""
    rng = np.random.default_rng(seed)
    centres, strides = (part.numpy() for part in cells(64, 64))
    scores = rng.uniform(0.01, 0.9, (3, len(centres), 4)).astype(np.float32)
    reach = (rng.uniform(0.3, 4, (3, len(centres), 4)) * strides[:, None]).astype(np.float32)
    xyxy = np.concatenate((centres - reach[..., :2], centres + reach[..., 2:]), 2)
    counts = [int(rng.integers(1, 7)), 0, int(rng.integers(1, 7))]
    corner = [rng.uniform(0, 40, (count, 2)) for count in counts]
    boxes = [np.hstack((c, c + rng.uniform(3, 30, c.shape))).astype(np.float32) for c in corner]
    allowed = [rng.random((count, 4)) < 0.4 for count in counts]
    for some in allowed:
        some[np.arange(len(some)), rng.integers(0, 4, len(some))] = True
    arrays = (torch.from_numpy(part) for part in (scores, xyxy, centres))
    given = assign(*arrays, Boxes.of(boxes, allowed, torch.device("cpu")))
    before = 0
    for number in range(3):
        owner, target = assigned_one_by_one(scores[number], xyxy[number], boxes[number], allowed[number])
        np.testing.assert_array_equal(given.owner[number].numpy(), np.where(owner < 0, -1, owner + before))
        np.testing.assert_allclose(given.target[number].numpy(), target, atol=1e-5)
        before += counts[number]
    weight = given.weight.numpy()
    free = given.owner.numpy() < 0
    assert (weight[free] == 1).all()
    taken = np.concatenate(allowed)[given.owner.numpy()[~free]]
    assert ((weight[~free] == 1) | taken).all()
    assert (weight[~free].sum(1) == (~taken).sum(1) + 1).all()


def test_unlabelled_classes_are_not_background() -> None:
    """Saying an unlabelled class loudly costs nothing; saying a labelled one costs."""
    batch = one_batch([[True, False, False]], [False, True, False])
    centres, strides = cells(64, 64)
    xyxy = torch.cat((centres - strides[:, None], centres + strides[:, None]), 1)[None].repeat(2, 1, 1)
    costs = []
    for loud in (None, 1, 2):
        logits = torch.full((2, len(centres), 3), -5.0)
        if loud is not None:
            logits[..., loud] = 5.0
        costs.append(detection_loss(Raw(logits, xyxy), batch).classes.item())
    taught = 30  # cells that own a box still learn that it is not the unlabelled class
    assert costs[1] < costs[0] + taught * 5
    assert costs[2] > 3 * costs[1]


def test_it_learns_two_pictures(tmp_path: Path) -> None:
    """Thirty steps on one batch bring the loss down by more than half."""
    torch.set_num_threads(1)
    run = loop.Run(RECIPE, loop.Plan(threads=1), tmp_path)
    batch = one_batch([[True, False, False]], [False] * 3)
    losses = [loop.step(run.model, run.optimizer, batch).total.item() for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_it_resumes_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps at once and two and two end in the same weights."""
    batch = one_batch([[True, False, False]], [False] * 3)
    pictures = [
        Picture(batch.pictures[0], batch.boxes[0], batch.allowed[0], np.zeros(3, np.bool_), "s")
        for _ in range(3)
    ]
    monkeypatch.setattr(loop, "read_recipe", lambda *_: pictures)
    monkeypatch.setattr(loop, "Stop", lambda: type("Never", (), {"asked": False})())
    whole = loop.load_checkpoint(loop.train(RECIPE, tmp_path, loop.Plan(threads=1), tmp_path / "whole"))

    class Once:
        """Ask to stop after two steps."""

        count = 0

        @property
        def asked(self) -> bool:
            self.count += 1
            return self.count > 2

    monkeypatch.setattr(loop, "Stop", Once)
    loop.train(RECIPE, tmp_path, loop.Plan(threads=1), tmp_path / "parts")
    monkeypatch.setattr(loop, "Stop", lambda: type("Never", (), {"asked": False})())
    parts = loop.load_checkpoint(loop.train(RECIPE, tmp_path, loop.Plan(threads=1), tmp_path / "parts"))
    assert whole["done"] == parts["done"] == 4
    for name, value in whole["model"].items():
        assert torch.allclose(value, parts["model"][name], atol=1e-5), name


def test_a_soft_training_ends_with_relu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What began with a smooth activation ends as the plain network; in the middle nobody may use it."""
    batch = one_batch([[True, False, False]], [False] * 3)
    picture = Picture(batch.pictures[0], batch.boxes[0], batch.allowed[0], np.zeros(3, np.bool_), "s")
    monkeypatch.setattr(loop, "read_recipe", lambda *_: [picture])
    soft = RECIPE | {"soften": True, "images": 40}
    asked = iter([False] * 8 + [True] * 10)
    monkeypatch.setattr(loop, "Stop", lambda: type("Soon", (), {"asked": property(lambda _: next(asked))})())
    path = loop.train(soft, tmp_path, loop.Plan(threads=1), tmp_path)
    with pytest.raises(TrainError, match=r"stopped before 85% .* goes on from there"):
        loop.load_checkpoint(path)
    monkeypatch.setattr(loop, "Stop", lambda: type("Never", (), {"asked": False})())
    state = loop.load_checkpoint(loop.train(soft, tmp_path, loop.Plan(threads=1), tmp_path))
    assert state["done"] == 20
    plain = make_model(soft).eval()
    trained = loop.Run(soft, loop.Plan(threads=1), tmp_path)
    assert trained.resume()
    trained.sharpen()
    plain.load_state_dict(state["average"])
    view = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(plain(view).logits, trained.average(view).logits, atol=1e-4)


def test_an_activation_sharpens_from_silu_to_relu() -> None:
    """It is SiLU at first, comes nearer to ReLU with every step, and is ReLU in the last part."""
    x = torch.linspace(-6, 6, 200)
    layer = nn.Sequential(nn.ReLU())
    soften(layer)
    distances = []
    for progress in (0.0, 0.3, 0.5, 0.7, 0.84, 0.85, 1.0):
        sharpen(layer, progress)
        distances.append(float((layer(x) - torch.relu(x)).abs().max()))
        assert is_soft(layer) == (progress < 0.85)
    sharpen(layer, 0.0)
    assert torch.allclose(layer(x), nn.functional.silu(x))
    assert distances[0] == distances[1]
    assert distances[1:6] == sorted(distances[1:6], reverse=True)
    assert distances[-2:] == [0, 0]


def test_weights_that_know_relu_keep_it(tmp_path: Path) -> None:
    """A training that begins with learned weights is not softened."""
    first = loop.Run(RECIPE, loop.Plan(threads=1), tmp_path)
    first.save()
    later = loop.Run(RECIPE | {"soften": True}, loop.Plan(threads=1, weights=first.path), tmp_path / "b")
    assert not is_soft(later.model)
    fresh = loop.Run(RECIPE | {"soften": True}, loop.Plan(threads=1), tmp_path / "c")
    assert is_soft(fresh.model)
    later.save()
    fresh.save()
    for folder, soft in (("b", False), ("c", True)):  # resumed as it began, whatever the command says
        for weights in (None, first.path):
            plan = loop.Plan(threads=1, weights=weights)
            again = loop.Run(RECIPE | {"soften": True}, plan, tmp_path / folder)
            assert again.resume()
            again.sharpen()
            assert is_soft(again.model) == is_soft(again.average) == soft


@pytest.mark.parametrize("name", [name for name in FAMILY if "published" not in name])
def test_every_trainable_network_learns(name: str, tmp_path: Path) -> None:
    """Three steps at a small size run for each network of the family, and the loss falls."""
    run = loop.Run(RECIPE | {"model": name}, loop.Plan(threads=1), tmp_path)
    batch = one_batch([[True, False, False]], [False] * 3)
    losses = [loop.step(run.model, run.optimizer, batch).total.item() for _ in range(3)]
    assert losses[-1] < losses[0]


def test_a_teacher_is_followed(tmp_path: Path) -> None:
    """Where teacher and student agree nothing is lost on boxes; one with other classes is refused."""
    older = loop.Run(RECIPE | {"model": "n"}, loop.Plan(threads=1), tmp_path)
    older.save()
    taught = RECIPE | {"teacher": str(older.path), "seed": 5}
    run = loop.Run(taught, loop.Plan(threads=1), tmp_path / "student")
    assert run.teacher is not None
    batch = one_batch([[True, False, False]], [False] * 3)
    alone = loop.step(copy.deepcopy(run.model), run.optimizer, batch).total.item()
    assert loop.step(run.model, run.optimizer, batch, run.teacher).total.item() > alone
    with pytest.raises(TrainError, match="knows other classes"):
        loop.Run(taught | {"names": ["a", "b"]}, loop.Plan(threads=1), tmp_path / "other")


def test_a_packaged_model_and_a_float_file_teach_as_their_weights_do() -> None:
    """`teacher = "traffic"` says of a street what the packaged file finds in it, and so does its path."""
    recipe = load_recipe("traffic")
    device = torch.device("cpu")
    street = cv2.resize(Scene(5).frame(600), (640, 384))
    pixels = torch.from_numpy(street[:, :, ::-1].transpose(2, 0, 1).copy())[None].float() / 255
    said = [
        Teacher(recipe | {"teacher": name}, device).ask(pixels)
        for name in ("traffic", str(packaged("traffic")))
    ]
    sure = said[0].logits.sigmoid().amax(2)[0]
    best = said[0].xyxy[0, int(sure.argmax())].numpy()
    found = Detector(packaged("traffic")).detect(street)
    assert sure.max() > 0.5
    assert iou(best[None], found.xyxy).max() > 0.7
    torch.testing.assert_close(said[0].logits, said[1].logits)
    with pytest.raises(TrainError, match="not a float file"):
        Teacher(recipe | {"teacher": "traffic-int8"}, device)
    with pytest.raises(TrainError, match="teacher = 'trafic': no such file; it takes the name of a packaged"):
        Teacher(recipe | {"teacher": "trafic"}, device)


def test_distillation_is_least_for_the_teachers_own_words() -> None:
    """Soft targets: the loss of any other answer is larger, and unsure boxes teach nothing."""
    torch.manual_seed(3)
    centres, strides = cells(64, 64)
    xyxy = torch.cat((centres - strides[:, None], centres + strides[:, None]), 1)[None]
    said = Raw(torch.randn(1, len(centres), 2), xyxy)
    same = distillation_loss(said, said)
    assert distillation_loss(Raw(said.logits + 0.5, xyxy), said) > same
    assert distillation_loss(Raw(said.logits, xyxy + 3), said) > same
    unsure = Raw(torch.full_like(said.logits, -6.0), xyxy)
    torch.testing.assert_close(
        distillation_loss(Raw(unsure.logits, xyxy + 3), unsure), distillation_loss(unsure, unsure)
    )


def test_the_parts_of_a_training() -> None:
    """Mosaics, then none, then pictures of the deployed size: a resumed training knows where it is."""
    recipe = RECIPE | {"finish": {"share": 0.1, "size": [64, 96]}}
    parts = [loop.part_of(recipe, progress) for progress in (0, 0.87, 0.885, 0.9, 1)]
    assert parts == [0, 0, 1, 2, 2]
    assert [loop.part_of(RECIPE, progress) for progress in (0, 0.87, 0.885, 1)] == [0, 0, 1, 1]
    first = loop.augmentation(recipe, 0)
    last = loop.augmentation(recipe, 2)
    assert (first.mosaic, first.canvas, last.mosaic, last.canvas) == (0.5, (64, 64), 0.0, (64, 96))
    picture = Picture(np.zeros((64, 64, 3), np.uint8), *one_empty())
    assert make_batch([picture], last, 2, (1, 0)).pictures.shape == (2, 64, 96, 3)


def one_empty() -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Return what belongs to a picture with nothing in it."""
    return np.zeros((0, 4), np.float32), np.zeros((0, 3), bool), np.zeros(3, bool), "s"


def test_processes_make_the_same_batches() -> None:
    """Two processes give what a thread gives, in the same order, from any number on."""
    noisy = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    pictures = [Picture(noisy, *one_empty())]
    how = Augmentation(64, (64, 64))
    thread = feed(pictures, how, 2, 7, 3, 0)
    processes = feed(pictures, how, 2, 7, 3, 2)
    for _ in range(4):
        np.testing.assert_array_equal(next(thread).pictures, next(processes).pictures)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
def test_a_gpu_goes_on_where_a_cpu_stopped(tmp_path: Path) -> None:
    """One checkpoint serves both: the first loss on the GPU is the one that the CPU would have had."""
    batch = one_batch([[True, False, False]], [False] * 3)
    losses = []
    loop.Run(RECIPE, loop.Plan(threads=1, device=torch.device("cpu")), tmp_path).save()
    for name in ("cpu", "cuda"):
        run = loop.Run(RECIPE, loop.Plan(threads=1, device=torch.device(name)), tmp_path)
        assert run.resume()
        losses.append(loop.step(run.model, run.optimizer, batch).total.item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_a_loss_that_is_not_finite_stops_it(tmp_path: Path) -> None:
    """Not-a-number ends the training with one line, before the weights are touched."""
    run = loop.Run(RECIPE, loop.Plan(threads=1), tmp_path)
    run.model.heads[0].box_out.bias.data[0] = math.nan
    with pytest.raises(TrainError, match="not finite"):
        loop.step(run.model, run.optimizer, one_batch([[True, False, False]], [False] * 3))


def test_the_average_counts_pictures_and_not_batches() -> None:
    """Four batches of 24 and one of 96 move it by the same share, whatever a GPU's batches are."""
    few = nn.Linear(1, 1)
    many = nn.Linear(1, 1)
    model = nn.Linear(1, 1)
    for average in (few, many):
        average.weight.data.fill_(0.0)
    model.weight.data.fill_(1.0)
    for _ in range(4):
        loop.follow(few, model, 10**7, 24)
    loop.follow(many, model, 10**7, 96)
    assert few.weight.item() == pytest.approx(many.weight.item(), rel=1e-4)
    assert few.weight.item() == pytest.approx(1 - loop.EMA_DECAY**4, rel=1e-4)


def test_the_schedule_rises_and_falls() -> None:
    """The rate ramps up, peaks, and ends at one hundredth."""
    rates = [loop.rate_at(p, 1.0) for p in (0.0, 0.01, 0.02, 0.5, 1.0)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 0.52, 0.01], abs=0.03)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    """The reason names the path and what to do."""
    with pytest.raises(TrainError, match="no such checkpoint; train first"):
        loop.load_checkpoint(tmp_path / "last.pt")
