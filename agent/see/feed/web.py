"""What an http address gives: asked, not guessed from its name.

One GET is made, and its answer is read by its Content-Type and its first bytes; where these two disagree the
bytes are right, since small cameras send any type. HEAD is not used: many cameras refuse it. The answer goes
on to whoever reads this kind of source, since many cameras serve one viewer at a time.

    multipart/*                   MJPEG            a stream of JPEGs
    image/*                       SNAPSHOT         one picture an answer, fetched again and again; JPEGs
                                                   without an end are MJPEG all the same
    #EXTM3U                       HLS              a list of pieces
    video/* with a length, mp4    FILM             a recording
    video/* without a length      STREAM           a live stream that FFmpeg reads; so is an mp4 without a
                                                   length that does not know how long it is either
    anything else                 refused, with what is there
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from agent.see.feed.address import CONNECT_SECONDS, credentials, reachable, redact, refusal
from agent.see.feed.body import chunks, length, whole
from agent.see.feed.deadline import DeadlineAdapter
from agent.see.feed.picture import PATIENCE, SourceError

AGENT = "Mozilla/5.0 (compatible; gb-agent)"
SNIFFED = 512  # bytes that tell a kind
MP4_BEGINS = (b"ftyp", b"moov", b"styp", b"wide", b"mdat", b"free", b"skip", b"pnot")  # QuickTime's too


class Kind(Enum):
    """What an address gives."""

    MJPEG = auto()
    SNAPSHOT = auto()
    HLS = auto()
    FILM = auto()
    STREAM = auto()


class Refused(SourceError):
    """A status of 400 or more."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An open answer: what it holds, its first bytes, and the address that gave it after redirects."""

    kind: Kind
    response: requests.Response
    head: bytes

    @property
    def url(self) -> str:
        """Return the address that answered."""
        return self.response.url

    @property
    def length(self) -> int | None:
        """Return how many bytes the body has, as it says itself."""
        return length(self.response)

    def body(self, largest: int, seconds: float) -> bytes:
        """Return the whole body; raise SourceError if it is larger or takes longer."""
        return whole(self.response, self.head, largest, seconds)


class Web:
    """Ask one server, with the user and the password of the address; keeps the connection where it can.

    A camera's certificate is its own and proves nothing, so it is not checked; FFmpeg does the same.
    """

    def __init__(self, url: str, timeout: float = PATIENCE) -> None:
        self.shown = redact(url)
        self._full = url
        self.url, self._secret = credentials(url)
        self._timeout = (min(timeout, CONNECT_SECONDS), timeout)
        self._session = requests.Session()
        self._adapter = DeadlineAdapter()
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)
        self._session.trust_env = False
        self._session.verify = False
        self._session.headers.update({"User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity"})
        self._auth: AuthBase | None = HTTPDigestAuth(*self._secret) if self._secret else None
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def get(self, url: str = "", headers: dict[str, str] | None = None) -> requests.Response:
        """Return a server's answer, its body unread; raise SourceError for what is no good answer."""
        response = self._get(url or self.url, headers)
        if response.status_code == 401 and self._secret and isinstance(self._auth, HTTPDigestAuth):
            response.close()
            self._auth = HTTPBasicAuth(*self._secret)
            response = self._get(url or self.url, headers)
        if response.status_code >= 400:
            response.close()
            raise Refused(f"{self.shown}: {refusal(response.status_code)}", response.status_code)
        return response

    def _get(self, url: str, headers: dict[str, str] | None) -> requests.Response:
        try:
            with self._adapter.within(self._timeout[1] + 1.0):
                response = self._session.get(
                    url, headers=headers, stream=True, timeout=self._timeout, auth=self._auth or _no_auth
                )
        except requests.RequestException as error:
            raise self._trouble(error) from None
        if self._adapter.is_over:  # cut off in its head, it looks like a short one
            response.close()
            raise self._trouble(requests.ConnectionError())
        return response

    def _trouble(self, error: requests.RequestException) -> SourceError:
        """Say why there is no answer; raise SourceError if the server cannot be reached at all."""
        if self._adapter.is_over and not isinstance(error, requests.Timeout):
            return SourceError(f"{self.shown} sends next to nothing; restart the camera")
        if isinstance(error, requests.Timeout):
            reachable(self._full, CONNECT_SECONDS)
            return SourceError(f"{self.shown} accepts connections and sends nothing; restart the camera")
        if isinstance(error, requests.TooManyRedirects):
            return SourceError(f"{self.shown} sends us round in circles; check the address")
        if isinstance(error, requests.ConnectionError | requests.exceptions.InvalidURL):
            reachable(self._full, CONNECT_SECONDS)
            return SourceError(f"{self.shown}: {_broken(error)}")
        return SourceError(f"{self.shown} does not speak HTTP as it should ({_name(error)})")

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send a request as it is; without this, requests looks for a password in the user's home."""
    return request


def _broken(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "no encrypted connection comes about; is it http:// rather than https://?"
    return "the server closes the connection without an answer; check the path and the camera"


def _name(error: Exception) -> str:
    return type(error).__name__


def ask(web: Web, url: str = "") -> Answer:
    """Ask what the server gives, at another `url` of it if told; raise SourceError if that is no picture."""
    response = web.get(url)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        return Answer(Kind.MJPEG, response, b"")
    head = _head(web.shown, response)
    found = _by_bytes(head, length(response)) or _by_type(kind, length(response))
    if found is None:
        response.close()
        raise SourceError(
            f"{web.shown} {_what(kind, head)}; give the address of the picture or the stream itself"
        )
    return Answer(found, response, head)


def _head(shown: str, response: requests.Response) -> bytes:
    """Return the first bytes of a body."""
    head = b""
    for data in chunks(shown, response):
        head += data
        if len(head) >= SNIFFED:
            break
    return head


def _by_bytes(head: bytes, length: int | None) -> Kind | None:
    """Tell a kind by its first bytes, or None."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"#EXTM3U"):
        return Kind.HLS
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM")) or (head[:4], head[8:12]) == (
        b"RIFF",
        b"WEBP",
    ):
        return Kind.SNAPSHOT
    if text.startswith(b"--") and b"content-" in text.lower():
        return Kind.MJPEG
    if head[4:8] in MP4_BEGINS:
        return Kind.STREAM if length is None and _goes_on(head) else Kind.FILM
    if (head[:4], head[8:12]) == (b"RIFF", b"AVI "):
        return Kind.FILM
    transport = head[:1] == b"G" and head[188:189] in (b"G", b"") and len(head) >= 188
    if transport or head.startswith((b"\x1a\x45\xdf\xa3", b"FLV", b"OggS", b"\0\0\1\xba")):
        return Kind.STREAM if length is None else Kind.FILM
    return None


def _goes_on(head: bytes) -> bool:
    """Tell whether an MP4's movie header (ISO/IEC 14496-12, 8.2.2) leaves its duration open."""
    place = head.find(b"mvhd")
    if place < 0:
        return False
    begin, size = (28, 8) if head[place + 4 : place + 5] == b"\1" else (20, 4)
    duration = head[place + begin : place + begin + size]
    return len(duration) == size and duration in (b"\0" * size, b"\xff" * size)


def _by_type(kind: str, length: int | None) -> Kind | None:
    """Tell a kind by its Content-Type, or None."""
    if kind.startswith("image/") and kind != "image/svg+xml":
        return Kind.SNAPSHOT
    if "mpegurl" in kind:
        return Kind.HLS
    if kind == "video/mp4" or (kind.startswith("video/") and length is not None):
        return Kind.FILM
    return Kind.STREAM if kind.startswith("video/") else None


def _what(kind: str, head: bytes) -> str:
    """Say in words what is there."""
    text = head.lstrip().lower()
    if "dash+xml" in kind or b"<mpd" in text:
        return "is MPEG-DASH, which is not read; most servers give HLS too, at an address with .m3u8"
    if "html" in kind or text.startswith((b"<!doctype", b"<html")):
        return "is a web page (text/html), not a picture"
    if not head:
        return f"gives an empty answer ({kind or 'of no type'})"
    return f"is {kind or 'of no type'}, not a picture or a video"
