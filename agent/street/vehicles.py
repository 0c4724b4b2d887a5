"""The vehicles of the built-in scene, from flat faces: cars, buses, trucks."""

from __future__ import annotations

import numpy as np

from agent.street.meshes import (
    BUS,
    CAR,
    DARK,
    FIRST,
    LAMP,
    LAST,
    PAINT,
    RIM,
    TAIL,
    TRUCK,
    Builder,
    Colour,
    Figure,
    Float,
    pick,
    tone,
)

GLASS: Colour = (92, 78, 62)
PLATE: Colour = (228, 236, 238)


def car(rng: np.random.Generator) -> Figure:
    """Build a saloon, an estate, a small car or an off-roader."""
    kind = int(rng.integers(4))
    length = (4.6, 4.5, 3.8, 4.7)[kind] * rng.uniform(0.95, 1.06)
    half = (0.9, 0.9, 0.84, 0.96)[kind] * rng.uniform(0.97, 1.04)
    roof = (1.45, 1.48, 1.5, 1.75)[kind] * rng.uniform(0.97, 1.04)
    belt = 0.62 * roof
    paint = pick(rng, PAINT)
    front = length / 2
    rear = -length / 2
    axles = (length * 0.31, -length * 0.3)
    wheel = 0.31 if kind != 3 else 0.36
    b = Builder()
    b.wheels(half - 0.02, axles, wheel)
    low = (-half * 0.96, half * 0.96, rear + 0.08, front - 0.08, 0.24)
    waist = (-half, half, rear, front, 0.55)
    skirt = b.block(low, waist, tone(paint, 0.82))
    bonnet = front - 0.24 * length
    boot = rear + (0.16, 0.02, 0.03, 0.02)[kind] * length
    shoulder = (-half * 0.95, half * 0.95, rear + 0.05, front - 0.16, belt)
    upper = b.block(waist, shoulder, paint)
    cabin = (-half * 0.93, half * 0.93, boot, bonnet, belt)
    inner = half * 0.74
    top = (-inner, inner, boot + (0.5, 0.28, 0.3, 0.2)[kind], bonnet - 0.72, roof)
    glass = b.block(cabin, top, paint)
    _car_details(b, skirt, upper, glass, bool(rng.random() < 0.12), paint)
    b.hubs(half - 0.02, axles, wheel, tone(RIM, float(rng.uniform(0.5, 1.1))))
    return b.done(CAR)


def _car_details(
    b: Builder,
    skirt: dict[str, Float],
    upper: dict[str, Float],
    cabin: dict[str, Float],
    taxi: bool,
    paint: Colour,
) -> None:
    """Add windows, lamps, grille and plates."""
    b.pane(upper["front"], (0.02, 0.24), (0.3, 0.85), LAMP)
    b.pane(upper["front"], (0.76, 0.98), (0.3, 0.85), LAMP)
    b.pane(upper["front"], (0.3, 0.7), (0.1, 0.6), DARK)
    b.pane(skirt["front"], (0.36, 0.64), (0.4, 0.8), PLATE)
    b.pane(upper["rear"], (0.02, 0.22), (0.35, 0.9), TAIL)
    b.pane(upper["rear"], (0.78, 0.98), (0.35, 0.9), TAIL)
    b.pane(skirt["rear"], (0.36, 0.64), (0.5, 0.95), PLATE)
    b.pane(upper["top"], (0.1, 0.9), (0.82, 0.96), tone(paint, 1.08))
    b.pane(cabin["front"], (0.05, 0.95), (0.06, 0.94), GLASS)
    b.pane(cabin["front"], (0.12, 0.4), (0.5, 0.9), tone(GLASS, 1.7))
    b.pane(cabin["rear"], (0.08, 0.92), (0.12, 0.92), GLASS)
    for side in ("left", "right"):
        b.pane(cabin[side], (0.06, 0.48), (0.1, 0.88), GLASS)
        b.pane(cabin[side], (0.53, 0.94), (0.1, 0.88), GLASS)
        b.pane(upper[side], (0.3, 0.7), (0.45, 0.55), tone(paint, 0.7))
    if taxi:
        b.block((-0.3, 0.3, -0.15, 0.15, 1.4), (-0.25, 0.25, -0.1, 0.1, 1.68), (70, 220, 250))


def bus(rng: np.random.Generator) -> Figure:
    """Build a city bus."""
    length = rng.uniform(9.5, 12.2)
    half = rng.uniform(1.22, 1.3)
    roof = rng.uniform(2.9, 3.15)
    paint = pick(rng, ((52, 52, 200), (60, 170, 230), (180, 110, 40), (96, 150, 70), (226, 224, 220)))
    band = pick(rng, ((235, 235, 235), (60, 60, 60), (80, 200, 240)))
    b = Builder()
    axles = (length * 0.3, -length * 0.28)
    front = length / 2
    b.wheels(half - 0.02, axles, 0.48)
    low = (-half, half, -front, front, 0.3)
    mid = (-half, half, -front, front, roof - 0.18)
    body = b.block(low, mid, paint)
    roof_faces = b.block(mid, (-half * 0.9, half * 0.9, -front + 0.12, front - 0.12, roof), tone(paint, 1.05))
    for side in ("left", "right"):
        b.pane(body[side], (0.0, 1.0), (0.2, 0.3), band)
        b.panes(body[side], 7, 0.008, (0.46, 0.92), GLASS)
    b.pane(body["right"], (0.8, 0.9), (0.05, 0.9), tone(GLASS, 1.35))
    b.pane(body["front"], (0.04, 0.96), (0.38, 0.84), GLASS)
    b.pane(body["front"], (0.1, 0.42), (0.58, 0.8), tone(GLASS, 1.6))
    b.pane(body["front"], (0.2, 0.8), (0.87, 0.98), (70, 190, 250))
    b.pane(body["front"], (0.36, 0.64), (0.04, 0.12), PLATE)
    for u in ((0.04, 0.18), (0.82, 0.96)):
        b.pane(body["front"], u, (0.14, 0.24), LAMP)
        b.pane(body["rear"], u, (0.12, 0.3), TAIL)
    b.pane(body["rear"], (0.12, 0.88), (0.52, 0.88), GLASS)
    b.pane(roof_faces["top"], (0.2, 0.8), (0.2, 0.4), tone(paint, 0.85))
    b.hubs(half, axles, 0.48)
    return b.done(BUS)


def truck(rng: np.random.Generator) -> Figure:
    """Build a lorry with a box, a tipper or a flat bed with a load."""
    length = rng.uniform(6.2, 9.0)
    half = rng.uniform(1.1, 1.25)
    cab_paint = pick(rng, PAINT)
    box_paint = pick(rng, ((236, 236, 234), *PAINT))
    roof = rng.uniform(2.5, 3.1)
    cab = rng.uniform(1.7, 2.1)
    front = length / 2
    kind = int(rng.integers(3))
    b = Builder()
    axles = (front - 1.0, -front + 1.2, -front + 2.3) if length > 7.5 else (front - 1.0, -front + 1.3)
    b.group = FIRST
    b.wheels(half - 0.02, axles, 0.46)
    b.block(
        (-half * 0.8, half * 0.8, -front, front - 0.2, 0.5),
        (-half * 0.8, half * 0.8, -front, front - 0.2, 0.85),
        DARK,
    )
    b.group = -1.0
    bed = (-half, half, -front, front - cab - 0.2)
    load = b.block((*bed, 0.85), (*bed, roof if kind == 0 else 1.6), box_paint)
    if kind == 0:
        for side in ("left", "right"):
            b.pane(load[side], (0.1, 0.9), (0.4, 0.62), pick(rng, PAINT, 30))
        b.pane(load["rear"], (0.06, 0.485), (0.06, 0.94), tone(box_paint, 0.9))
        b.pane(load["rear"], (0.515, 0.94), (0.06, 0.94), tone(box_paint, 0.9))
    else:
        heap = (bed[0] * 0.6, bed[1] * 0.6, bed[2] * 0.55, bed[3] * 0.6)
        b.block(
            (bed[0] * 0.95, bed[1] * 0.95, bed[2] * 0.95, bed[3] * 0.95, 1.6),
            (*heap, roof - 0.4),
            pick(rng, ((70, 110, 150), (90, 120, 96))),
        )
        for side in ("left", "right"):
            b.panes(load[side], 4, 0.02, (0.1, 0.9), tone(box_paint, 0.88))
    for u in ((0.02, 0.14), (0.86, 0.98)):
        b.pane(load["rear"], u, (0.01, 0.07 if kind == 0 else 0.18), TAIL)
    b.group = 1.0
    _cab(b, half, front, cab, 2.35 if kind else min(roof, 2.6), cab_paint)
    b.group = LAST
    b.hubs(half, axles, 0.46)
    return b.done(TRUCK)


def _cab(b: Builder, half: float, front: float, cab: float, roof: float, paint: Colour) -> None:
    """Add a lorry's cab."""
    low = (-half * 0.98, half * 0.98, front - cab, front, 0.45)
    mid = (-half * 0.98, half * 0.98, front - cab, front, 1.35)
    high = (-half * 0.92, half * 0.92, front - cab + 0.05, front - 0.35, roof)
    base = b.block(low, mid, paint)
    upper = b.block(mid, high, paint)
    b.pane(upper["front"], (0.05, 0.95), (0.1, 0.82), GLASS)
    b.pane(upper["front"], (0.12, 0.4), (0.45, 0.78), tone(GLASS, 1.6))
    b.pane(base["front"], (0.22, 0.78), (0.25, 0.8), DARK)
    b.pane(base["front"], (0.36, 0.64), (0.05, 0.18), PLATE)
    for u in ((0.02, 0.18), (0.82, 0.98)):
        b.pane(base["front"], u, (0.15, 0.42), LAMP)
    for side in ("left", "right"):
        b.pane(upper[side], (0.25, 0.85), (0.1, 0.75), GLASS)
