"""The built-in street: a drawn road with exact truth, a source like any other and the oracle of the tests.

What always holds: a frame is a pure function of (seed, number), in any order, for ever and without a seam;
the truth of a frame comes from the very points that were painted; two scenes of a seed are equal to the byte.

Seeds below 1000 give calm streets that look good in a demonstration, with DEFAULT_LINE across the road.
Seeds from 1000 on vary everything more (camera, lanes, light) and are for training.

A rider and the bicycle or motorcycle below are one object of the vehicle's class. A person is on foot.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.street import backdrop, raster
from agent.street.backdrop import Occluder
from agent.street.cast import Cast, Cover, footprint
from agent.street.crossings import TrueCrossing, meetings
from agent.street.standpoints import calm_view, wide_view
from agent.street.traffic import CYCLE, FAR, Layout, Mover, Traffic, layout_for
from agent.street.view import Float, Image

CLASSES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
DEFAULT_LINE: tuple[tuple[float, float], tuple[float, float]] = ((0.15, 0.62), (0.85, 0.62))

CALM = 1000  # the first seed of the training streets
WARM = 4 * CYCLE  # frame 0 is this many seconds after the traffic's own beginning
SMALLEST = 6.0  # pixels: a smaller box is not in the truth
FAINTEST = 0.02  # less of a figure than this is not visible
INKS = 600  # figures whose colours are remembered


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Hold what is there: xyxy (N,4) pixels inside the frame, track_id (N,), class_id (N,), visible (N,)."""

    xyxy: NDArray[np.float32]
    track_id: NDArray[np.int64]
    class_id: NDArray[np.int64]
    visible: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.track_id)


class Scene:
    """Draw the street of one seed; frames and truth are asked for by number, in any order."""

    def __init__(self, seed: int = 7, width: int = 960, height: int = 540, fps: float = 15.0) -> None:
        if seed < 0 or width < 64 or height < 64 or not fps > 0:
            raise ValueError(
                "a scene needs a seed >= 0, at least 64 x 64 pixels and more than 0 frames a second"
            )
        self.seed = seed
        self.width = width
        self.height = height
        self.fps = fps
        rng = np.random.default_rng([seed, 1])
        calm = seed < CALM
        self.layout: Layout = layout_for(rng, calm)
        self.view = calm_view(rng, width, height) if calm else wide_view(rng, width, height, self.layout.half)
        self.traffic = Traffic(seed, self.layout)
        self._still = backdrop.build(self.view, self.layout, rng)
        self._light = rng.uniform(0, 6.28, 2)
        self._level = 1.0 if calm else rng.uniform(0.6, 1.15)
        grain = rng.normal(0, 2.2 if calm else rng.uniform(1.0, 6.0), (height + 64, width + 64, 3))
        self._noise: Image = np.clip(grain + 128, 0, 255).astype(np.uint8)
        self._inks: OrderedDict[int, raster.Ink] = OrderedDict()

    def frame(self, number: int) -> Image:
        """Return the picture (H,W,3), blue green red, of the frame `number`."""
        casts = self._casts(number)
        image = self._still.image.copy()
        self._shadows(image, casts)
        self._signals(image, number)
        for layer in self._layers(casts):
            if isinstance(layer, Cast):
                self._draw(image, layer)
            else:
                patch, mask = layer.cut(image)
                cv2.copyTo(layer.cut(self._still.image)[0], mask, patch)
        return self._expose(image, number)

    def truth(self, number: int) -> Truth:
        """Return the exact boxes of what is visible in the frame `number`."""
        casts = self._casts(number)
        share = self._visible(casts)
        kept = [i for i, cast in enumerate(casts) if share[i] >= FAINTEST and _large(self._clip(cast.box))]
        boxes = np.array([self._clip(casts[i].box) for i in kept], np.float32).reshape(-1, 4)
        return Truth(
            boxes,
            np.array([casts[i].mover.track_id for i in kept], np.int64),
            np.array([casts[i].mover.figure.class_id for i in kept], np.int64),
            share[kept].astype(np.float32),
        )

    def crossings(
        self, points: Sequence[tuple[float, float]], first: int, last: int, anchor: str = "bottom"
    ) -> list[TrueCrossing]:
        """Return who crosses the line (fractions of the frame) with a step into a frame of first..last.

        The anchor is the middle of the box's lower edge ("bottom") or of the box ("center"), as in the truth.
        Somebody who walks along the line sees AB go from the left hand to the right.
        """
        line = np.asarray(points, np.float64) * (self.width, self.height)
        start = self._time(first - 1)
        end = self._time(last)
        found = []
        for mover in self.traffic.between(start, end):
            low = max(first - 1, int(np.ceil((mover.knots[0] - WARM) * self.fps)))
            high = min(last, int(np.floor((mover.knots[-1] - WARM) * self.fps)))
            if high > low:
                found += self._crossings_of(mover, line, np.arange(low, high + 1), anchor)
        return sorted(found, key=lambda crossing: (crossing.at_seconds, crossing.track_id))

    def _crossings_of(
        self, mover: Mover, line: Float, frames: NDArray[np.int64], anchor: str
    ) -> list[TrueCrossing]:
        times = WARM + frames / self.fps
        pixels, depth = self.view.project(mover.points(times))
        boxes = self._clip(raster.bounds(pixels, depth, mover.figure.radii, self.view.focal))
        x = (boxes[:, 0] + boxes[:, 2]) / 2
        y = boxes[:, 3] if anchor == "bottom" else (boxes[:, 1] + boxes[:, 3]) / 2
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        path = np.stack([x, y], axis=1)
        found = []
        for step, share, direction in meetings(path, line):
            if seen[step] and seen[step + 1]:
                at = float((frames[step] + share) / self.fps)
                found.append(
                    TrueCrossing(int(frames[step + 1]), at, mover.track_id, mover.figure.class_id, direction)
                )
        return found

    def _time(self, number: int) -> float:
        return WARM + number / self.fps

    def _clip(self, boxes: Float) -> Float:
        limit = np.array([self.width, self.height, self.width, self.height], np.float64)
        return np.clip(boxes, 0.0, limit)

    def _casts(self, number: int) -> list[Cast]:
        """Return who is inside the frame, the furthest first."""
        time = self._time(number)
        casts: list[Cast] = []
        for mover in self.traffic.at(time):
            world = mover.points(np.array([time]))[0]
            pixels, depth = self.view.project(world)
            box = raster.bounds(pixels, depth, mover.figure.radii, self.view.focal)
            if box[2] < 0 or box[0] > self.width or box[3] < 0 or box[1] > self.height or depth.max() < 1.5:
                continue
            x = float(world[:, 0].mean())
            near = float(world[:, 1].min())
            far = float(world[:, 1].max())
            casts.append(Cast(mover, world, pixels, depth, box, x, near, far, len(casts) + 1))
        return sorted(casts, key=cmp_to_key(self._further_first))

    def _further_first(self, a: Cast, b: Cast) -> int:
        """Order two movers for painting: side by side, the one further from the camera's side comes first."""
        if a.near >= b.far or b.near >= a.far:
            return -1 if a.near > b.near else 1
        here = float(self.view.position[0])
        return -1 if abs(a.x - here) > abs(b.x - here) else 1

    def _layers(self, casts: list[Cast]) -> Iterator[Cast | Cover]:
        """Yield movers and the occluders before them in painting order, the furthest first."""
        waiting = list(reversed(self._still.occluders))  # the furthest last
        drawn: list[Cast] = []
        for cast in casts:
            while waiting and waiting[-1].y >= cast.near:
                yield from self._cover(waiting.pop(), drawn)
            drawn.append(cast)
            yield cast
        while waiting:
            yield from self._cover(waiting.pop(), drawn)

    def _cover(self, occluder: Occluder, drawn: list[Cast]) -> Iterator[Cover]:
        """Yield what the occluder hides of the movers painted before it."""
        left, top, right, bottom = occluder.box
        for cast in drawn:
            x0, y0, x1, y1 = cast.box
            if x0 < right and x1 > left and y0 < bottom and y1 > top and occluder.hides(cast.x, cast.near):
                yield Cover(
                    occluder,
                    max(left, int(x0) - 2),
                    max(top, int(y0) - 2),
                    min(right, int(x1) + 3),
                    min(bottom, int(y1) + 3),
                )

    def _draw(self, image: Image, cast: Cast) -> None:
        """Paint one mover with the haze of its distance and the dark of the bridge."""
        far = float(np.clip((cast.depth.min() - 30) / 190, 0, 0.55))
        under = float(np.clip((cast.near - FAR + 7) / 7, 0, 0.92))
        air = (self._still.haze * (1 - under) + 52.0 * under, max(far, under))
        mover = cast.mover
        raster.paint(
            image, self.view, mover.figure, cast.world, cast.pixels, cast.depth, self._ink(mover), air
        )

    def _ink(self, mover: Mover) -> raster.Ink:
        """Return the mover's colours, remembered for the next frames."""
        known = self._inks.get(mover.track_id)
        if known is None:
            known = self._inks[mover.track_id] = raster.ink(mover.figure, mover.forward, self._still.sun)
            if len(self._inks) > INKS:
                self._inks.popitem(last=False)
        return known

    def _shadows(self, image: Image, casts: list[Cast]) -> None:
        """Darken the ground beside each mover, away from the sun."""
        if not casts:
            return
        base = np.array([footprint(cast.mover, cast.world) for cast in casts])  # (N,4,3)
        sun = self._still.sun
        reach = np.array([min(cast.mover.figure.height, 2.4) for cast in casts]) / sun[2]
        fallen = base * (0.86, 0.94, 0) + base.mean(axis=1, keepdims=True) * (0.14, 0.06, 0)
        fallen[..., :2] -= sun[:2] * reach[:, None, None]
        pixels, depth = self.view.project(np.concatenate([base, fallen], axis=1))  # (N,8,2)
        mask = np.zeros((self.height, self.width), np.uint8)
        for corners in (pixels * 16).round().astype(np.int32)[depth.min(axis=1) >= 2]:
            cv2.fillConvexPoly(mask, cv2.convexHull(corners), 255, cv2.LINE_8, 4)
        cv2.copyTo(self._still.shade, mask, image)

    def _signals(self, image: Image, number: int) -> None:
        """Light the lamps of the crossing."""
        colour = self.traffic.light(self._time(number))
        shown = {
            "red": (3.42, (60, 60, 235)),
            "amber": (3.1, (60, 190, 250)),
            "green": (2.78, (110, 220, 90)),
        }
        height, paint = shown[colour]
        for x, y, _ in self._still.lamps:
            at, depth = self.view.project(np.array([x, y - 0.15, height]))
            size = max(1, int(self.view.focal * 0.13 / float(depth)))
            cv2.circle(image, (int(at[0]), int(at[1])), size, paint, -1, cv2.LINE_AA)

    def _expose(self, image: Image, number: int) -> Image:
        """Add the slow change of the light and the noise of the sensor."""
        time = self._time(number)
        slow = np.sin(time * 2 * np.pi / 240 + self._light[0])
        quick = np.sin(time * 2 * np.pi / 47 + self._light[1])
        level = float(self._level * (1.0 + 0.07 * slow + 0.025 * quick))
        dy, dx = np.random.default_rng([self.seed, 3, number]).integers(0, 64, 2)
        noise = self._noise[dy : dy + self.height, dx : dx + self.width]
        return np.asarray(cv2.addWeighted(image, level, noise, 1.0, -128.0))

    def _visible(self, casts: list[Cast]) -> Float:
        """Return for each mover the share of its figure that nothing hides and that lies in the frame."""
        names = np.zeros((self.height, self.width), np.uint8)
        for layer in self._layers(casts):
            if isinstance(layer, Cast):
                self._name(names, layer, layer.order)
            else:
                patch, mask = layer.cut(names)
                patch[mask > 0] = 0
        seen = np.bincount(names.ravel(), minlength=256)
        alone = np.array([self._alone(cast) for cast in casts])
        return np.asarray(seen[[cast.order for cast in casts]] / np.maximum(alone, 1))

    def _alone(self, cast: Cast) -> int:
        """Return how many pixels the mover has with nothing before it, inside the frame and outside."""
        left, top, right, bottom = cast.box
        size = np.array([right - left, bottom - top])
        if (size > 4 * max(self.width, self.height)).any():
            return int(self.width * self.height)
        canvas = np.zeros((int(size[1]) + 4, int(size[0]) + 4), np.uint8)
        figure = cast.mover.figure
        pixels = cast.pixels - (np.floor(left) - 1, np.floor(top) - 1)
        raster.paint(canvas, self.view, figure, cast.world, pixels, cast.depth, self._ink(cast.mover), flat=1)
        return int(np.count_nonzero(canvas))

    def _name(self, canvas: Image, cast: Cast, value: int) -> None:
        """Paint the mover's figure in one value."""
        mover = cast.mover
        inked = self._ink(mover)
        raster.paint(canvas, self.view, mover.figure, cast.world, cast.pixels, cast.depth, inked, flat=value)


def _large(box: Float) -> bool:
    return bool(box[2] - box[0] >= SMALLEST and box[3] - box[1] >= SMALLEST)
