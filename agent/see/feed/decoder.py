"""Films and streams through FFmpeg's own libraries (PyAV): OpenCV's capture, and one thing more.

What always holds: the same pictures to the last digit, times and rates as from OpenCV, which decodes with the
same libraries; who reads it asks for the same things by the same names. Beyond that, where `spare` allows it,
what no other picture needs (the non-reference pictures of H.264, H.265 and MPEG-4) is left out before it is
decoded. It came, and is counted.

    packets ─▶ is it needed? ─▶ decoder ─▶ pictures in the order of their times
                   └ no: spared
"""

from __future__ import annotations

from collections.abc import Generator
from io import BufferedIOBase
from typing import Any

import av
import cv2
from av.video.reformatter import VideoReformatter

from agent.see.feed.picture import Image

WAY_ROUND = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    -90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    -180: cv2.ROTATE_180,
}


class Decoder:
    """Decode one film or stream, a picture at a time, as `cv2.VideoCapture` does."""

    def __init__(self, container: Any) -> None:
        self._sparing = False
        self._chosen = False  # what the decoder was told
        self._spared = 0  # since that was told
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "NONE"
        self._tick = float(self._stream.time_base or 0) * 1000  # milliseconds
        self._begin = self._stream.start_time or 0
        self._left_out: list[int] = []  # times of what was given to the decoder while sparing
        self._frames = self._decoded()
        self._frame: Any = None
        self._converter: Any = VideoReformatter()  # one for all: to make one takes as long as to use it
        self._size: tuple[int, int] | None = None  # width, height of the first picture

    @classmethod
    def open(
        cls,
        name: str | BufferedIOBase,
        options: dict[str, str] | None = None,
        timeouts: tuple[float, float] | None = None,
    ) -> Decoder | None:
        """Open a file or an address; None where these libraries cannot.

        Args:
            name: a path, an address, or a file that can be read and jumped in.
            options: of FFmpeg's protocol.
            timeouts: seconds to wait while it is opened, and for each piece that is read; None: for ever.
        """
        try:
            container = av.open(name, options=options, timeout=timeouts)
        except (av.FFmpegError, OSError):
            return None
        if not container.streams.video or container.streams.video[0].codec_context is None:
            container.close()
            return None
        return cls(container)

    def grab(self) -> bool:
        """Go to the next picture; False at the end, and where it breaks off."""
        self._frame = None  # its memory is the next one's
        try:
            self._frame = next(self._frames, None)
        except (av.FFmpegError, OSError):
            self._frame = None
        return self._frame is not None

    def spare(self, allowed: bool) -> int:
        """Say whether what no other picture needs may be left out; return how many were since that was said
        last.
        """
        self._sparing = allowed
        spared = self._spared
        self._spared = 0
        return spared

    def retrieve(self) -> tuple[bool, Image | None]:
        """Return whether there is a picture, and the picture (H,W,3), turned as it says of itself."""
        if self._frame is None:
            return False, None
        self._size = self._size or (self._frame.width, self._frame.height)
        width, height = self._size  # where a stream changes its size, its pictures keep that of the first
        image = self._converter.reformat(
            self._frame, width, height, "bgr24", interpolation="BICUBIC", threads=1
        ).to_ndarray()
        way = WAY_ROUND.get(self._frame.rotation)
        return True, image if way is None else cv2.rotate(image, way)

    def get(self, key: int) -> float:
        """Return one of OpenCV's properties of a capture: its place, its rate, how many pictures it has."""
        if key == cv2.CAP_PROP_POS_MSEC:
            return self._milliseconds()
        if key == cv2.CAP_PROP_FPS:
            return float(self._stream.average_rate or self._stream.guessed_rate or 0.0)
        return float(self._stream.frames)

    def release(self) -> None:
        """Close the file."""
        self._frames.close()
        self._frame = None
        self._container.close()

    def _milliseconds(self) -> float:
        """Return the time of the picture at hand; 0 where it has none."""
        if self._frame is None or self._frame.pts is None:
            return 0.0
        return float((self._frame.pts - self._begin) * self._tick)

    def _decoded(self) -> Generator[Any, None, None]:
        """Yield the pictures; what cannot be decoded is passed over."""
        for packet in self._container.demux(self._stream):
            self._choose(self._sparing and packet.pts is not None)
            if self._chosen:
                self._left_out.append(packet.pts)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            frames.reverse()
            while frames:
                self._count_spared(frames[-1].pts)
                yield frames.pop()

    def _choose(self, spare: bool) -> None:
        """Let the decoder leave out what no other picture needs, or nothing."""
        if spare != self._chosen:
            self._stream.codec_context.skip_frame = "NONREF" if spare else "DEFAULT"
            self._chosen = spare

    def _count_spared(self, reached: int | None) -> None:
        """Count what will not come any more: pictures come in the order of their times."""
        if reached is None or not self._left_out:
            return
        self._spared += sum(time < reached for time in self._left_out)
        self._left_out = [time for time in self._left_out if time > reached]
