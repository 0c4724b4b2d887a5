"""Where the camera of the built-in scene stands."""

from __future__ import annotations

import numpy as np

from agent.street.view import View


def calm_view(rng: np.random.Generator, width: int, height: int) -> View:
    """Return a camera above the road; the default line crosses all lanes some twenty metres away."""
    stand = (float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)), 0.0, float(rng.uniform(6.8, 7.4)))
    focal = width * rng.uniform(0.72, 0.76)
    below = (0.62 - 0.5) * height
    distance = rng.uniform(19.5, 20.5)
    pitch = np.arctan2(stand[2], distance) - np.arctan2(below, focal)
    yaw = -np.arctan2(stand[0], distance) + rng.uniform(-0.01, 0.01)
    return View.looking(stand, float(yaw), float(pitch), float(focal), width, height)


def wide_view(rng: np.random.Generator, width: int, height: int, half: float) -> View:
    """Return any camera that may watch a road."""
    stand = (
        float(rng.uniform(-1, 1) * min(9.0, half + 2)),
        float(rng.uniform(-2, 6)),
        float(rng.uniform(4.0, 14.0)),
    )
    focal = width * rng.uniform(0.55, 1.35)
    distance = rng.uniform(14.0, 42.0)
    pitch = np.arctan2(stand[2], distance) - np.arctan2(rng.uniform(-0.1, 0.25) * height, focal)
    yaw = -np.arctan2(stand[0], distance) + rng.uniform(-0.3, 0.3)
    return View.looking(stand, float(yaw), float(pitch), float(focal), width, height)
