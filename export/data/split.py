"""Which pictures are learned from and which are kept to judge by.

What always holds: the same folder is always split the same way, and two pictures that look alike (frames of
one film, the same picture saved twice) are never on both sides: a model would be judged by what it has seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.progress import watched
from export.errors import DataError

SHARE = 0.15  # of the pictures, kept to judge by
ALIKE = 0.95  # correlation of two small grey copies
SIDE = 12  # pixels of such a copy
_WORDS = {"train": "train", "training": "train"} | dict.fromkeys(
    ("val", "valid", "validation", "dev", "test", "testing"), "val"
)


def split_in_name(path: Path) -> str | None:
    """Return the split that a path names by a folder or by a word of its file's name, if any."""
    for part in reversed(path.parts[:-1]):
        if part.lower() in _WORDS:
            return _WORDS[part.lower()]
    if path.suffix == ".json":
        words = "".join(c if c.isalpha() else " " for c in path.stem.lower()).split()
        return next((_WORDS[word] for word in words if word in _WORDS), None)
    return None


def _small(path: Path) -> NDArray[np.float32]:
    image = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_2)
    if image is None:
        raise DataError(f"{path}: cannot be read as a picture; remove it or replace it")
    grey = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    grey -= grey.mean()
    return np.asarray(grey / max(float(np.linalg.norm(grey)), 1e-6), np.float32)


def groups(pictures: Sequence[Path]) -> NDArray[np.int64]:
    """Return the group (n,) of each picture: those that look alike, also by way of others, are one."""
    small = np.stack([_small(path) for path in watched(pictures, "pictures compared")])  # (n,144)
    group = np.arange(len(pictures))
    for row in range(len(pictures)):
        alike = group[: row + 1][small[: row + 1] @ small[row] > ALIKE]
        if len(alike) and (alike != group[row]).any():
            group[np.isin(group, alike)] = alike.min()
    return group


def assign(pictures: Sequence[Path]) -> list[str]:
    """Say "train" or "val" for each picture, whole groups at a time, in an order that only names decide."""
    return list(_assign(tuple(pictures)))


@lru_cache(maxsize=2)  # training asks for both halves, and the report again
def _assign(pictures: tuple[Path, ...]) -> list[str]:
    group = groups(pictures)
    names = {int(g): pictures[int(np.flatnonzero(group == g)[0])].name for g in np.unique(group)}
    order = sorted(names, key=lambda g: hashlib.sha256(names[g].encode()).hexdigest())
    wanted = max(1, round(SHARE * len(pictures)))
    taken = 0
    kept = set()
    for g in order:
        count = int((group == g).sum())
        if taken < wanted and taken + count <= max(1, len(pictures) // 4):
            kept.add(g)
            taken += count
    if not kept:
        raise DataError(
            f"{pictures[0].parent}: nearly all pictures look alike, so none can be kept to judge by; "
            "put some from another place or day into a folder val/ and the others into train/"
        )
    return ["val" if int(g) in kept else "train" for g in group]
