"""Training batches made ahead of the loop: in a thread beside a CPU, in processes beside a GPU.

What always holds: both ways give the same batches in the same order, each one a function of seed and number.
"""

# mypy: allow-subclassing-any
# PyTorch is only in the `export` extra, so the type checker takes it as unknown.

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from export.data.augment import Augmentation, Batch, batches, make_batch
from export.data.sample import Picture

NOTHING = np.zeros((0, 0, 0, 3), np.uint8)
SHARED = 4 << 30  # bytes of shared memory that batches on their way may take


class _Numbered(Dataset[Any]):
    """Make batch number n; its pictures travel as a tensor, which needs no copy where memory is shared."""

    def __init__(
        self, pictures: Sequence[Picture], how: Augmentation, batch: int, seed: int, shared: bool
    ) -> None:
        self._make = (pictures, how, batch)
        self._seed = seed
        self._shared = shared

    def __getitem__(self, number: int) -> tuple[Any, Batch]:
        made = make_batch(*self._make, (self._seed, number))
        pictures = torch.from_numpy(made.pictures) if self._shared else made.pictures
        return pictures, replace(made, pictures=NOTHING)


def _as_it_is(item: tuple[Any, Batch]) -> tuple[Any, Batch]:
    return item


def _alone(worker: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def feed(
    pictures: Sequence[Picture], how: Augmentation, batch: int, seed: int, first: int, workers: int
) -> Iterator[Batch]:
    """Yield batches for ever from number `first` on; `workers` processes make them, or a thread where 0."""
    if not workers:
        yield from batches(pictures, how, batch, seed, first)
        return
    shared = shutil.disk_usage("/dev/shm").free > SHARED
    loader = DataLoader(
        _Numbered(pictures, how, batch, seed, shared),
        batch_size=None,
        sampler=itertools.count(first),
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_alone,
        multiprocessing_context="fork",  # the pictures stay where they are, in memory
    )
    for made, rest in loader:
        yield replace(rest, pictures=np.asarray(made))
