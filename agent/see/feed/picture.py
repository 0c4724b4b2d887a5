"""What every source gives and raises.

OpenCV is set up here, before anybody imports it: its own messages say nothing that our reasons do not say
better.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "3")
# A film on a web server is taken up again where the connection broke; the first option is OpenCV's own
# default.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|reconnect;1|reconnect_delay_max;2")

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Wants = Callable[[float], bool]  # seconds -> whether that picture is wanted at all

if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
cv2.setNumThreads(1)  # cameras and looks are threads already; its own wait for work by spinning

NO_IMAGE: Image = np.zeros((0, 0, 3), np.uint8)  # of a picture that came and was not wanted


def always(seconds: float) -> bool:
    """Want every picture."""
    return True


USUAL_FPS = 25.0  # where a source does not say
PATIENCE = 3.0  # seconds without a byte from a network camera are a stall


class SourceError(Exception):
    """A source that gives no picture now; the text is one line with the reason and what to do."""

    def __init__(
        self, text: str, state: Literal["absent", "stalled", "frozen", "degraded"] = "absent"
    ) -> None:
        super().__init__(text)
        self.state = state


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture (H,W,3) and its time.

    Attributes:
        image: blue, green, red; uint8. NO_IMAGE: it was not wanted.
        seconds: its time on the source's own clock, by which it is paced; None: a live picture, not paced.
        cut: nothing of the picture before is in this one; whatever was followed is gone.
        taken: when a live picture was taken, in monotonic seconds; None: now.
        new: False where a camera gave the same picture again.
    """

    image: Image
    seconds: float | None
    cut: bool = False
    taken: float | None = None
    new: bool = True


class Source(Protocol):
    """What every source can do."""

    live: bool  # a camera: what is not read in time is lost
    fps: float  # what the source says of itself; a guess for cameras
    broken: int  # pictures passed over because they could not be decoded
    lasting: bool  # it may be read again after a SourceError, and knows what it gave already
    waited: float  # seconds that a paced source waited for its server; its clock stood still in them
    period: float  # seconds between two different pictures, where a camera changes its picture rarely; else 0
    moving: bool  # pictures follow each other as a camera's do; else each is one of its own, and looked at
    note: str  # what `check` tells beside size and rate

    def read(self, wants: Wants = always) -> Picture | None:
        """Return the next picture, or None at the end; raise SourceError if it is lost.

        `wants` is asked with a picture's `seconds`, or `taken`, before it is decoded, or converted.
        """

    def skip(self) -> bool:
        """Pass over one picture as cheaply as can be; False if there was none to pass over."""

    def spare(self, allowed: bool) -> int:
        """Say whether pictures that no other one needs may be left out from now on.

        Return how many came and were left out, before they were decoded, since this was said last.
        """

    def close(self) -> None:
        """Give back what the source holds."""


class Feed:
    """The usual answers of a source; a kind of source overrides what is different."""

    live = False
    lasting = False
    moving = True
    waited = 0.0
    period = 0.0
    note = ""
    broken = 0
    _size: tuple[int, int] | None = None

    def fitted(self, image: Image) -> Image:
        """Return a picture in the size of the source's first one: fractions keep their place."""
        size = (image.shape[1], image.shape[0])
        if self._size is None:
            self._size = size
        if size == self._size:
            return image
        resized: Image = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        return resized

    def skip(self) -> bool:
        """Pass over nothing: what was not read in time is gone anyway."""
        return False

    def spare(self, allowed: bool) -> int:
        """Leave out nothing: each picture is needed, or nothing tells which are."""
        return 0

    def close(self) -> None:
        """Hold nothing."""
