"""The body of an HTTP answer, as it arrives or whole: bounded in bytes and in time, and never a trickle.

What always holds: a server that sends a byte now and then is as good as one that sends nothing, and is told
as that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import requests
import urllib3

from agent.see.feed.address import redact
from agent.see.feed.picture import SourceError

CHUNK = 65536
TRICKLE_SECONDS = 4.0  # of waiting, in which at least so many bytes must come:
TRICKLE_BYTES = 400


def length(response: requests.Response) -> int | None:
    """Return how many bytes a body has, as it says itself; None if it does not."""
    text = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity") != "identity"  # its length is another one
    return int(text) if text.isdecimal() and not packed else None


def chunks(shown: str, response: requests.Response) -> Iterator[bytes]:
    """Yield a body as it arrives; raise SourceError where the connection breaks, or next to nothing comes."""
    waited = 0.0
    came = 0
    while True:
        begun = time.monotonic()
        data = _chunk(shown, response)
        if not data:
            return
        waited += time.monotonic() - begun
        came += len(data)
        if waited > TRICKLE_SECONDS:
            if came < TRICKLE_BYTES:
                raise SourceError(f"{shown} sends next to nothing any more; check the camera", "stalled")
            waited = 0.0
            came = 0
        yield data


def _chunk(shown: str, response: requests.Response) -> bytes:
    """Return more of a body, empty at its end; raise SourceError."""
    try:
        return bytes(response.raw.read1(CHUNK, decode_content=True))
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
        text = f"{shown} sends no picture any more; check the camera and the network"
        raise SourceError(text, "stalled") from None
    except (urllib3.exceptions.HTTPError, OSError):
        text = f"{shown} has closed the connection; check that it has power and network"
        raise SourceError(text) from None


def whole(response: requests.Response, head: bytes, largest: int, seconds: float) -> bytes:
    """Return a whole body of which `head` was read.

    Args:
        response: the open answer; it is closed.
        head: what was read of it already.
        largest: bytes that are accepted.
        seconds: how long it may take.

    Raises:
        SourceError: it is larger, slower, or breaks off.
    """
    shown = redact(response.url)
    until = time.monotonic() + seconds
    parts = [head]
    size = len(head)
    with response:
        for data in chunks(shown, response):
            parts.append(data)
            size += len(data)
            if size > largest:
                raise SourceError(f"{shown} is larger than {largest >> 20} MB; check the address")
            if time.monotonic() > until:
                raise SourceError(f"{shown} is too slow; check the network", "stalled")
    said = length(response)
    if said is not None and size < said:
        raise SourceError(f"{shown} broke off in the middle; check the network")
    return b"".join(parts)
