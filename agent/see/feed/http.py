"""Cameras and films at http addresses: what the address gives is asked, and opened as that."""

from __future__ import annotations

import time
from dataclasses import replace

from agent.see.feed.body import chunks
from agent.see.feed.hls import HlsSource
from agent.see.feed.mjpeg import SLOWEST, Jpegs, MjpegSource
from agent.see.feed.picture import Source, SourceError
from agent.see.feed.snapshots import SnapshotSource
from agent.see.feed.video import FilmSource, StreamSource
from agent.see.feed.web import Answer, Kind, Web, ask
from agent.see.feed.wish import Wish

ANSWER_SECONDS = 4.0  # a web server that says nothing for so long says nothing
STREAM_PICTURES = 4  # in one answer that goes on: more than a file of several pictures holds


def open_web(url: str, timeout: float, wish: Wish) -> Source:
    """Ask what an http address gives and open that."""
    web = Web(url, min(timeout, ANSWER_SECONDS))
    try:
        answer = _with_pictures(web, ask(web))
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


def _with_pictures(web: Web, answer: Answer) -> Answer:
    """Look into an answer that tells no length: JPEGs without an end are a stream, whatever its type says."""
    if answer.kind is not Kind.SNAPSHOT or answer.length is not None or answer.head[:2] != b"\xff\xd8":
        return answer
    jpegs = Jpegs()
    found = len(list(jpegs.feed(answer.head)))
    parts = [answer.head]
    until = time.monotonic() + SLOWEST
    for data in chunks(web.shown, answer.response):
        parts.append(data)
        found += len(list(jpegs.feed(data)))
        if found >= STREAM_PICTURES:
            return replace(answer, kind=Kind.MJPEG, head=b"".join(parts))
        if time.monotonic() > until:
            break
    return replace(answer, head=b"".join(parts))
