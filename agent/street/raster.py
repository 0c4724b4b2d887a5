"""Paint figures with OpenCV: the same strokes for the picture, for masks and for the exact outlines.

What always holds: the outline of a figure is computed from the very points that are painted.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.street.meshes import FACE, FIRST, LAST, RING, Figure
from agent.street.view import View

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

SHIFT = 4  # bits below the pixel in OpenCV's coordinates
SPECK = 1.6  # pixels; smaller parts are not painted


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """Hold a figure's parts ready to paint under one light: what each part looks like and where it faces."""

    colours: Float  # (P,3)
    normals: Float  # (P,3) in the street, zero = seen from everywhere
    forward: Float  # (2,)
    corners: NDArray[np.int64]  # (P,): the first point of each part
    radii: Float  # (P,)
    sizes: Float  # (P,) metres
    round: NDArray[np.bool_]  # (P,): seen from everywhere
    from_ahead: tuple[int, ...]  # painting order for who stands ahead of the figure
    from_behind: tuple[int, ...]


def ink(figure: Figure, forward: Float, sun: Float) -> Ink:
    """Return the figure's colours under the sun's direction (3,), for its heading `forward` (2,)."""
    normals = np.array([part.normal for part in figure.parts])
    fx, fy = forward
    x = normals[:, 0] * fy + normals[:, 1] * fx
    y = -normals[:, 0] * fx + normals[:, 1] * fy
    world = np.stack([x, y, normals[:, 2]], axis=1)
    flat = (np.abs(world).sum(axis=1) > 0).astype(np.float64)
    bright = 0.66 + 0.34 * np.maximum(0, world @ sun) + 0.1 * world[:, 2]
    factor = np.where(flat > 0, bright, 0.95)
    colours = np.array([part.colour for part in figure.parts]) * factor[:, None]
    groups = [part.group for part in figure.parts]
    ahead = sorted(range(len(groups)), key=lambda i: _rank(groups[i], 1))
    behind = sorted(range(len(groups)), key=lambda i: _rank(groups[i], -1))
    corners = np.array([part.points[0] for part in figure.parts])
    radii = np.array([part.radius for part in figure.parts])
    spans = [np.ptp(figure.points[part.points], axis=0) for part in figure.parts]
    sizes = np.linalg.norm(spans, axis=1) + 2 * radii
    return Ink(colours, world, forward, corners, radii, sizes, flat == 0, tuple(ahead), tuple(behind))


def _rank(group: float, sign: int) -> tuple[int, float]:
    """Return the place of a group of parts, from below all others to above all others."""
    return (0 if group == FIRST else 2 if group == LAST else 1, sign * group)


def bounds(pixels: Float, depth: Float, radii: Float, focal: float) -> Float:
    """Return the boxes (...,4) round projected points (...,V,2): left, top, right, bottom in pixels."""
    reach = (radii * focal / depth)[..., None]
    low = (pixels - reach).min(axis=-2)
    high = (pixels + reach).max(axis=-2)
    return np.concatenate([low, high], axis=-1)


def paint(
    image: Image,
    view: View,
    figure: Figure,
    world: Float,
    pixels: Float,
    depth: Float,
    inked: Ink,
    haze: tuple[Float, float] | None = None,
    flat: int | None = None,
    zoom: float = 1.0,
) -> None:
    """Paint the figure whose points are `world` (V,3); `flat` paints everything in that one value."""
    places = np.round(pixels * (zoom * (1 << SHIFT))).astype(np.int32)
    widths = (
        np.maximum(1, np.round(2 * zoom * view.focal * inked.radii / depth[inked.corners]))
        .astype(np.int32)
        .tolist()
    )
    towards = view.position - world[inked.corners]
    faces_us = (np.einsum("pi,pi->p", towards, inked.normals) > 0) | inked.round
    seen = (faces_us & (inked.sizes * (zoom * view.focal / depth.min()) > SPECK)).tolist()
    colours = inked.colours
    if haze is not None:
        colours = colours * (1 - haze[1]) + haze[0] * haze[1]
    inks = np.clip(colours, 0, 255).tolist()
    stroke = cv2.LINE_AA if flat is None else cv2.LINE_8
    ahead = _from_ahead(view, world, inked)
    for i in inked.from_ahead if ahead else inked.from_behind:
        part = figure.parts[i]
        if not seen[i]:
            continue
        colour = inks[i] if flat is None else (flat,)
        if part.kind == FACE:
            corners = places[part.points]
            cv2.fillConvexPoly(image, corners, colour, stroke, SHIFT)
        elif part.kind == RING:
            cv2.polylines(image, [places[part.points]], True, colour, widths[i], stroke, SHIFT)
        else:
            a, b = places[part.points].tolist()
            cv2.line(image, a, b, colour, widths[i], stroke, SHIFT)


def _from_ahead(view: View, world: Float, inked: Ink) -> bool:
    """Tell whether the camera sees the figure from ahead, where the order of its parts depends on it."""
    return bool((view.position[:2] - world[:, :2].mean(axis=0)) @ inked.forward > 0)
