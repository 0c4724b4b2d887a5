"""Video through OpenCV: files, films on a web server, network streams.

OpenCV cannot tell why it failed, and a failed capture never recovers. So the network is tried first with a
plain connection, the reason is asked from the server itself, and who loses a source opens a new one.
Where a stream changes its size, OpenCV scales it to the first one until then: fractions keep their place.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from agent.see.feed.address import CONNECT_SECONDS, reachable, redact, why
from agent.see.feed.clock import FileClock, StreamClock
from agent.see.feed.picture import NO_IMAGE, USUAL_FPS, Feed, Picture, SourceError, Wants, always

if TYPE_CHECKING:  # megabytes that only some sources need
    from agent.see.feed.decoder import Decoder
    from agent.see.feed.web import Web
    from agent.see.feed.web_file import WebFile

_LOG = logging.getLogger(__name__)

READ_TIMEOUT_MS = 1500  # FFmpeg waits twice for so long: a stall is noticed after three seconds
STREAM_OPTIONS = {"rtsp_transport": "tcp"}
FILM_TIMEOUT_MS = 10_000  # a web server with a film may be slow
BACKLOG_SECONDS = 5.0  # for so long the pictures are passed over that waited while a stream was opened
PACE = 0.7  # of the stream's own time must a picture be waited for: then nothing waits any more
PACE_SECONDS = 0.25  # over which that is judged
UNCLOCKED = 5  # pictures whose time does not grow: there is no clock
MISSING = 2.0  # seconds by which a film may end before the length that it says


def ffmpeg() -> type[Decoder] | None:
    """Return what decodes by FFmpeg's own libraries; None where PyAV is not installed."""
    try:
        from agent.see.feed.decoder import Decoder
    except ImportError:
        return None
    return Decoder


def rate(capture: Any) -> float:
    """Return the pictures a second that a capture tells, or the usual ones."""
    said = float(capture.get(cv2.CAP_PROP_FPS))
    return said if 0 < said <= 240 else USUAL_FPS


def retrieved(capture: Any, name: str) -> Any:
    """Return the picture (H,W,3) that was grabbed, or None; raise SourceError if it cannot be decoded."""
    try:
        good, image = capture.retrieve()
    except cv2.error as error:
        raise SourceError(f"{name} sent a picture that cannot be decoded ({error.code})") from None
    return image if good and image is not None and image.size else None


def position(capture: Any) -> float:
    """Return the container's seconds of the picture that was grabbed last."""
    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000


class VideoFeed(Feed):
    """Hold what decodes: FFmpeg's own libraries, or OpenCV's capture, which leaves nothing out."""

    def __init__(self, capture: Any, decoder: Decoder | None = None) -> None:
        self._capture = capture
        self._decoder = decoder
        self.fps = rate(capture)

    def spare(self, allowed: bool) -> int:
        """Say whether pictures that no other one needs may be left out from now on; return how many were."""
        return self._decoder.spare(allowed) if self._decoder is not None else 0


class FilmSource(VideoFeed):
    """Read a recording with its own clock, from a file or a web server."""

    def __init__(
        self, capture: Any, name: str, file: WebFile | None = None, decoder: Decoder | None = None
    ) -> None:
        super().__init__(capture, decoder)
        self._file = file
        self.name = name
        self._clock = FileClock(self.fps)
        self._length = 0.0
        self._reached = 0.0
        self._count = 0

    @classmethod
    def file(cls, path: Path) -> FilmSource:
        """Open a video file."""
        decoder_of = ffmpeg()
        decoder = decoder_of.open(str(path)) if decoder_of else None
        if decoder is not None:
            return cls(decoder, str(path), decoder=decoder)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{path} cannot be read as a video; is it complete, and a format that ffmpeg reads?"
            )
        return cls(capture, str(path))

    @classmethod
    def web(cls, url: str, web: Web, timeout: float) -> FilmSource:
        """Open a film on a web server: by parts over the connection of `web`, if the server gives parts."""
        from agent.see.feed.web_file import WebFile

        threads = [cv2.CAP_PROP_N_THREADS, 1]
        file = WebFile.open(web)
        if file is not None:
            source: Any = file  # OpenCV takes any io.BufferedIOBase; its types name only its own class
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, threads)
        else:
            web.close()
            settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(max(timeout, 10.0) * 1000)]
            settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, FILM_TIMEOUT_MS, *threads]
            capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)
        if not capture.isOpened():
            capture.release()
            problem = file.problem if file else ""
            raise SourceError(problem or f"{redact(url)} cannot be read as a video; is the file complete?")
        film = cls(capture, redact(url), file)
        if file is None:
            film._length = max(float(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0.0) / film.fps
        return film

    def read(self, wants: Wants = always) -> Picture | None:
        """Return the next picture; None at the end."""
        if not self._capture.grab():
            self._check_end()
            return None
        seconds = self._moment()
        if not wants(seconds):
            return Picture(NO_IMAGE, seconds, self._clock.take_cut())
        try:
            good, image = self._capture.retrieve()
        except cv2.error as error:
            raise SourceError(f"{self.name} holds a picture that cannot be decoded ({error.code})") from None
        if not good or image is None or not image.size:
            self._check_end()
            return None
        return Picture(image, seconds, self._clock.take_cut())

    def skip(self) -> bool:
        """Pass over one picture without converting it."""
        if not self._capture.grab():
            return False
        self._moment()
        return True

    def _moment(self) -> float:
        """Return the time of the picture that was grabbed; some containers (AVI) give none, others one that
        jumps.
        """
        said = position(self._capture)
        seconds = self._clock.moment(said)
        self._reached = max(said, seconds)
        self._count += 1
        if self._count == UNCLOCKED and not self._clock.known:
            self.note = (
                f"it holds no times and is taken for {self.fps:.0f} pictures a second; if that is wrong, "
                "give it its rate with `ffmpeg -r RATE -i FILE -c copy FILE.mp4`"
            )
            _LOG.warning("%s: %s", self.name, self.note)
        return seconds

    def close(self) -> None:
        """Close the capture, and the connection."""
        self._capture.release()
        if self._file is not None:
            self._file.close()

    def _check_end(self) -> None:
        """Raise SourceError if a web server's film stopped in its middle: OpenCV says only that it is
        over.
        """
        missing = self._length - self._reached > max(MISSING, 0.05 * self._length)
        if missing or (self._file is not None and self._file.problem):
            self._length = 0.0
            raise SourceError(
                f"{self.name}: the connection broke at {self._reached:.0f} s; it goes on from there"
            )


def _opencv(url: str, timeout: float) -> Any:
    """Open a network stream by OpenCV; None where it cannot."""
    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(timeout * 1000)]
    settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS, cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)
    if capture.isOpened():
        return capture
    capture.release()
    return None


class StreamSource(VideoFeed):
    """Read a live stream (RTSP, or MPEG-TS over HTTP): it has no end, and its own clock spaces its
    pictures.
    """

    live = True

    def __init__(self, capture: Any, name: str, decoder: Decoder | None = None) -> None:
        super().__init__(capture, decoder)
        self.name = name
        self._clock = StreamClock()

    @classmethod
    def open(cls, url: str, timeout: float) -> StreamSource:
        """Open a network stream."""
        reachable(url, min(timeout, CONNECT_SECONDS))
        decoder_of = ffmpeg()
        decoder = (
            decoder_of.open(url, STREAM_OPTIONS, (timeout, READ_TIMEOUT_MS / 1000)) if decoder_of else None
        )
        capture = decoder or (None if decoder_of else _opencv(url, timeout))
        if capture is None:
            raise SourceError(why(url, min(timeout, 2.0)))
        stream = cls(capture, redact(url), decoder)
        stream._skip_backlog()
        return stream

    def _skip_backlog(self) -> None:
        """Pass over what the server and FFmpeg kept while the stream was opened: it is seconds old.

        Such pictures come as fast as they are decoded. The first that had to be waited for is new.
        """
        begun = time.monotonic()
        unclocked = 0
        steps: deque[tuple[float, float]] = deque()  # arrival, the stream's seconds
        while time.monotonic() - begun < BACKLOG_SECONDS and self._capture.grab():
            arrived = time.monotonic()
            said = position(self._capture)
            if steps and said <= steps[-1][1]:
                steps.clear()
                unclocked += 1
                if unclocked > UNCLOCKED:
                    return
            steps.append((arrived, said))
            while len(steps) > 2 and said - steps[1][1] >= PACE_SECONDS:
                steps.popleft()
            spanned = said - steps[0][1]
            if spanned >= PACE_SECONDS and arrived - steps[0][0] >= PACE * spanned:
                return

    def read(self, wants: Wants = always) -> Picture:
        """Return the next picture; raise SourceError if there is none."""
        begun = time.monotonic()
        came = self._capture.grab()
        now = time.monotonic()
        if came:
            taken = self._clock.moment(position(self._capture), now)
            image = retrieved(self._capture, self.name) if wants(taken) else NO_IMAGE
            if image is not None:
                return Picture(image, None, taken=taken)
        if now - begun >= READ_TIMEOUT_MS / 1000 * 0.8:
            text = f"{self.name} sends no picture any more; check the camera and the network"
            raise SourceError(text, "stalled")
        raise SourceError(f"{self.name} has closed the connection; check that it has power and network")

    def close(self) -> None:
        """Close the capture."""
        self._capture.release()
