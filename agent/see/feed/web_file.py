"""A file on a web server, read in pieces where the reader wants them: the films that OpenCV reads.

FFmpeg's own reading opens a new connection for each jump, and a film whose index is at its end jumps to and
fro: opening one took from one to 27 seconds. Here one connection is kept, pieces are asked for by range
(RFC 9110, 14.2), and the last few stay in memory, so a jump back costs nothing.

What always holds: OpenCV's thread never sees an exception from here (it could not go on); what goes wrong is
kept in `problem`, and the reader is told that the file is over. Where a piece broke off it is gone on with.
"""

from __future__ import annotations

import io
import re
import time
from collections import OrderedDict

from agent.see.feed.body import chunks
from agent.see.feed.picture import SourceError
from agent.see.feed.web import Web

PIECE = 256 * 1024  # bytes asked for at once
_KEPT = 8  # pieces in memory
_TRIES = 4  # that bring nothing
_PAUSE = 0.3  # seconds between two tries
_PLACE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class WebFile(io.BufferedIOBase):
    """Bytes 0..`size` of a web server's file."""

    def __init__(self, web: Web, size: int) -> None:
        self.size = size
        self.problem = ""
        self._web = web
        self._place = 0
        self._pieces: OrderedDict[int, bytes] = OrderedDict()  # by number, the last used last

    @classmethod
    def open(cls, web: Web) -> WebFile | None:
        """Ask for a part of the file; None if this server gives none, or does not say its length."""
        with web.get(headers={"Range": "bytes=0-0"}) as response:
            place = _PLACE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or place is None or place[1] != "0":
                return None
            return cls(web, int(place[2]))

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Any place can be read."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = min(max(start + offset, 0), self.size)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; none at the end, and where the server gives no more."""
        until = self.size if size is None or size < 0 else min(self._place + size, self.size)
        parts = []
        while self._place < until:
            number = self._place // PIECE
            first = self._place - number * PIECE
            part = self._piece(number)[first : first + until - self._place]
            if not part:
                break
            parts.append(part)
            self._place += len(part)
        return b"".join(parts)

    def _piece(self, number: int) -> bytes:
        """Return a piece, empty if it cannot be had."""
        if number in self._pieces:
            self._pieces.move_to_end(number)
            return self._pieces[number]
        first = number * PIECE
        wanted = min(PIECE, self.size - first)
        piece = bytearray()
        tries = 0
        while len(piece) < wanted and tries < _TRIES:
            before = len(piece)
            try:
                self._fetch(first, piece, wanted)
            except SourceError as error:
                self.problem = str(error)
            tries = 0 if len(piece) > before else tries + 1
            time.sleep(_PAUSE * tries)
        if len(piece) < wanted:
            self.problem = self.problem or f"{self._web.shown} gives less of the file than it said"
            return b""
        self.problem = ""
        self._pieces[number] = bytes(piece)
        while len(self._pieces) > _KEPT:
            self._pieces.popitem(last=False)
        return self._pieces[number]

    def _fetch(self, first: int, piece: bytearray, wanted: int) -> None:
        """Add to a piece what it lacks, as far as that comes; raise SourceError where it breaks off."""
        begin = first + len(piece)
        with self._web.get(headers={"Range": f"bytes={begin}-{first + wanted - 1}"}) as response:
            place = _PLACE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or place is None or int(place[1]) != begin:
                raise SourceError(f"{self._web.shown} gives no parts of the file any more; start again")
            for data in chunks(self._web.shown, response):
                piece += data[: wanted - len(piece)]

    def close(self) -> None:
        """Close the connection."""
        self._web.close()
        super().close()
