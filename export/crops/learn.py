"""Learn the judge from crops: minutes on one thread.

What always holds: the same crops, seed and steps give the same network; what is learnt from is turned,
shifted, mirrored, darkened, and made small and blurred as far faces are; rare states come as often as others.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from agent.boxes import GREY, Float32, Int64, Uint8
from export.crops.cut import NO_FACE, ROOM, STATES, STORED, Crops
from export.crops.network import SIDE, CropNetwork
from export.errors import TrainError

PEAK = 3e-3  # learning rate
SHARES = (0.42, 0.42, 0.16)  # of each state in a batch
HARDER = 4.0  # times as often: a crop that is taken for another state
HOPELESS = 0.03  # probability of the labelled state, under which the label is doubted
LEAST = 14  # pixels a side of a crop, in the stead of a far face


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hold how long to learn, by which seed, and from how many crops a step."""

    steps: int = 1000
    seed: int = 7
    batch: int = 128


def seen_by_judge(pixels: Uint8) -> Uint8:
    """Return stored crops (N,STORED,STORED,3) as the judge sees them, (N,SIDE,SIDE,3)."""
    scale = SIDE * ROOM / STORED
    shift = SIDE / 2 - STORED / 2 * scale
    matrix = np.array([[scale, 0.0, shift], [0.0, scale, shift]])
    return np.stack([cv2.warpAffine(one, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA) for one in pixels])


def varied(crop: Uint8, rng: np.random.Generator) -> Uint8:
    """Return one stored crop (STORED,STORED,3) as another camera might have shown it, (SIDE,SIDE,3)."""
    roll = rng.normal(0, 12) if rng.random() < 0.8 else rng.uniform(-65, 65)
    scale = SIDE * ROOM / STORED * math.exp(rng.normal(0, 0.09))
    matrix = cv2.getRotationMatrix2D((STORED / 2, STORED / 2), roll, scale)
    matrix[:, 2] += SIDE / 2 - STORED / 2 + rng.normal(0, 0.05 * SIDE, 2)
    if rng.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += SIDE
    image = cv2.warpAffine(
        crop, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3
    )
    image = _worse(image, rng)
    light = image.astype(np.float32) * rng.uniform(0.65, 1.35) + rng.uniform(-25, 25)
    light += rng.normal(0, rng.uniform(0, 8), light.shape)
    if rng.random() < 0.1:
        light[:] = light.mean(2, keepdims=True)
    return np.asarray(np.clip(light, 0, 255), np.uint8)


def _worse(image: Uint8, rng: np.random.Generator) -> Uint8:
    """Return a crop (SIDE,SIDE,3) now and then from fewer pixels, out of focus, or much compressed."""
    if rng.random() < 0.35:
        small = int(rng.uniform(LEAST, 0.8 * SIDE))
        image = np.asarray(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5)), np.uint8)
    if rng.random() < 0.15:
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 80))])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return image


def weights(crops: Crops, says: Float32 | None = None) -> NDArray[np.float64]:
    """Return how often each crop (N,) is drawn: each state by its share, in it what is hard more often.

    `says` (N,states) is what the network so far says of them, None at first. What it is all but sure is
    another state is not drawn more often: some labels are wrong.
    """
    weight = np.zeros(len(crops))
    hard = np.ones(len(crops))
    if says is not None:
        right = says[np.arange(len(crops)), crops.state]
        hard += HARDER * (1 - right) * (right > HOPELESS)
    for state, share in enumerate(SHARES):
        rows = crops.state == state
        weight[rows] = share * hard[rows] / max(hard[rows].sum(), 1e-9)
    return np.asarray(weight / weight.sum())


def batch(
    crops: Crops, size: int, rng: np.random.Generator, weight: NDArray[np.float64]
) -> tuple[Uint8, Int64]:
    """Draw one varied batch of B crops: pixels (B,SIDE,SIDE,3) and states (B,); by `weights`."""
    rows = rng.choice(len(crops), size, p=weight)
    return np.stack([varied(crops.pixels[row], rng) for row in rows]), crops.state[rows]


def tensor(pixels: Uint8) -> torch.Tensor:
    """Return pixels (N,h,w,3) as the network takes them, (N,3,h,w)."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()  # channels last


def learn(
    crops: Crops, schedule: Schedule, told: Callable[[int, CropNetwork], None] | None = None
) -> CropNetwork:
    """Return a network that has learnt from crops; `told` is called at each quarter of the way and the end.

    Raises `TrainError` where a state has no crop, or the loss is no number.
    """
    for state in range(NO_FACE):
        if not (crops.state == state).any():
            raise TrainError(f"no crop {STATES[state]}: the judge needs pictures of both states")
    torch.manual_seed(schedule.seed)
    rng = np.random.default_rng(schedule.seed)
    network = CropNetwork(len(STATES)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), PEAK, weight_decay=0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK, schedule.steps, pct_start=0.1)
    average = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(1 - min(0.25, 10 / schedule.steps)),
        use_buffers=True,
    )
    marks = {round(schedule.steps * part / 8) for part in (1, 2, 4, 6, 8)}
    weight = weights(crops)
    for step in range(1, schedule.steps + 1):
        network.train()
        pixels, states = batch(crops, schedule.batch, rng, weight)
        with torch.autocast("cpu", torch.bfloat16):  # half the time on CPUs that have it, as right
            said = network(tensor(pixels))
        loss = torch.nn.functional.cross_entropy(said.float(), torch.from_numpy(states), label_smoothing=0.03)
        if not torch.isfinite(loss):
            raise TrainError(f"the loss is not a number after {step} steps; lower the learning rate")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        average.update_parameters(network)
        if step in marks:
            weight = weights(crops, probabilities(average.module.eval(), crops))
            if told:
                told(step, average.module)
    finished: CropNetwork = average.module.eval()
    return finished


@torch.no_grad()
def probabilities(network: CropNetwork, crops: Crops) -> Float32:
    """Return how probable each state is (N,states) for crops as the judge sees them."""
    parts = [
        network(tensor(seen_by_judge(crops.pixels[start : start + 256]))).softmax(1).numpy()
        for start in range(0, len(crops), 256)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(STATES)), np.float32)


def progress(step: int, text: str) -> None:
    """Say how far the learning is."""
    print(f"step {step:6}  {text}", file=sys.stderr, flush=True)
