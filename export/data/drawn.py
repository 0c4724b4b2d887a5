"""Pictures of the built-in street to learn from and to judge by, drawn once and kept in the user's cache.

What always holds: what is kept is what would be drawn: a street's file goes by its seed, its frames, the
classes and the program that draws it. What hardly shows or is tiny is hidden, not taught.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

import agent.street
from agent.atomic_file import replacing
from agent.boxes import Float32, Uint8
from export.data.sample import LONGEST, Bool, Picture, one_hot

VISIBLE = 0.35  # share of an object that shows, from which on it is taught
AREA = 50  # square pixels, likewise


def read_scene(seeds: Sequence[int], frames: Sequence[int], names: Sequence[str]) -> list[Picture]:
    """Return pictures of many streets, one street a thread; what was drawn before is read."""
    with ThreadPoolExecutor(2, "draw") as pool:
        drawn = pool.map(lambda seed: _kept(seed, frames, names), seeds)
        return [picture for pictures in drawn for picture in pictures]


def draw_scene(seed: int, frames: Sequence[int], names: Sequence[str]) -> list[Picture]:
    """Draw some pictures of one built-in street."""
    from agent.street.scene import CLASSES, Scene

    scene = Scene(seed)
    meaning = np.stack([one_hot(names, [name]) for name in CLASSES])
    method = (cv2.INTER_AREA, cv2.INTER_LINEAR)[seed % 2]  # as files and as the agent make it small
    pictures = []
    for number in frames:
        image = scene.frame(number)
        truth = scene.truth(number)
        scale = LONGEST / image.shape[1]
        small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)
        boxes = np.asarray(truth.xyxy * scale, np.float32)
        clear = (truth.visible >= VISIBLE) & ((boxes[:, 2:] - boxes[:, :2]).prod(1) >= AREA)
        allowed = meaning[truth.class_id] & clear[:, None]
        pictures.append(_picture(small, boxes, allowed))
    return pictures


def _picture(image: Uint8, boxes: Float32, allowed: Bool) -> Picture:
    return Picture(image, boxes, allowed, np.zeros(allowed.shape[1], np.bool_), "scene")


# ── kept ──────────────────────────────────────────────────────────────────────────────────────────


def street_file(seed: int, frames: Sequence[int], names: Sequence[str]) -> Path:
    """Return where a street's pictures are kept: about 4 MB for six."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    said = repr((_program(), LONGEST, VISIBLE, AREA, seed, list(frames), list(names)))
    return root / "gb-fleet" / "streets" / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.npz"


@functools.cache
def _program() -> str:
    """Return a digest of the program that draws streets, and of what it draws with."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    for path in sorted(Path(agent.street.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _kept(seed: int, frames: Sequence[int], names: Sequence[str]) -> list[Picture]:
    """Read a street's pictures, or draw and keep them; a file that is damaged is drawn again."""
    path = street_file(seed, frames, names)
    try:
        return _read(path, len(frames))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        pictures = draw_scene(seed, frames, names)
    try:
        _keep(path, pictures)
    except OSError as error:
        print(f"{path}: not kept, so this street is drawn anew each time: {error}", file=sys.stderr)
    return pictures


def _keep(path: Path, pictures: list[Picture]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{key}{number}": value
        for number, picture in enumerate(pictures)
        for key, value in (("image", picture.image), ("boxes", picture.boxes), ("allowed", picture.allowed))
    }
    with replacing(path) as fresh, fresh.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path, frames: int) -> list[Picture]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        return [
            _picture(kept[f"image{number}"], kept[f"boxes{number}"], kept[f"allowed{number}"])
            for number in range(frames)
        ]
