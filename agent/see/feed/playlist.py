"""The list of an HLS stream: which pieces there are, in which order, and which are new (parsed by `m3u8`)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import m3u8

from agent.see.feed.body import whole
from agent.see.feed.picture import SourceError
from agent.see.feed.web import Answer, Kind, Refused, Web, ask

LIST_BYTES = 4 << 20
PIECE_BYTES = 256 << 20
LIST_SECONDS = 8.0
WIDTH = 1280  # the best picture that is worth its decoding: a model sees 640 pixels
HEIGHT = 720
GONE = (404, 410)
EXPIRED = (401, 403, 404, 410)  # what an address answers that held for one session
REMEMBERED = 200  # pieces


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the stream.

    Attributes:
        number: its media sequence number.
        url: where it is.
        seconds: how long it is, as the list says.
        cut: it does not go on where the one before it ended.
        missing: seconds between the end of the piece given before and its begin.
        init: where the bytes are that every piece of it needs first, or empty; with its range.
        range: first byte and count, where a piece is a part of a file.
    """

    number: int
    url: str
    seconds: float
    cut: bool = False
    missing: float = 0.0
    init: tuple[str, tuple[int, int] | None] | None = None
    range: tuple[int, int] | None = None


class Playlist:
    """The list as it was read last, and what was taken from it."""

    def __init__(self, web: Web, answer: Answer) -> None:
        self._web = web
        self.shown = web.shown
        self.note = ""
        self.pieces: list[Piece] = []
        self.ended = False
        self.longest = 6.0
        self._grown = True
        self._behind_since: float | None = None
        self._restarted = False
        self._given: dict[int, str] = {}
        self._inits: dict[tuple[str, tuple[int, int] | None], bytes] = {}
        self._take_over(self._follow(answer))
        if not self.pieces and self.ended:
            raise SourceError(f"{self.shown} is an empty list that has ended; check the camera")

    def stop(self) -> None:
        """Close the connections."""
        self._web.close()

    def first(self, behind: int) -> int:
        """Return the number of the piece with which a live list is begun."""
        return self.pieces[-behind:][0].number if self.pieces else 0

    def seconds_from(self, number: int) -> float:
        """Return how much there is from the piece of that number on."""
        return sum(piece.seconds for piece in self.pieces if piece.number >= number)

    def take(self, number: int) -> Piece | None:
        """Return the piece of that number, or the first after it; None if there is none yet."""
        for piece in self.pieces:
            if piece.number >= number:
                skipped = piece.number - number if self._given else 0
                cut = piece.cut or skipped > 0 or self._restarted
                missing = 0.0 if self._restarted else skipped * self.longest
                self._restarted = False
                return Piece(piece.number, piece.url, piece.seconds, cut, missing, piece.init, piece.range)
        return None

    def fetch(self, piece: Piece) -> bytes:
        """Return a piece's bytes, those that it needs first before them; empty if it is gone."""
        head = b""
        if piece.init is not None:
            if piece.init not in self._inits:
                self._inits = {piece.init: self._bytes(*piece.init)}
            head = self._inits[piece.init]
        data = self._bytes(piece.url, piece.range)
        self._given[piece.number] = piece.url
        while len(self._given) > REMEMBERED:
            self._given.pop(min(self._given))
        return head + data if data else b""

    def patience(self) -> float:
        """Return how long to wait before the list is read again (RFC 8216, 6.3.4)."""
        return max(self.longest * (0.5 if not self._grown else 1.0) / 2, 0.25)

    def reload(self) -> None:
        """Read the list again."""
        before = self.pieces[-1:]
        try:
            parsed = self._parse(self._text(self._url))
        except Refused as refused:
            if refused.status not in EXPIRED:
                raise
            parsed = self._follow(self._ask(self._web.url))
        self._take_over(parsed)
        self._grown = self.pieces[-1:] != before

    def begun_anew(self, number: int) -> int:
        """Return the number of the piece that comes next: another one if the numbers began again.

        A list that ends before what was given is an older copy of a cache, unless it holds pieces never seen,
        or goes on growing there.
        """
        if not self.pieces or self.pieces[-1].number >= number - 1:
            self._behind_since = None
            return number
        now = time.monotonic()
        self._behind_since = self._behind_since or now
        known = any(self._given.get(piece.number) == piece.url for piece in self.pieces)
        if known and not (self._grown and now - self._behind_since > 3 * self.longest):
            return number
        self._behind_since = None
        self._restarted = True
        self._given.clear()
        return self.first(1)

    # ── reading ──

    def _follow(self, answer: Answer) -> Any:
        """Return the parsed list to which an answer leads, by redirects and over a list of variants.

        Its address may hold for one session only; the camera's own address leads to the next one.
        """
        text = answer.body(LIST_BYTES, LIST_SECONDS)
        self._url = answer.url
        parsed = self._parse(text)
        if parsed.is_variant:
            self._url, self.note = _choose(parsed, self.shown)
            parsed = self._parse(self._text(self._url))
        return parsed

    def _text(self, url: str) -> bytes:
        """Fetch a list."""
        return self._ask(url).body(LIST_BYTES, LIST_SECONDS)

    def _ask(self, url: str) -> Answer:
        """Ask for a list."""
        answer = ask(self._web, url)
        if answer.kind is not Kind.HLS:
            answer.response.close()
            raise SourceError(f"{self.shown} does not give its list of pieces any more; check the address")
        return answer

    def _parse(self, text: bytes) -> Any:
        try:
            return m3u8.loads(text.decode("utf-8", "replace").lstrip("\ufeff"), uri=self._url)
        except (ValueError, m3u8.ParseError) as error:
            raise SourceError(f"{self.shown} is a list that cannot be read ({error})") from None

    def _take_over(self, parsed: Any) -> None:
        """Take what a parsed list holds."""
        keys = [key for key in parsed.keys if key is not None and key.method not in (None, "NONE")]
        if keys:
            raise SourceError(
                f"{self.shown} is encrypted ({keys[0].method}); take another address of the camera"
            )
        self.ended = bool(parsed.is_endlist)
        self.longest = float(parsed.target_duration or 6.0)
        number = int(parsed.media_sequence or 0)
        ends: dict[str, int] = {}  # where the range before ended, in each file
        self.pieces = []
        for place, segment in enumerate(parsed.segments):
            piece = _piece(number + place, segment, ends)
            if not segment.gap_tag:
                self.pieces.append(piece)

    def _bytes(self, url: str, part: tuple[int, int] | None) -> bytes:
        """Fetch a part of a file, or the whole; empty if the server does not have it (any more)."""
        headers = {"Range": f"bytes={part[0]}-{part[0] + part[1] - 1}"} if part else {}
        try:
            response = self._web.get(url, headers)
        except Refused as refused:
            if refused.status in GONE:
                return b""
            raise
        data = whole(response, b"", PIECE_BYTES, max(self.longest * 3, LIST_SECONDS))
        if part and response.status_code != 206:
            data = data[part[0] : part[0] + part[1]]
        return data


def _piece(number: int, segment: Any, ends: dict[str, int]) -> Piece:
    """Return a piece of a parsed list. `ends`: url -> the first byte that no range has yet."""
    init = None
    if segment.init_section is not None:
        url = str(segment.init_section.absolute_uri)
        init = (url, _range(segment.init_section.byterange, 0))
    url = str(segment.absolute_uri)
    part = _range(segment.byterange, ends.get(url, 0))
    if part is not None:
        ends[url] = part[0] + part[1]
    seconds = float(segment.duration or 0.0)
    return Piece(number, url, seconds, bool(segment.discontinuity), init=init, range=part)


def _range(text: str | None, start: int) -> tuple[int, int] | None:
    """Return (first byte, count) of `count@first`, or of `count` from `start` on."""
    if not text:
        return None
    count, _, first = text.partition("@")
    return int(first or start), int(count)


def _choose(parsed: Any, shown: str) -> tuple[str, str]:
    """Return the address of the variant that is worth its decoding, and what to tell of it."""
    shows = [each for each in parsed.playlists if not _only_sound(each.stream_info.codecs or "")]
    if not shows:
        raise SourceError(f"{shown} lists no variant with a picture; check the address")

    def worth(each: Any) -> tuple[int, int]:
        width, height = each.stream_info.resolution or (0, 0)
        return width * height, int(each.stream_info.bandwidth or 0)

    fits = [each for each in shows if worth(each)[0] <= WIDTH * HEIGHT]
    chosen = max(fits, key=worth) if fits else min(shows, key=worth)
    return chosen.absolute_uri, f"variant {shows.index(chosen) + 1} of {len(shows)}"


def _only_sound(codecs: str) -> bool:
    return bool(codecs) and all(
        part.strip().startswith(("mp4a", "ac-3", "ec-3", "opus")) for part in codecs.split(",")
    )
