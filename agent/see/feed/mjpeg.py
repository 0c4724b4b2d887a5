"""A stream of JPEG pictures over HTTP, read as tolerantly as a browser does.

Cameras get the parts' heads wrong in every way: `image/jpg`, a wrong Content-Length, a boundary that is never
sent. So neither is read. A JPEG says itself where it begins and ends (ITU-T T.81, annex B): its marker
segments carry their lengths, and in the coded data between them no marker but a restart can stand.

Pictures have no clock but their arrival. So what was held on its way (by the network, a proxy, or because we
were slow) and then comes at once is passed over: it is not what the camera sees now, its times are wrong.

    ... FFD8 │ FFxx len ... │ FFDA len ... coded data, FF00, FFD0-7 ... │ FFD9 ...
        begin  segments       scan (one or more)                          end
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from statistics import median

from agent.see.feed.body import chunks
from agent.see.feed.picture import NO_IMAGE, USUAL_FPS, Feed, Picture, SourceError, Wants, always
from agent.see.feed.stills import decode
from agent.see.feed.web import Answer, Web

LARGEST = 32 << 20  # bytes of a picture; more is none
SLOWEST = 8.0  # seconds for one picture, though bytes arrive
RECENT = 9  # pictures that tell how long one is waited for
AT_ONCE = 0.003  # seconds; who needs no longer to come has waited for us
HURRIED = 0.3  # of the usual wait: less, and it has waited too
HELD = 5.0  # times the usual wait: more, and it was held on its way
LEAST_HELD = 0.5  # seconds
PATIENT = 0.5  # seconds in which all may be passed over: then a camera is faster than we can read
_BEGIN = b"\xff\xd8\xff"
_MARKER = re.compile(rb"\xff+[^\xff\x00\xd0-\xd7]")  # what ends coded data
_START = 0xD8
_END = 0xD9
_SCAN = 0xDA


class Jpegs:
    """Cut JPEG pictures out of bytes that come in pieces. `torn`: how many ended before their end."""

    def __init__(self) -> None:
        self.torn = 0
        self._data = bytearray()
        self._at = 0  # up to here the picture that begins at 0 is understood; 0: none has begun
        self._coded = False  # within coded data

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take more bytes; yield each picture that they complete."""
        self._data += data
        while (picture := self._next()) is not None:
            yield picture
        if len(self._data) > LARGEST:
            self._restart(len(self._data) - 2)

    def _next(self) -> bytes | None:
        """Return the next whole picture, or None if more bytes are needed."""
        while self._at or self._find():
            found = (_MARKER.search if self._coded else _MARKER.match)(self._data, self._at)
            if found is None:
                if self._coded or len(self._data) - self._at < 2:
                    self._at = max(self._at, len(self._data) - 1)
                    return None
                self._tear(self._at)
                continue
            marker = self._data[found.end() - 1]
            if marker == _END:
                picture = bytes(self._data[: found.end()])
                self._restart(found.end())
                return picture
            if marker == _START:  # the next one begins before this one has ended
                self._tear(found.end() - 2)
            elif not self._pass(found.start(), found.end(), marker == _SCAN):
                return None
        return None

    def _pass(self, begin: int, end: int, scan: bool) -> bool:
        """Go past a segment whose marker is the bytes `begin` to `end`; False if it is not all there."""
        length = int.from_bytes(self._data[end : end + 2], "big")
        there = len(self._data) >= end + max(length, 2)
        self._at = end + max(length, 2) if there else begin
        self._coded = there and scan
        return there

    def _tear(self, at: int) -> None:
        self.torn += 1
        self._restart(at)

    def _find(self) -> bool:
        """Drop what is before the next beginning; tell whether there is one."""
        begin = self._data.find(_BEGIN)
        self._restart(begin if begin >= 0 else max(len(self._data) - 2, 0))
        if begin >= 0:
            self._at = 2
        return begin >= 0

    def _restart(self, at: int) -> None:
        del self._data[:at]
        self._at = 0
        self._coded = False


class Freshness:
    """Tell pictures that are new from those that were held, by how long each had to be waited for."""

    def __init__(self) -> None:
        self._waits: deque[float] = deque(maxlen=RECENT)
        self._fresh = 0.0  # when the last new one came

    def is_new(self, waited: float, now: float) -> bool:
        """Take a picture that had to be waited for so many seconds."""
        usual = median(self._waits) if self._waits else 0.0
        held = len(self._waits) == RECENT and waited > max(HELD * usual, LEAST_HELD)
        hurried = bool(self._fresh) and waited < max(HURRIED * usual, AT_ONCE)
        if held or not hurried:
            self._waits.append(waited)
        if (held or hurried) and now - self._fresh < max(PATIENT, 2 * waited):
            return False
        self._fresh = now
        return True


class MjpegSource(Feed):
    """Give the pictures of an MJPEG stream as they arrive."""

    live = True
    fps = USUAL_FPS

    def __init__(self, web: Web, answer: Answer) -> None:
        self._web = web
        self._answer = answer
        self._chunks = chunks(web.shown, answer.response)
        self._jpegs = Jpegs()
        self._ready: deque[bytes] = deque(self._jpegs.feed(answer.head))
        self._first = answer.head[:200]
        self._freshness = Freshness()
        self._waited = 0.0  # for the bytes of the picture that comes

    def read(self, wants: Wants = always) -> Picture:
        """Return the next picture; raise SourceError if there is none."""
        until = time.monotonic() + SLOWEST
        while True:
            while self._ready:
                jpeg = self._ready.popleft()
                waited = self._waited
                self._waited = 0.0
                if not self._freshness.is_new(waited, time.monotonic()):
                    self.broken += 1
                    continue
                if not wants(time.monotonic()):
                    return Picture(NO_IMAGE, None)
                image = decode(jpeg)
                if image is not None:
                    self.broken += self._jpegs.torn
                    self._jpegs.torn = 0
                    return Picture(self.fitted(image), None)
                self.broken += 1
            self._fill(until)

    def _fill(self, until: float) -> None:
        """Read until a picture is complete."""
        while not self._ready:
            begun = time.monotonic()
            data = next(self._chunks, None)
            self._waited += time.monotonic() - begun
            if data is None:
                raise SourceError(
                    f"{self._web.shown} has closed the connection; check that it has power and network"
                )
            self._first = (self._first + data)[:200]
            self._ready.extend(self._jpegs.feed(data))
            if time.monotonic() > until:
                raise self._nothing_whole()

    def _nothing_whole(self) -> SourceError:
        """Say what comes instead of pictures."""
        part = re.search(rb"content-type:\s*([\w/.+-]+)", self._first, re.IGNORECASE)
        if part and b"jp" not in part[1].lower():
            kind = part[1].decode("ascii", "replace")
            return SourceError(f"{self._web.shown} sends parts of type {kind}; only JPEG pictures are read")
        if self._jpegs.torn:
            return SourceError(f"{self._web.shown} sends only torn pictures; check the network", "degraded")
        text = f"{self._web.shown} has sent no whole picture for {SLOWEST:.0f} s; check the camera"
        return SourceError(text, "stalled")

    def close(self) -> None:
        """Close the connection."""
        self._answer.response.close()
        self._web.close()
