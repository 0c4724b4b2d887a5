"""Lines, zones and paths: who passed what, and when. Pure numpy, the same code on the node and afterwards.

A line is drawn P -> Q, perhaps with joints. Someone walking P -> Q has a left hand (A) and a right hand (B):

          A (left)                          Q    B           P
     P ------------> Q                      ^                |
          B (right)                      A  |  B          B  v  A
                                            P                Q
     AB is downwards                 AB is rightwards    AB is leftwards

An anchor that moves a -> b *passes* a line when a and b lie on different sides of one of its pieces and the
ends of that piece lie on different sides of a -> b. Both tests are signs of cross products with "zero counts
as right", so nothing is divided: vertical lines and vertical motion are like all others, a joint never leaks,
and an anchor that stops exactly on a line is counted once when it goes on.

Hysteresis: passes are added up (+1 for AB, -1 for BA) and told only when the anchor is *clear* of the line.

      . . . . . . . . . . . . . . .        a: +1, clear on the other side        -> AB
      :   a     b     c     d     :        b: +1 -1, clear on its own side       -> nothing
  ====:===v=====v=^===~~~====.====:===     c: jitters on the line for ever       -> nothing
      :   |     |_|          d    :        d: passes beyond the end of the line  -> nothing
      . . . . . . . . . . . . . . .  <- the margin, measured to the drawn line, ends included

What is on its way when its path ends, past the line but not yet clear of it, has passed: it left the picture,
or was lost there. What stood there has not.

No side is remembered, only passes: a line that is drawn or moved never counts what already happened.

What lies on the border of the picture reaches beyond it. Whoever the border cuts off has the anchor on it: so
the end of a line within BORDER of the border is drawn on past it, and the side of a zone there is moved out.

          :   |        |  :                  :   .______.  :    the zone's lower side lies on the border:
          :   |  zone  |  :     becomes      :   |      |  :    what is cut off there is inside
     _____:___|________|__:____         _____:___|______|__:____  the border
                                                 |______|

Coordinates are fractions of the frame, and those are not square. Signs do not care; lengths do. So every
length here (margin, tolerance, distance) is in *frame heights*: x is first multiplied by the aspect
(width / height of the frame).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Points = Sequence[tuple[float, float]]

MARGIN = 0.006  # frame heights: the margin where the size of the object is not known
MARGIN_SHARE = 0.1  # else: share of the object's size; frame heights
MARGIN_LEAST = 0.005
CUT = 0.004  # so near to the frame's edge a box is cut off
REACH = 0.002  # frame heights: the ends belong to the line
BORDER = 0.015  # of the frame: what is so near to its border lies on it
BEYOND = 0.5  # of the frame: how far it then reaches past the border
STEEPEST = 0.25  # sine of the angle at which a line's end must meet the border to reach beyond it


def side(points: ArrayLike, start: ArrayLike, end: ArrayLike) -> Float:
    """Return the cross product (…): >= 0 right of (or on) start -> end, < 0 left of it. Shapes broadcast."""
    point, one, two = (np.asarray(each, np.float64) for each in (points, start, end))
    along = two - one
    to = point - one
    return np.asarray(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0], np.float64)


def distance(points: Float, start: Float, end: Float) -> Float:
    """Return the distances (…) from points to the pieces start -> end, ends included. Shapes broadcast."""
    along = end - start
    to = points - start
    length = np.maximum((along * along).sum(-1), 1e-18)
    share = np.clip((along * to).sum(-1) / length, 0.0, 1.0)
    return np.asarray(np.linalg.norm(to - share[..., None] * along, axis=-1), np.float64)


def margins(size: Float) -> Float:
    """Return how far (N,) objects of some sizes (N,) must be from a line or border to be clear of it."""
    return np.maximum(MARGIN_LEAST, MARGIN_SHARE * size)


class Gates:
    """Several lines made ready for one aspect: L lines with S pieces in all."""

    def __init__(self, lines: Sequence[Points], aspect: float = 1.0) -> None:
        for points in lines:
            if not 2 <= len(points) <= 8:
                raise ValueError(f"a line has 2 to 8 points, not {len(points)}")
        self.count = len(lines)
        self.stretch = np.array([aspect, 1.0])
        drawn = [_reach(_beyond(np.asarray(points, np.float64), self.stretch)) for points in lines]
        self.start = np.concatenate([each[:-1] for each in drawn]) if drawn else np.zeros((0, 2))  # (S,2)
        self.end = np.concatenate([each[1:] for each in drawn]) if drawn else np.zeros((0, 2))  # (S,2)
        self.along = self.end - self.start
        pieces = np.array([len(each) - 1 for each in drawn], np.int64)
        self.first = np.cumsum(pieces) - pieces  # (L,) number of each line's first piece

    def sides(self, points: Float) -> Bool:
        """Say which points (N,2), fractions, lie right of or on each piece. (N,S)"""
        return self._turns(points * self.stretch) >= 0

    def _turns(self, points: Float) -> Float:
        """Return `side` (N,S) of stretched points (N,2)."""
        across = self.along[:, 0] * (points[:, 1, None] - self.start[:, 1])
        return np.asarray(across - self.along[:, 1] * (points[:, 0, None] - self.start[:, 0]), np.float64)

    def passes(self, before: Float, after: Float) -> tuple[Int, Float, Float]:
        """Look at moves before -> after, each (N,2) fractions.

        Returns net passes (N,L), AB positive; the share of the move at the last pass (N,L), 0..1; and how
        far `after` is from each line (N,L), frame heights.
        """
        moves = len(before)
        if not self.count:
            return np.zeros((moves, 0), np.int64), np.zeros((moves, 0)), np.zeros((moves, 0))
        one = before * self.stretch
        two = after * self.stretch
        from_ = self._turns(one)  # (N,S)
        to = self._turns(two)
        one = one[:, None]  # (N,1,2)
        two = two[:, None]
        changed = (from_ >= 0) != (to >= 0)
        between = (side(self.start, one, two) >= 0) != (side(self.end, one, two) >= 0)  # (N,S)
        hit = changed & between
        sign = np.where(hit, np.where(to >= 0, 1, -1), 0)
        gap = np.where(hit, from_ - to, 1.0)
        share = np.where(hit, np.clip(from_ / gap, 0.0, 1.0), 0.0)
        away = distance(two, self.start, self.end)  # (N,S)
        return (
            np.asarray(np.add.reduceat(sign, self.first, axis=1), np.int64),
            np.asarray(np.maximum.reduceat(share, self.first, axis=1), np.float64),
            np.asarray(np.minimum.reduceat(away, self.first, axis=1), np.float64),
        )


def moment(share: Float, before: Float, after: Float) -> Float:
    """Convert fractions (N,L) of a move's image distance to fractions of its time; boxes (N,4) in fractions.

    What goes away from the camera at a constant speed grows smaller and goes ever more slowly in the picture:
    its distance is taken as the inverse of its size. A side that the frame cuts off tells nothing of that.
    """
    cut = (
        ((before < CUT) | (before > 1 - CUT) | (after < CUT) | (after > 1 - CUT))
        .reshape(-1, 2, 2)
        .any(axis=1)
    )
    grown = (after[:, 2:] - after[:, :2]) / np.maximum(before[:, 2:] - before[:, :2], 1e-6)  # (N,2)
    known = np.where(cut, 0.0, 1.0)
    log = (known * np.log(np.maximum(grown, 1e-3))).sum(axis=1) / np.maximum(known.sum(axis=1), 1.0)
    ratio = np.exp(log)[:, None]
    return np.asarray(share * ratio / (1 - share + share * ratio), np.float64)


def _beyond(points: Float, stretch: Float) -> Float:
    """Return a line (M,2) in frame heights, with the ends that lie on the frame's border drawn past it."""
    drawn = points * stretch
    longer = drawn.copy()
    for end, neighbour in ((0, 1), (-1, -2)):
        along = drawn[end] - drawn[neighbour]
        along /= max(float(np.linalg.norm(along)), 1e-9)
        on = on_border(points[end]) & ~on_border(points[neighbour])  # (2,2)
        towards = np.array([-along, along])  # (2,2) how much the end goes to each side of the border
        meets = np.where(on & (towards >= STEEPEST), towards, np.inf)
        if np.isfinite(meets).any():
            longer[end] += along * float((BEYOND * stretch / meets).max())
    return longer


def on_border(points: Float) -> Bool:
    """Say for points (…,2), fractions, whether they lie on the low and high border of x and y. (…,2,2)"""
    near = BORDER + 1e-9
    return np.stack([points <= near, points >= 1 - near], axis=-2)


def reaching(zone: Points) -> Float:
    """Return a polygon (N,2) of which the sides on the frame's border are moved out past it. (M,2)

    A side is on the border if both of its ends are. Nothing changes inside the frame: each such side becomes
    three, straight out, along, and back; two that meet in a corner of the frame meet in a corner again.
    """
    points = np.asarray(zone, np.float64)
    on = on_border(points)
    sides = on & np.roll(on, -1, axis=0)  # (N,2,2) side i, from point i to the next: low, high of x, y
    out = BEYOND * (sides[:, 1].astype(np.float64) - sides[:, 0])  # (N,2)
    corners: list[Float] = []
    for before, after, point in zip(np.roll(out, 1, axis=0), out, points, strict=True):
        steps = [before, after]
        if (before == after).all():
            steps = [before]
        elif before.any() and after.any() and before @ after == 0:  # a corner of the frame
            steps = [before, before + after, after]
        corners += [point + step for step in steps]
    return np.array(corners)


def _reach(points: Float) -> Float:
    """Lengthen a line (M,2) a little at both ends."""
    longer = points.copy()
    for end, neighbour in ((0, 1), (-1, -2)):
        along = points[end] - points[neighbour]
        longer[end] += along * (REACH / max(float(np.linalg.norm(along)), 1e-9))
    return longer


class Areas:
    """Several zones made ready for one aspect: Z polygons with E edges in all."""

    def __init__(self, zones: Sequence[Points], aspect: float = 1.0) -> None:
        drawn = [reaching(points) for points in zones]
        empty = np.zeros((0, 2))
        self.start = np.concatenate([empty, *drawn])  # (E,2)
        self.end = np.concatenate([empty, *(np.roll(each, -1, axis=0) for each in drawn)])  # (E,2)
        sizes = np.array([len(each) for each in drawn], np.int64)
        self.first = np.cumsum(sizes) - sizes  # (Z,) number of each zone's first edge
        self.zone = np.repeat(np.arange(len(drawn)), sizes)  # (E,)
        self.stretch = np.array([aspect, 1.0])
        extents = [float(np.ptp(np.asarray(points), axis=0).min()) for points in zones]
        self.least = min(extents, default=np.inf)  # fractions

    def inside(self, spots: Float) -> Bool:
        """Say which spots (N,Z,2), fractions, lie in their zone (N,Z).

        Each point of a tiling lies in exactly one of its tiles.
        """
        if not len(self.first):
            return np.zeros(spots.shape[:2], np.bool_)
        spot = spots[:, self.zone]  # (N,E,2)
        one = self.start
        two = self.end
        spans = (one[:, 1] > spot[..., 1]) != (two[:, 1] > spot[..., 1])
        turn = side(spot, one, two)
        rising = two[:, 1] > one[:, 1]
        passed = spans & (turn != 0) & ((turn > 0) == rising)
        return np.asarray(np.logical_xor.reduceat(passed, self.first, axis=1), np.bool_)

    def met(self, before: Float, after: Float) -> tuple[Float, Float]:
        """Return where on a move (N,Z,2) -> (N,Z,2) it met the zone's border first and last, 0..1, or nan."""
        if not len(self.first):
            return np.zeros(before.shape[:2]), np.zeros(before.shape[:2])
        one = before[:, self.zone]  # (N,E,2)
        two = after[:, self.zone]
        from_ = side(one, self.start, self.end)
        to = side(two, self.start, self.end)
        hit = (from_ >= 0) != (to >= 0)
        hit &= (side(self.start, one, two) >= 0) != (side(self.end, one, two) >= 0)
        share = np.where(hit, from_ / np.where(hit, from_ - to, 1.0), np.nan)
        first, last = (each.reduceat(share, self.first, axis=1) for each in (np.fmin, np.fmax))
        return np.asarray(first, np.float64), np.asarray(last, np.float64)

    def away(self, spots: Float) -> Float:
        """Return how far (N,Z) spots (N,Z,2) are from their zone's border, frame heights."""
        if not len(self.first):
            return np.zeros(spots.shape[:2])
        far = distance(
            spots[:, self.zone] * self.stretch, self.start * self.stretch, self.end * self.stretch
        )  # (N,E)
        return np.asarray(np.minimum.reduceat(far, self.first, axis=1), np.float64)


def settle(pending: Int, net: Int, away: Float, margin: Float | float) -> tuple[Int, Int]:
    """Add net passes to those not yet told; tell them where the anchor is clear of the line.

    Returns what is still pending and what is told now (positive AB, negative BA, 0 nothing), same shape.
    """
    total = pending + net
    told = np.where(away >= margin, total, 0)
    return total - np.where(away >= margin, total, 0), told


def inside(points: ArrayLike, zone: Points) -> Bool:
    """Say which points (N,2) lie in a polygon; each point of a tiling lies in exactly one of its tiles."""
    spots = np.asarray(points, np.float64).reshape(-1, 1, 2)
    return np.asarray(Areas([zone]).inside(spots)[:, 0], np.bool_)
