"""A camera that gives one picture an answer: fetched again and again, over one connection where it keeps it.

Invariants: the same bytes again are no new picture. One answer that fails is no state; three seconds of them
are.
"""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

from agent.see.feed.picture import PATIENCE, Feed, Image, Picture, SourceError, Wants, always
from agent.see.feed.stills import decode
from agent.see.feed.web import Answer, Kind, Web, ask

FASTEST = 0.2  # seconds from picture to picture where no rate is asked for
SLOWEST = 2.0  # the longest between two looks whether there is a new one
LARGEST = 32 << 20  # bytes
FETCH_SECONDS = 8.0


class SnapshotSource(Feed):
    """Fetch a picture `fps` times a second; without a rate, as often as the camera has a new one."""

    live = True
    lasting = True

    def __init__(self, web: Web, answer: Answer, fps: float) -> None:
        self._web = web
        self._answer: Answer | None = answer  # the first, fetched already
        self._asked = fps or _rate(web.url)
        self.fps = self._asked or 1 / FASTEST
        self._wait = 1 / self.fps
        self._next = 0.0
        self._body = b""
        self._image: Image | None = None
        self._good = time.monotonic()  # when a picture came last
        self._changed = 0.0  # when a new one came last

    def read(self, wants: Wants = always) -> Picture:
        """Return the picture that the camera has now; raise SourceError if there is none for a while."""
        while True:
            time.sleep(max(self._next - time.monotonic(), 0.0))
            self._next = max(self._next, time.monotonic() - self._wait / 2) + self._wait
            try:
                return self._fetch()
            except SourceError:
                if time.monotonic() - self._good > PATIENCE:
                    raise
                self._next = max(self._next, time.monotonic() + FASTEST)

    def _fetch(self) -> Picture:
        """Fetch one picture."""
        answer = self._answer or ask(self._web)
        self._answer = None
        if answer.kind is not Kind.SNAPSHOT:
            answer.response.close()
            raise SourceError(f"{self._web.shown} no longer gives single pictures; it is opened again")
        body = answer.body(LARGEST, FETCH_SECONDS)
        again = body == self._body and self._image is not None
        image = self._image if again else decode(body)
        if image is None:
            self.broken += 1
            text = f"{self._web.shown} gives pictures that cannot be decoded; check the camera"
            raise SourceError(text, "degraded")
        self._remember(answer, body, image, again)
        return Picture(self.fitted(image), None, new=not again)

    def _remember(self, answer: Answer, body: bytes, image: Image, again: bool) -> None:
        """Learn how often the camera has a new picture."""
        now = time.monotonic()
        self._good = now
        if again:
            self._wait = self._wait if self._asked else min(self._wait * 1.5, SLOWEST)
            return
        if self._changed:
            self.period = now - self._changed
        else:
            self.period = _max_age(answer.response.headers.get("Cache-Control", ""))
        self._changed = now
        self._wait = 1 / self.fps
        self._body = body
        self._image = image

    def close(self) -> None:
        """Close the connection."""
        self._web.close()


def _rate(url: str) -> float:
    """Return the `fps` of the address's query: many cameras know it, and it says what is wanted. 0: none."""
    text = parse_qs(urlsplit(url).query).get("fps", [""])[0]
    return float(text) if re.fullmatch(r"\d{1,3}(\.\d+)?", text) and 0 < float(text) <= 240 else 0.0


def _max_age(header: str) -> float:
    """Return for how many seconds an answer stays as it is, as it says itself."""
    found = re.search(r"max-age=(\d{1,6})", header)
    return float(found[1]) if found else 0.0
