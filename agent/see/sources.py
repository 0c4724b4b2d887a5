"""Where pictures come from: V4L2, RTSP, HTTP, files, folders of pictures, the built-in scene.

Every source has the same three doors: `read` gives the next picture, or None at its end; `skip` passes one
over; `close` gives everything back. What a source cannot do is a `SourceError`: one line, the reason and what
to do. A password or token in an address never appears in such a line. Each kind has its module in
`agent.see.feed`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from agent.see.feed.address import PORTS, redact, scheme
from agent.see.feed.device import DeviceSource
from agent.see.feed.hls import HlsSource
from agent.see.feed.mjpeg import MjpegSource
from agent.see.feed.names import is_camera, local_path
from agent.see.feed.options import numbers
from agent.see.feed.picture import Image, Picture, Source, SourceError
from agent.see.feed.snapshots import SnapshotSource
from agent.see.feed.stills import LOOKS, FolderSource, SceneSource
from agent.see.feed.video import FilmSource, StreamSource
from agent.see.feed.web import Answer, Kind, Web, ask
from agent.see.feed.wish import NOTHING, Wish

__all__ = [
    "LOOKS",
    "Image",
    "Picture",
    "Source",
    "SourceError",
    "Wish",
    "open_source",
    "redact",
]

OPEN_SECONDS = 6.0
NO_WISH = "size, fps and format can be asked of a USB camera only; take them out for this source"
ANSWER_SECONDS = 4.0  # a web server that says nothing for so long says nothing


def open_source(url: str, timeout: float = OPEN_SECONDS, wish: Wish = NOTHING) -> Source:
    """Open the source at `url` as its owner wishes; raise SourceError with the reason."""
    if scheme(url) in ("http", "https"):
        return _open_web(url, timeout, wish)
    path = local_path(url)
    if path is not None and is_camera(path):
        return DeviceSource.open(path, wish)
    if wish != NOTHING:
        raise SourceError(NO_WISH)
    if url.startswith("scene:"):
        return SceneSource(url)
    if scheme(url) in PORTS:
        return StreamSource.open(url, timeout)
    if path is None:
        raise SourceError(f"{redact(url)}: no such kind of source; use rtsp://, http://, a path, 0 or scene:")
    return _open_path(unquote(url.removeprefix("file://")) if url.startswith("file://") else url)


def _open_web(url: str, timeout: float, wish: Wish) -> Source:
    """Ask what an http address gives and open that."""
    web = Web(url, min(timeout, ANSWER_SECONDS))
    try:
        answer = ask(web)
        if wish.size != (0, 0) or wish.format or (wish.fps and answer.kind is not Kind.SNAPSHOT):
            answer.response.close()
            raise SourceError(
                f"{web.shown}: size and format can be asked of a USB camera only, fps also of an address "
                "that gives one picture at a time; take them out for this source"
            )
        return _open_answer(url, web, answer, timeout, wish)
    except SourceError:
        web.close()
        raise


def _open_answer(url: str, web: Web, answer: Answer, timeout: float, wish: Wish) -> Source:
    match answer.kind:
        case Kind.MJPEG:
            return MjpegSource(web, answer)
        case Kind.SNAPSHOT:
            return SnapshotSource(web, answer, wish.fps)
        case Kind.HLS:
            return HlsSource(web, answer)
    answer.response.close()
    if answer.kind is Kind.FILM:
        return FilmSource.web(url, web, timeout)
    web.close()
    return StreamSource.open(url, timeout)


def _open_path(text: str) -> Source:
    """Open a file or a folder; `?seconds=1.5` after a folder says how long each picture stands."""
    plain, _, query = text.partition("?")
    try:
        path = Path(text if Path(text).exists() else plain).expanduser()
        if path.is_dir():
            return FolderSource(path, numbers(f"?{query}", {"seconds": 1.0})["seconds"])
        if not path.exists():
            raise SourceError(f"{path}: no such file or folder; check the path")
        if not path.is_file():
            raise SourceError(f"{path} is neither a file nor a folder; name a video, or a folder of pictures")
        with path.open("rb"):
            return FilmSource.file(path)
    except OSError as error:
        raise SourceError(f"{text} cannot be read: {error.strerror}; check it and its permissions") from None
    except RuntimeError:  # from expanduser
        raise SourceError(f"{text}: no user of that name has a home here; give the whole path") from None
