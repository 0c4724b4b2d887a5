"""The people of the built-in scene, from rounded limbs: on foot, on a bicycle, on a motorcycle."""

from __future__ import annotations

import numpy as np

from agent.street.meshes import (
    BICYCLE,
    DARK,
    LAMP,
    MOTORCYCLE,
    PAINT,
    PERSON,
    TAIL,
    TYRE,
    Builder,
    Colour,
    Figure,
    pick,
    tone,
)

CLOTH: tuple[Colour, ...] = (
    (60, 54, 178),
    (168, 96, 44),
    (84, 130, 60),
    (60, 178, 228),
    (214, 212, 210),
    (70, 62, 58),
    (150, 92, 140),
    (178, 170, 96),
    (104, 132, 208),
    (120, 90, 64),
)
TROUSERS: tuple[Colour, ...] = ((110, 72, 46), (56, 52, 50), (92, 104, 122), (140, 118, 92), (78, 60, 44))
SKIN: tuple[Colour, ...] = ((168, 194, 232), (140, 172, 220), (92, 128, 184), (56, 84, 130))
HAIR: tuple[Colour, ...] = ((34, 38, 48), (36, 60, 92), (70, 120, 168), (60, 60, 62), (168, 170, 172))


def _rider(b: Builder, rng: np.random.Generator, seat: float, lean: float, pedals: bool) -> None:
    """Add somebody who sits at height `seat` and leans forward."""
    coat = pick(rng, CLOTH)
    legs = pick(rng, TROUSERS)
    skin = pick(rng, SKIN, 6)
    for side, turn in ((-1.0, 0.0), (1.0, np.pi)):
        hip = b.point((side * 0.1, -0.2, seat), 0.09)
        knee = b.point((side * 0.13, 0.18, seat - 0.18), 0.08, (0, 0.08, 0.1), (0, turn, turn + np.pi / 2))
        swing = (0.0, 0.15, 0.15) if pedals else (0.0, 0.0, 0.0)
        foot = b.point((side * 0.12, 0.02, 0.34), 0.06, swing, (0, turn, turn + np.pi / 2))
        b.limb(hip, knee, legs)
        b.limb(knee, foot, tone(legs, 0.85))
    shoulder = (0.0, -0.2 + lean, seat + 0.5)
    b.stick((0.0, -0.2, seat + 0.08), shoulder, 0.19, coat)
    for side in (-1.0, 1.0):
        b.stick(
            (side * 0.2, shoulder[1], shoulder[2] - 0.02),
            (side * 0.24, 0.42, seat + 0.12),
            0.06,
            tone(coat, 0.9),
        )
    head = (0.0, shoulder[1] + 0.06, shoulder[2] + 0.3)
    b.stick(head, head, 0.13, skin)
    cap = pick(rng, CLOTH if pedals and rng.random() < 0.5 else HAIR) if pedals else pick(rng, PAINT)
    b.stick((head[0], head[1] - 0.02, head[2] + 0.05), (head[0], head[1] - 0.02, head[2] + 0.06), 0.14, cap)


def bicycle(rng: np.random.Generator) -> Figure:
    """Build a bicycle and its rider, one figure of the class bicycle."""
    paint = pick(rng, PAINT)
    b = Builder()
    for y in (-0.55, 0.55):
        b.ring(y, 0.31, 0.025, TYRE)
    for first, second in (
        ((0, -0.55, 0.33), (0, -0.1, 0.32)),
        ((0, -0.1, 0.32), (0, -0.2, 0.9)),
        ((0, -0.55, 0.33), (0, -0.17, 0.75)),
        ((0, -0.17, 0.75), (0, 0.4, 0.8)),
        ((0, -0.1, 0.32), (0, 0.4, 0.8)),
        ((0, 0.4, 0.95), (0, 0.55, 0.33)),
        ((-0.27, 0.38, 1.0), (0.27, 0.38, 1.0)),
    ):
        b.stick(first, second, 0.03, paint)
    _rider(b, rng, 0.95, float(rng.uniform(0.15, 0.35)), pedals=True)
    return b.done(BICYCLE)


def motorcycle(rng: np.random.Generator) -> Figure:
    """Build a motorcycle or scooter and its rider, one figure of the class motorcycle."""
    paint = pick(rng, PAINT)
    b = Builder()
    b.block((-0.09, 0.09, -0.95, -0.4, 0.0), (-0.09, 0.09, -0.95, -0.4, 0.6), TYRE)
    b.block((-0.08, 0.08, 0.4, 0.98, 0.0), (-0.08, 0.08, 0.4, 0.98, 0.6), TYRE)
    for y in (-0.66, 0.68):
        b.hubs(0.09, (y,), 0.31)
    b.block((-0.2, 0.2, -0.5, 0.45, 0.28), (-0.16, 0.16, -0.6, 0.5, 0.75), DARK)
    tail = b.block((-0.16, 0.16, -0.95, -0.2, 0.68), (-0.13, 0.13, -0.95, -0.2, 0.85), paint)
    b.pane(tail["rear"], (0.2, 0.8), (0.2, 0.8), TAIL)
    tank = b.block((-0.19, 0.19, -0.2, 0.55, 0.72), (-0.15, 0.15, -0.1, 0.5, 0.98), paint)
    _rider(b, rng, 0.85, float(rng.uniform(0.05, 0.3)), pedals=False)
    nose = b.block((-0.19, 0.19, 0.5, 0.72, 0.6), (-0.17, 0.17, 0.45, 0.62, 1.1), tone(paint, 0.95))
    b.pane(nose["front"], (0.25, 0.75), (0.3, 0.8), LAMP)
    b.pane(tank["top"], (0.2, 0.8), (0.2, 0.8), tone(paint, 1.2))
    b.stick((-0.36, 0.46, 1.03), (0.36, 0.46, 1.03), 0.03, DARK)
    return b.done(MOTORCYCLE)


def person(rng: np.random.Generator) -> Figure:
    """Build somebody who walks."""
    size = rng.uniform(0.9, 1.08) if rng.random() > 0.12 else rng.uniform(0.65, 0.8)
    coat = pick(rng, CLOTH)
    legs = pick(rng, TROUSERS)
    skin = pick(rng, SKIN, 6)
    hair = pick(rng, HAIR, 6)
    skirt = rng.random() < 0.25
    stout = rng.uniform(0.9, 1.25)
    b = Builder()
    for side, turn in ((-1.0, 0.0), (1.0, np.pi)):
        hip = b.point((side * 0.09, 0, 0.88 * size), 0.085 * stout)
        knee = b.point((side * 0.09, 0.03, 0.48 * size), 0.075, (0, 0.15, 0), (0, turn, 0))
        foot = b.point((side * 0.1, 0.0, 0.06), 0.06, (0, 0.34, 0.05), (0, turn, turn + np.pi / 2))
        toe = b.point((side * 0.1, 0.12, 0.05), 0.05, (0, 0.34, 0.05), (0, turn, turn + np.pi / 2))
        b.limb(hip, knee, skin if skirt else legs)
        b.limb(knee, foot, skin if skirt else tone(legs, 0.9))
        b.limb(foot, toe, DARK)
    chest = (0.0, 0.02, 1.3 * size)
    b.stick((0, 0, (0.62 if skirt else 0.92) * size), chest, 0.165 * stout, coat)
    for side, turn in ((-1.0, np.pi), (1.0, 0.0)):
        shoulder = b.point((side * 0.21 * stout, 0, 1.36 * size), 0.06)
        hand = b.point((side * 0.27 * stout, 0.04, 0.85 * size), 0.05, (0, 0.24, 0), (0, turn, 0))
        b.limb(shoulder, hand, tone(coat, 0.88))
        b.limb(hand, hand, skin)
    if rng.random() < 0.3:
        b.stick((0, -0.2, 1.05 * size), (0, -0.2, 1.28 * size), 0.13, pick(rng, CLOTH))
    b.stick((0, 0.02, 1.6 * size), (0, 0.02, 1.62 * size), 0.115, skin)
    b.stick((0, -0.02, 1.66 * size), (0, -0.03, 1.67 * size), 0.11, hair)
    return b.done(PERSON)
