"""Where pictures come from: V4L2, RTSP, HTTP MJPEG, files, folders of pictures, the built-in scene.

Every source has the same three doors: `read` gives the next picture, or None at its end; `skip` passes one
over; `close` gives everything back. What a source cannot do is a `SourceError`: one line, the reason and what
to do. A password or token in an address never appears in such a line.

OpenCV cannot tell why it failed, and a failed capture never recovers. So the network is tried first with a
plain connection, the reason is asked from the server itself, and who loses a source opens a new one.
Where a stream changes its size, OpenCV scales it to the first one until then: fractions keep their place.
"""

from __future__ import annotations

import math
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "3")

import cv2
import numpy as np
from numpy.typing import NDArray

from agent.scene import Scene

Image = NDArray[np.uint8]

if "OPENCV_LOG_LEVEL" not in os.environ:  # OpenCV's own lines say nothing that our reasons do not say better
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

OPEN_SECONDS = 6.0
CONNECT_SECONDS = 3.0
READ_TIMEOUT_MS = 1500  # OpenCV waits twice for so long: a stall is noticed after three seconds
USUAL_FPS = 25.0  # where a file does not say
LARGEST_GAP = 10.0  # seconds between pictures of a file; more is a broken clock
LOOKS = 4  # how often a picture of a folder is given
PICTURES = (".webp", ".jpg", ".jpeg", ".png", ".bmp")
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_ADDRESS = re.compile(  # without doubt about where the user and the password end
    r"\w+://(?P<secret>[^/?#]*@)?(?P<place>(?:\[[^]/?#@]*]|[^][/?#@:]+)(?::\d*)?)"
    r"(?:(?P<path>/[^?#@]*)(?:\?[^#]*)?(?:#[^@]*)?|\?[^@#]*)?"
)
_DOUBT = "in the user and the password write %40 for @, %2F for /, %23 for #, %3F for ?, %5B for ["


class SourceError(Exception):
    """A source that gives no picture now; the text is one line with the reason and what to do."""

    def __init__(self, text: str, state: Literal["absent", "stalled", "frozen"] = "absent") -> None:
        super().__init__(text)
        self.state = state


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Hold one picture (H,W,3) and its moment on the source's own clock; None means now.

    `cut`: nothing of the picture before is in this one; whatever was followed is gone.
    """

    image: Image
    seconds: float | None
    cut: bool = False


class Source(Protocol):
    """What every source can do."""

    live: bool  # a camera: it has no end, and what is not read is lost
    fps: float  # what the source says of itself; a guess for cameras
    broken: int  # pictures passed over because they could not be decoded

    def read(self) -> Picture | None:
        """Return the next picture, or None at the end; raise SourceError if it is lost."""

    def skip(self) -> None:
        """Pass over one picture as cheaply as can be."""

    def close(self) -> None:
        """Give back what the source holds."""


def redact(url: str) -> str:
    """Return the address as it may be shown: no user, no password, no query."""
    scheme = _scheme(url)
    if scheme not in PORTS:
        return re.sub("://.*@", "://***@", url)
    known = _ADDRESS.fullmatch(url)
    if known is None:
        return f"{scheme}://***"
    secret, query = "***@" if known["secret"] else "", "?..." if "?" in url[known.end("place") :] else ""
    return f"{scheme}://{secret}{known['place']}{known['path'] or ''}{query}"


def _scheme(url: str) -> str:
    """Return what stands before ://, in small letters."""
    return url.partition("://")[0].lower() if "://" in url else ""


def open_source(url: str, timeout: float = OPEN_SECONDS) -> Source:
    """Open the source at `url`; raise SourceError with the reason."""
    if url.startswith("scene:"):
        return SceneSource(url)
    if url.isdigit() or url.startswith("/dev/video"):
        return VideoSource.device(f"/dev/video{url}" if url.isdigit() else url)
    if _scheme(url) in PORTS:
        return VideoSource.network(url, timeout)
    if "://" in url and not url.startswith("file://"):
        raise SourceError(f"{redact(url)}: no such kind of source; use rtsp://, http://, a path, 0 or scene:")
    return _open_path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)


def _open_path(text: str) -> Source:
    """Open a file or a folder; `?seconds=1.5` after a folder says how long each picture stands."""
    plain, _, query = text.partition("?")
    try:
        path = Path(text if Path(text).exists() else plain).expanduser()
        if path.is_dir():
            return FolderSource(path, _options(f"?{query}", {"seconds": 1.0})["seconds"])
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder; check the path")
        if not path.is_file():
            raise SourceError(f"{path} is neither a file nor a folder; name a video, or a folder of pictures")
        with path.open("rb"):
            return VideoSource.file(path)
    except OSError as error:
        raise SourceError(f"{text} cannot be read: {error.strerror}; check it and its permissions") from None
    except RuntimeError:  # from expanduser
        raise SourceError(f"{text}: no user of that name has a home here; give the whole path") from None


def _options(url: str, defaults: dict[str, float]) -> dict[str, float]:
    """Return the numbers in the address's query; refuse what is unknown or no positive number."""
    values = dict(defaults)
    for name, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if name not in defaults:
            raise SourceError(f"unknown option {name!r} in the source; known: {', '.join(defaults)}")
        try:
            values[name] = float(text)
        except ValueError:
            raise SourceError(f"option {name}={text!r} of the source is no number") from None
        if not math.isfinite(values[name]) or (values[name] <= 0 and name != "seed"):
            raise SourceError(f"option {name}={text!r} of the source must be more than 0")
    return values


# ── the built-in scene ────────────────────────────────────────────────────────────────────────────


class SceneSource:
    """Give the built-in street, from its frame 0, without an end."""

    live = False
    broken = 0

    def __init__(self, url: str) -> None:
        options = _options(url, {"seed": 7, "fps": 15, "width": 960, "height": 540})
        self.fps = options["fps"]
        size = int(options["width"]), int(options["height"])
        try:
            self.scene = Scene(int(options["seed"]), *size, self.fps)
        except ValueError as error:
            raise SourceError(f"{url}: {error}") from None
        self.number = 0

    def read(self) -> Picture:
        """Draw the next frame."""
        image = self.scene.frame(self.number)
        self.number += 1
        return Picture(image, (self.number - 1) / self.fps)

    def skip(self) -> None:
        """Leave a frame undrawn."""
        self.number += 1

    def close(self) -> None:
        """Hold nothing."""


# ── a folder of pictures ──────────────────────────────────────────────────────────────────────────


class FolderSource:
    """Show the pictures of a folder in the order of their names, each for so many seconds.

    Each is given several times in that time, as a camera would see a print that is held before it: what is in
    it can be followed, and confirmed. Between two pictures is a cut.
    """

    live = False

    def __init__(self, path: Path, seconds: float) -> None:
        self.paths = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES and p.is_file())
        if not self.paths:
            raise SourceError(f"{path} holds no picture ({', '.join(PICTURES)}); put some there")
        self.seconds, self.fps = seconds / LOOKS, LOOKS / seconds
        self.broken = self.number = 0
        self._image: Image | None = None

    def read(self) -> Picture | None:
        """Return the next look at a picture that can be decoded."""
        while self.number < LOOKS * len(self.paths):
            place, look = divmod(self.number, LOOKS)
            if look == 0:
                self._image = _decode(self.paths[place])
                self.broken += LOOKS * (self._image is None)
            self.number += 1 if self._image is not None else LOOKS
            if self._image is not None:
                return Picture(self._image, (self.number - 1) * self.seconds, cut=look == 0)
        return None

    def skip(self) -> None:
        """Pass over one look, but never over the first of a picture."""
        if self.number % LOOKS and self._image is not None:
            self.number += 1

    def close(self) -> None:
        """Hold nothing."""


def _decode(path: Path) -> Image | None:
    """Return the picture in a file, or None where there is none."""
    try:
        data = np.fromfile(path, np.uint8)
        image: Image | None = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return image


# ── video: files, network cameras, devices ────────────────────────────────────────────────────────


class VideoSource:
    """Read a video through OpenCV: a file with its own clock, or a camera."""

    def __init__(self, capture: Any, name: str, live: bool) -> None:
        self._capture = capture
        self.name, self.live, self.broken = name, live, 0
        said = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = said if 0 < said <= 240 else USUAL_FPS
        self._last: float | None = None

    @classmethod
    def file(cls, path: Path) -> VideoSource:
        """Open a video file."""
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not capture.isOpened():
            capture.release()
            raise SourceError(
                f"{path} cannot be read as a video; is it complete, and a format that ffmpeg reads?"
            )
        return cls(capture, str(path), live=False)

    @classmethod
    def network(cls, url: str, timeout: float) -> VideoSource:
        """Open an RTSP or HTTP camera."""
        _reachable(url, min(timeout, CONNECT_SECONDS))
        settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(timeout * 1000)]
        settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS, cv2.CAP_PROP_N_THREADS, 1]
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)
        if not capture.isOpened():
            capture.release()
            raise SourceError(_why(url, min(timeout, 2.0)))
        return cls(capture, redact(url), live=True)

    @classmethod
    def device(cls, path: str) -> VideoSource:
        """Open a camera on this box."""
        if not Path(path).exists():
            raise SourceError(f"no camera at {path}; plug one in, or choose another source")
        if not os.access(path, os.R_OK | os.W_OK):
            raise SourceError(f"{path} may not be read; add the user to the group that owns it (video)")
        capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise SourceError(f"{path} does not open as a camera; is another program using it?")
        return cls(capture, path, live=True)

    def read(self) -> Picture | None:
        """Return the next picture; None at a file's end."""
        begun = time.monotonic()
        try:
            good, image = self._capture.read()
        except cv2.error as error:
            raise SourceError(f"{self.name} sent a picture that cannot be decoded ({error.code})") from None
        if good and image is not None and image.size:
            return Picture(image, None if self.live else self._moment())
        if not self.live:
            return None
        if time.monotonic() - begun >= READ_TIMEOUT_MS / 1000 * 0.8:
            text = f"{self.name} sends no picture any more; check the camera and the network"
            raise SourceError(text, "stalled")
        raise SourceError(f"{self.name} has closed the connection; check that it has power and network")

    def skip(self) -> None:
        """Pass over one picture without converting it."""
        self._capture.grab()
        if not self.live:
            self._moment()

    def close(self) -> None:
        """Close the capture."""
        self._capture.release()

    def _moment(self) -> float:
        """Return the picture's time: the container's where it makes sense, else one step after the last."""
        said = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        last = self._last
        if last is None:
            self._last = said if math.isfinite(said) and 0 <= said < LARGEST_GAP else 0.0
        elif math.isfinite(said) and last < said < last + LARGEST_GAP:
            self._last = said
        else:
            self._last = last + 1 / self.fps
        return self._last


def _reachable(url: str, timeout: float) -> None:
    """Raise SourceError if nobody listens at the address."""
    with _connect(url, timeout):
        return


def _connect(url: str, timeout: float) -> socket.socket:
    """Return a plain connection to the address's host."""
    shown = redact(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[_scheme(url)]
        return socket.create_connection((host, port), timeout)
    except (OSError, ValueError) as error:
        if not _ADDRESS.fullmatch(url):  # what was taken for the host may be part of the password
            raise SourceError(f"{shown} cannot be reached; {_DOUBT}") from None
        if not isinstance(error, OSError | UnicodeError):
            raise SourceError(f"{shown} is no address, or its port no number from 1 to 65535") from None
        raise SourceError(f"{shown}: {_unreachable(error, host, port)}") from None


def _unreachable(error: OSError | UnicodeError, host: str, port: int) -> str:
    match error:
        case socket.gaierror():
            return f"no host named {host!r}; check the address"
        case TimeoutError():
            return f"{host}:{port} does not answer; check power and network"
    reason = getattr(error, "strerror", None) or "no such address"
    return f"{host}:{port}: {reason.lower()}; check the address"


def _why(url: str, timeout: float) -> str:
    """Ask the server why it gives no video and say so in one line."""
    shown = redact(url)
    try:
        status = _status(url, timeout)
    except SourceError as error:
        return str(error)
    if status in (401, 403):
        return f"{shown}: the server answers {status}; give the right user and password in the address"
    if status == 404:
        return f"{shown}: the server answers 404, no such stream; check the path"
    if status is None:
        return f"{shown} accepts connections and sends nothing; restart the camera"
    if status >= 400:
        return f"{shown}: the server answers {status}; check the path and the camera"
    return f"{shown} answers, but sends no video that can be decoded; check the stream's format"


def _status(url: str, timeout: float) -> int | None:
    """Return the status with which the server answers a plain request, or None where it says nothing."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    clean = f"{parts.scheme}://{place}{parts.path}{'?' + parts.query if parts.query else ''}"
    request = f"DESCRIBE {clean} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    if parts.scheme.startswith("http"):
        target = clean.split(place, 1)[1] or "/"
        request = f"GET {target} HTTP/1.0\r\nHost: {place}\r\n\r\n"
    if parts.scheme in ("https", "rtsps"):
        return 200  # it accepts connections; more cannot be asked without encryption
    try:
        with _connect(url, timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(request.encode("ascii", "replace"))
            answer = connection.recv(64)
    except OSError:
        return None
    match = re.match(rb"(?:RTSP|HTTP)/\d\.\d (\d{3})", answer)
    return int(match[1]) if match else None
