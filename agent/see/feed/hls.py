"""HTTP Live Streaming (RFC 8216): a list of pieces of video, fetched one after the other.

Invariants:

* A piece is given once: its number is remembered over lost connections, and over a list that an older cache
  gives.
* Time is the stream's own: a piece begins where the one before it ended, and its pictures keep their
  distances.
* Pieces arrive in bursts; that is no stall. A stall is a live list that has no new piece when one is overdue.
* What a live list has gathered while it, or we, stood still is not taken for now: more than half a minute of
  it is passed over, as missing time.
* `#EXT-X-ENDLIST` ends it, after the last piece. A list that has it from the start is a film.
* Pieces are in memory, never on disk.

    list ──a thread, one piece ahead──▶ piece in memory ──OpenCV──▶ pictures, paced by the camera's thread
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from typing import Any

import cv2

from agent.see.feed.picture import NO_IMAGE, USUAL_FPS, Feed, Picture, SourceError, Wants, always
from agent.see.feed.playlist import Piece, Playlist
from agent.see.feed.video import position, rate
from agent.see.feed.web import Answer, Web

BEHIND = 3  # pieces from the end at which a live list is begun (RFC 8216, 6.3.3)
MOST_BEHIND = 30.0  # seconds, or twice BEHIND in pieces: a live list with more to give is begun anew
OVERDUE = 1.5  # of the longest piece's length, and five seconds at least
LEAST_OVERDUE = 5.0
ROUNDING = 1.0  # seconds by which a list may be wrong about a piece's length
HOPELESS = 3  # pieces in a row that cannot be decoded


class HlsSource(Feed):
    """Give the pictures of an HLS stream by its own clock."""

    lasting = True
    fps = USUAL_FPS

    def __init__(self, web: Web, answer: Answer) -> None:
        self._list = Playlist(web, answer)
        self.live = not self._list.ended
        self.note = self._list.note
        self._next = self._list.first(BEHIND) if self.live else self._list.pieces[0].number
        self._pool = ThreadPoolExecutor(1, "hls")
        self._closing = threading.Event()
        self._coming: Future[tuple[Piece, bytes] | None] | None = None
        self._piece: _OpenPiece | None = None
        self._start = 0.0  # of the piece that comes, on the stream's clock
        self._cut = False
        self._undecoded = 0
        self._stale = False
        self._lost = 0.0  # seconds of pieces that the server does not have, or that were passed over

    def read(self, wants: Wants = always) -> Picture | None:
        """Return the next picture, or None at the end; raise SourceError while nothing comes."""
        while True:
            if self._piece is None and not self._advance():
                return None
            assert self._piece is not None
            picture = self._piece.read(lambda seconds: wants(self._start + seconds))
            if picture is not None:
                self._undecoded = 0
                cut = self._cut
                self._cut = False
                image = self.fitted(picture[0]) if picture[0].size else NO_IMAGE
                return Picture(image, self._start + picture[1], cut)
            self._finish(self._piece)

    def _advance(self) -> bool:
        """Open the next piece; False at the end."""
        begun = time.monotonic()
        self._coming = self._coming or self._pool.submit(self._fetch)
        overdue = max(OVERDUE * self._list.longest, LEAST_OVERDUE)
        try:
            found = self._coming.result(overdue)
        except NotYet:
            text = f"{self._list.shown} has no new piece for {overdue:.0f} s; check the camera"
            raise SourceError(text, "stalled") from None
        except SourceError:
            self._coming = None
            raise
        finally:
            self.waited += time.monotonic() - begun
        self._coming = None
        if found is None:
            return False
        self._coming = self._pool.submit(self._fetch)
        piece, data = found
        self._cut = self._cut or piece.cut
        self._start += piece.missing
        self._piece = _OpenPiece(piece, data)
        self.fps = self._piece.fps
        return True

    def _finish(self, piece: _OpenPiece) -> None:
        """Leave a piece that is read to its end."""
        self._start += piece.length()
        if not piece.count:
            self.broken += 1
            self._undecoded += 1
            self._cut = True
        piece.close()
        self._piece = None
        if self._undecoded >= HOPELESS:
            self._undecoded = 0
            raise SourceError(f"{self._list.shown} gives pieces that cannot be decoded", "degraded")

    def skip(self) -> bool:
        """Pass over one picture of the piece that is open."""
        return self._piece is not None and self._piece.skip()

    def close(self) -> None:
        """Forget what is being fetched."""
        self._closing.set()
        self._list.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._piece is not None:
            self._piece.close()

    # ── on the fetching thread ──

    def _fetch(self) -> tuple[Piece, bytes] | None:
        """Wait for the next piece and fetch it; None at the end of the list."""
        while not self._closing.is_set():
            piece = None if self._stale else self._list.take(self._next)
            if piece is not None:
                self._stale = True  # if fetching fails, the list is read again before the next try
                data = self._list.fetch(piece)
                self._stale = False
                self._next = piece.number + 1
                if data:
                    lost = self._lost
                    self._lost = 0.0
                    return replace(piece, cut=piece.cut or lost > 0, missing=piece.missing + lost), data
                self._lost += piece.missing + piece.seconds
                continue
            if self._list.ended and not self._stale:
                return None
            self._wait_and_reload()
        return None

    def _wait_and_reload(self) -> None:
        """Read the list again when it may have grown."""
        self._closing.wait(self._list.patience())
        if not self._closing.is_set():
            self._list.reload()
            self._stale = False
            self._next = self._caught_up(self._list.begun_anew(self._next))

    def _caught_up(self, number: int) -> int:
        """Return the number of the piece that comes next: a later one if a live list is too far ahead."""
        most = max(MOST_BEHIND, 2 * BEHIND * self._list.longest)
        if self._list.ended or self._list.seconds_from(number) <= most:
            return number
        first = self._list.first(BEHIND)
        self._lost += self._list.seconds_from(number) - self._list.seconds_from(first)
        return first


class _OpenPiece:
    """One piece, decoded from memory."""

    def __init__(self, piece: Piece, data: bytes) -> None:
        self._said = piece.seconds
        self._memory = os.memfd_create("piece")
        with os.fdopen(os.dup(self._memory), "wb") as file:
            file.write(data)
        name = f"/proc/self/fd/{self._memory}"
        self._capture: Any = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        self.fps = rate(self._capture) if self._capture.isOpened() else USUAL_FPS
        self.count = 0
        self._last = 0.0

    def read(self, wants: Wants) -> tuple[Any, float] | None:
        """Return the next picture and its seconds after the piece's begin, or None at the end."""
        if not self._capture.grab():
            return None
        self._note()
        if not wants(self._last):
            return NO_IMAGE, self._last
        good, image = self._capture.retrieve()
        if not good or image is None or not image.size:
            return None
        return image, self._last

    def skip(self) -> bool:
        """Pass over one picture; False at the end."""
        if not self._capture.grab():
            return False
        self._note()
        return True

    def _note(self) -> None:
        self.count += 1
        self._last = max(position(self._capture), self._last)

    def length(self) -> float:
        """Return how long the piece is: as its pictures say, or as the list says where these cannot be
        right.
        """
        measured = self._last + 1 / self.fps
        return measured if self.count and abs(measured - self._said) <= ROUNDING else self._said

    def close(self) -> None:
        """Give the memory back."""
        self._capture.release()
        os.close(self._memory)
