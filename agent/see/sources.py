"""Where pictures come from: V4L2, RTSP, HTTP, files, folders of pictures, the built-in scene.

Every source has the same three doors: `read` gives the next picture, or None at its end; `skip` passes one
over; `close` gives everything back. What a source cannot do is a `SourceError`: one line, the reason and what
to do. A password or token in an address never appears in such a line. Each kind has its module in
`agent.see.feed`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.see.feed.address import is_bare, redact, scheme
from agent.see.feed.device import DeviceSource
from agent.see.feed.names import is_camera, local_path, of_file_url
from agent.see.feed.options import numbers
from agent.see.feed.picture import Image, Picture, Source, SourceError
from agent.see.feed.stills import LOOKS, FolderSource
from agent.see.feed.video import FilmSource, StreamSource, ffmpeg
from agent.see.feed.wish import NOTHING, Wish

__all__ = [
    "LOOKS",
    "Image",
    "Picture",
    "Source",
    "SourceError",
    "Wish",
    "open_source",
    "prepare",
    "redact",
]

OPEN_SECONDS = 6.0
STREAMS = ("rtsp", "rtsps")
NO_WISH = "size, fps and format can be asked of a USB camera only; take them out for this source"


def prepare(url: str) -> None:
    """Load the code that decodes this kind of source, so that its thread begins with a picture."""
    path = local_path(url)
    if scheme(url) in STREAMS or (path is not None and os.path.isfile(path)):
        ffmpeg()


def open_source(url: str, timeout: float = OPEN_SECONDS, wish: Wish = NOTHING) -> Source:
    """Open the source at `url` as its owner wishes; raise SourceError with the reason."""
    if scheme(url) in ("http", "https"):
        from agent.see.feed.http import open_web  # ten megabytes that others do not need

        return open_web(url, timeout, wish)
    path = local_path(url)
    if path is not None and is_camera(path):
        return DeviceSource.open(path, wish)
    if wish != NOTHING:
        raise SourceError(NO_WISH)
    if url.startswith("scene:"):
        from agent.see.feed.street import SceneSource  # the drawing of it, too

        return SceneSource(url)
    if scheme(url) in STREAMS:
        return StreamSource.open(url, timeout)
    if path is None:
        raise SourceError(f"{redact(url)}: no such kind of source; use rtsp://, http://, a path, 0 or scene:")
    return _open_path(of_file_url(url) if url.startswith("file://") else url)


def _open_path(text: str) -> Source:
    """Open a file or a folder; `?seconds=1.5` after a folder says how long each picture stands."""
    plain, _, query = text.partition("?")
    try:
        path = Path(text if Path(text).exists() else plain).expanduser()
        if path.is_dir():
            return FolderSource(path, numbers(f"?{query}", {"seconds": 1.0})["seconds"])
        if not path.exists():
            raise SourceError(_nothing_at(path, text))
        if not path.is_file():
            raise SourceError(f"{path} is neither a file nor a folder; name a video, or a folder of pictures")
        with path.open("rb"):
            return FilmSource.file(path)
    except OSError as error:
        raise SourceError(f"{text} cannot be read: {error.strerror}; check it and its permissions") from None
    except RuntimeError:  # from expanduser
        raise SourceError(f"{text}: no user of that name has a home here; give the whole path") from None


def _nothing_at(path: Path, text: str) -> str:
    """Return what to say of a path at which nothing is; of what looks like an address no secret."""
    if is_bare(text):
        return f"{redact(text)}: for a camera in the network write rtsp:// or http:// before it"
    if number := re.fullmatch(r"(?:usb|video|cam|camera|webcam)[ _:-]?(\d*)", text, re.IGNORECASE):
        return f"{path}: no such file or folder; a USB camera is written as its number, {number[1] or 0}"
    return f"{path}: no such file or folder; check the path"
