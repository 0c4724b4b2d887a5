"""Train one recipe: a page in the order things happen.

What always holds: batch n and the schedule depend only on the recipe's seed and the progress, so an
interrupted training goes on where it stopped, on a CPU or a GPU whatever it began on; SIGINT and SIGTERM
write a checkpoint first; a loss that is not finite stops the training before it spoils the checkpoint.
"""

# mypy: allow-untyped-decorators
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import copy
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from agent.atomic_file import replacing
from agent.progress import Bar
from export.data.augment import Batch, make_batch
from export.data.loader import feed
from export.data.recipe import read_recipe
from export.data.sample import Picture
from export.errors import DataError, TrainError
from export.model.network import Network
from export.model.zoo import make_model, parameters
from export.train.activation_annealing import is_soft, sharpen, soften
from export.train.checkpoint import cache_folder, check_weights, load_checkpoint, read_checkpoint
from export.train.loss import Loss, detection_loss, distillation_loss
from export.train.schedule import augmentation, part_of, rate_at
from export.train.teacher import Teacher
from export.train.warm_start import load_trainable, transfer

EMA_DECAY = 0.9995  # of the moving average, for a batch of EMA_BATCH
EMA_BATCH = 24
SAVE_EVERY = 120.0  # seconds
RANGED = 8  # batches that tell how far the channels of an exported file range


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what may differ from the recipe: length in pictures or in minutes, where to start, and with what.

    `workers` processes make batches; without a number, none beside a CPU and one a core beside a GPU.
    """

    images: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    weights: Path | None = None
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    workers: int | None = None
    device: torch.device = field(
        default_factory=lambda: torch.device("cuda" if torch.cuda.is_available() else "cpu")
    )

    def feeders(self) -> int:
        """Return how many processes make batches."""
        if self.workers is not None:
            return self.workers
        return max(1, (os.cpu_count() or 1) - 1) if self.device.type == "cuda" else 0


def make_optimizer(model: nn.Module, rate: float, decay: float) -> torch.optim.AdamW:
    """Let weight decay pull at the kernels only, not at biases, norms and fusion weights."""
    learning = [p for p in model.parameters() if p.requires_grad]
    kernels = [p for p in learning if p.ndim > 1]
    others = [p for p in learning if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def freeze(model: Network, parts: Sequence[str]) -> None:
    """Keep parts of a network as they are: they get no gradient, and their norms measure nothing more."""
    for name in parts:
        part = model.get_submodule(name)
        part.requires_grad_(False)
        part.eval()


def to_input(batch: Batch, device: torch.device) -> Tensor:
    """Turn the pictures (B,H,W,3) uint8 RGB into the network's input (B,3,H,W) in 0..1."""
    return torch.from_numpy(batch.pictures).to(device).permute(0, 3, 1, 2).float().div_(255)


def step(
    model: Network, optimizer: torch.optim.Optimizer, batch: Batch, teacher: Teacher | None = None
) -> Loss:
    """Learn from one batch, and from a teacher; the network in bfloat16, the loss in float32."""
    device = next(model.parameters()).device
    pictures = to_input(batch, device)
    with torch.autocast(device.type, torch.bfloat16):
        raw = model(pictures)
        said = teacher.ask(pictures) if teacher else None
    loss = detection_loss(raw, batch)
    if teacher and said:
        loss = loss._replace(total=loss.total + teacher.gain * distillation_loss(raw, said))
    if not torch.isfinite(loss.total):
        raise TrainError(
            "the loss is not finite any more: lower learning_rate and start again from the checkpoint"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    return loss


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, seen: int, batch: int) -> None:
    """Let the moving average follow the model after `seen` pictures, fast at first."""
    decay = EMA_DECAY ** (batch / EMA_BATCH) * (1 - math.exp(-seen / (400 * EMA_BATCH)))
    pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
    moving = [pair for pair in pairs if pair[0].dtype.is_floating_point]  # the rest counts a norm's batches
    torch._foreach_lerp_([slow for slow, _ in moving], [fast for _, fast in moving], 1 - decay)


class Stop:
    """Remember that SIGINT or SIGTERM came, so that the loop can end after a whole step."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


class Run:
    """Hold one training: the model, its average, the optimizer and how far they are."""

    def __init__(self, recipe: dict[str, Any], plan: Plan, folder: Path) -> None:
        torch.manual_seed(recipe["seed"])
        self.recipe = recipe
        self.plan = plan
        self.path = folder / "last.pt"
        self.peak = plan.learning_rate or recipe["learning_rate"]
        self.model = make_model(recipe).to(plan.device, memory_format=torch.channels_last)
        self.softened = bool(recipe.get("soften")) and not plan.weights  # who knows ReLU goes on with it
        if self.softened:
            soften(self.model)
        self.teacher = Teacher(recipe, plan.device) if "teacher" in recipe else None
        self.average = copy.deepcopy(self.model).eval()
        freeze(self.model, recipe.get("frozen", []))
        self.optimizer = make_optimizer(self.model, self.peak, recipe["weight_decay"])
        self.done = 0
        self.seconds = 0.0

    def start_from(self, path: Path, pictures: list[Picture]) -> None:
        """Begin with what a checkpoint or an exported file knows; pictures show how its channels range."""
        if path.suffix == ".onnx":
            how = augmentation(self.recipe, 0)
            batch = self.recipe["batch"]
            seed = self.recipe["seed"]
            views = (make_batch(pictures, how, batch, (seed, number)).pictures for number in range(RANGED))
            known, theirs = load_trainable(path, views)
        else:
            state = load_checkpoint(path)
            known = make_model(state["recipe"])
            theirs = state["recipe"]
            known.load_state_dict(state["average"])
        begun = transfer(known, theirs["names"], self.recipe).state_dict()
        self.model.load_state_dict(begun)
        self.average.load_state_dict(begun)
        licence = self.recipe["licence"]
        before = theirs["licence"]
        if before not in licence:
            self.recipe = self.recipe | {"licence": f"{licence}; begun with {theirs['name']}: {before}"}

    def sharpen(self) -> None:
        """Bring the activations to where the training is."""
        for model in (self.model, self.average):
            sharpen(model, self.progress if self.softened else 1.0)

    def resume(self) -> bool:
        """Go on from the last checkpoint if there is one."""
        if not self.path.exists():
            return False
        state = read_checkpoint(self.path)
        softened = state.get("softened", self.softened)  # as it began, whatever this command says
        if softened and not self.softened:
            soften(self.model)
            soften(self.average)
        self.softened = softened
        said = {"licence": state["recipe"]["licence"]}  # what it began with may have its own
        self.recipe = self.recipe | said
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
        self.seconds = state["seconds"]
        return True

    def save(self) -> None:
        """Write the checkpoint so that a crash leaves the old or the new one, never half of one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {"recipe": self.recipe, "done": self.done, "seconds": self.seconds}
        state |= {"softened": self.softened, "soft": is_soft(self.average)}
        parts = {"model": self.model, "average": self.average, "optimizer": self.optimizer}
        state |= {name: part.state_dict() for name, part in parts.items()}
        with replacing(self.path) as fresh:
            torch.save(state, fresh)

    @property
    def progress(self) -> float:
        """Return how much of the plan is done, 0..1."""
        if self.plan.minutes:
            return self.seconds / (60 * self.plan.minutes)
        return float(self.done * self.recipe["batch"] / (self.plan.images or self.recipe["images"]))


def words(run: Run, loss: float, speed: float) -> str:
    """Say how far a training is, with the time left."""
    share = min(run.progress, 1.0)
    left = run.seconds * (1 - share) / max(share, 1e-6)
    return (
        f"{run.done * run.recipe['batch']:,} pictures  loss {loss:.3f}  {speed:.0f} pictures/s  "
        f"{int(left // 60)}:{int(left % 60):02d} left"
    )


def source(run: Run, pictures: list[Picture]) -> Iterator[Batch]:
    """Yield the batches from the run's next one on, as its part of the training has them."""
    how = augmentation(run.recipe, part_of(run.recipe, run.progress))
    return feed(pictures, how, run.recipe["batch"], run.recipe["seed"], run.done, run.plan.feeders())


def learn(run: Run, pictures: list[Picture], bar: Bar, stop: Stop) -> None:
    """Step until the plan is done or somebody asks to stop."""
    part = part_of(run.recipe, run.progress)
    ahead = source(run, pictures)
    mean = 0.0
    saved = run.seconds
    said = run.seconds - 30
    while run.progress < 1 and not stop.asked:
        begin = time.monotonic()
        if part != part_of(run.recipe, run.progress):
            part = part_of(run.recipe, run.progress)
            ahead = source(run, pictures)
        run.sharpen()
        for group in run.optimizer.param_groups:
            group["lr"] = rate_at(run.progress, run.peak)
        loss = float(step(run.model, run.optimizer, next(ahead), run.teacher).total.detach())
        mean = loss if mean == 0 else 0.98 * mean + 0.02 * loss
        run.done += 1
        follow(run.average, run.model, run.done * run.recipe["batch"], run.recipe["batch"])
        took = min(time.monotonic() - begin, 20.0)  # a pause is not work
        run.seconds += took
        if run.seconds - said >= 15:
            said = run.seconds
            bar.show(run.progress, words(run, mean, run.recipe["batch"] / took))
        if run.seconds - saved >= SAVE_EVERY:
            saved = run.seconds
            run.save()


def train(recipe: dict[str, Any], data: Path, plan: Plan, folder: Path | None = None) -> Path:
    """Train a recipe and return the checkpoint; raises `TrainError` or `DataError`."""
    torch.set_num_threads(plan.threads)
    stop = Stop()
    run = Run(recipe, plan, folder or cache_folder(recipe))
    resumed = run.resume()
    if recipe.get("frozen") and not plan.weights and not resumed:
        raise TrainError("frozen: these parts have no trained weights yet; start from a model by --weights")
    if plan.weights and not resumed:
        check_weights(plan.weights)  # at once: to read the pictures may take minutes
    pictures = read_recipe(recipe, data, "train")
    if not pictures:
        raise DataError(f"{data}: no training pictures")
    kept = len({id(picture) for picture in pictures})
    begun = f"resumed at {run.progress:.1%}" if resumed else "from the start"
    if plan.weights and not resumed:
        run.start_from(plan.weights, pictures)
        begun = f"from {plan.weights}"
    print(f"{recipe['name']}: {parameters(run.model):,} parameters, {kept:,} pictures, {begun}", flush=True)
    bar = Bar(stream=sys.stdout, log=True)
    try:
        learn(run, pictures, bar, stop)
    finally:
        if stop.asked or run.progress >= 1:
            run.save()
    print(f"\n{'stopped' if stop.asked else 'done'}: {run.path}", flush=True)
    return run.path
