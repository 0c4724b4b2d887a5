"""What http addresses give, from real servers: kinds told by their answers, single pictures, odd MJPEG,
films.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.see.capture import Camera
from agent.see.feed.mjpeg import Jpegs
from agent.see.feed.web_file import PIECE
from agent.see.feed.wish import Wish
from agent.see.probe import probe
from agent.see.slot import Frame
from agent.see.sources import SourceError
from agent.see.status import StateChange
from tests.web_server import Answer, Handler, WebServer, web_server


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def jpeg(number: int, kind: str = ".jpg", size: tuple[int, int] = (320, 240)) -> bytes:
    """Return an encoded picture with blocks that differ by number."""
    rng = np.random.default_rng(number)
    cells = rng.integers(0, 255, (6, 8, 3), np.uint8)
    return bytes(cv2.imencode(kind, cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST))[1])


def parts(head: str, begin: str = "", boundary: str = "--next", kind: str = ".jpg") -> Iterator[bytes]:
    """Yield an endless multipart body. `head` may name {length}."""
    yield begin.encode()
    for number in count():
        data = jpeg(number, kind)
        yield f"{boundary}\r\n{head.format(length=len(data))}\r\n\r\n".encode() + data + b"\r\n"


def watch(camera: Camera, seconds: float) -> list[Frame]:
    """Take frames for so long, or to the end."""
    frames = []
    until = time.monotonic() + seconds
    while time.monotonic() < until and camera.state != "ended":
        frame = camera.take(0.1)
        frames += [frame] if frame is not None else []
    return frames


def some(camera: Camera, amount: int, seconds: float = 30.0) -> list[Frame]:
    """Take as many frames, or fail."""
    frames: list[Frame] = []
    until = time.monotonic() + seconds
    while len(frames) < amount:
        assert time.monotonic() < until, camera.reason
        frames += watch(camera, 0.2)
    return frames


# ── MJPEG ─────────────────────────────────────────────────────────────────────────────────────────

MIXED = "multipart/x-mixed-replace"


@pytest.mark.parametrize(
    ("kind", "head", "boundary"),
    [
        (f"{MIXED}; boundary=next", "Content-Type: image/jpeg\r\nContent-Length: {length}", "--next"),
        (f"{MIXED}; boundary=next", "Content-Type: image/jpg\r\nContent-Length: {length}", "--next"),
        (f"{MIXED}; boundary=next", "Content-Type: image/jpeg;charset=utf-8", "--next"),
        (f"{MIXED}; boundary=next", "", "--next"),
        (f"{MIXED}; boundary=next", "Content-Type: image/jpeg\r\nContent-Length: 17", "--next"),
        (f"{MIXED}; boundary=next", "Content-Type: image/jpeg\r\nContent-Length: 99999999", "--next"),
        (f'{MIXED}; boundary="next"', "content-type: IMAGE/JPEG", "--next"),
        (f"{MIXED};boundary=--next", "Content-Type: image/jpeg", "--next"),
        (f"{MIXED}; boundary=next", "Content-Type: image/jpeg", "next"),
        (f"{MIXED}; boundary=other", "Content-Type: image/jpeg", "--next"),
        (MIXED, "X-Timestamp: 1.5\r\nContent-Type: image/jpeg", "--next"),
        ("multipart/mixed; boundary=next", "Content-Type: image/jpeg", "--next"),
        ("text/html", "Content-Type: image/jpeg", "--next"),
        ("application/octet-stream", "Content-Type: image/jpeg", "--next"),
    ],
)
def test_mjpeg_is_read_as_tolerantly_as_by_a_browser(
    server: WebServer, kind: str, head: str, boundary: str
) -> None:
    """Whatever the heads of the parts and the boundary say: each picture comes, and the camera is ok."""
    server.answers["/video"] = lambda handler: handler.stream(kind, parts(head, boundary=boundary), 0.05)
    with Camera("cam0", server.url("/video")) as camera:
        frames = some(camera, 10)
        assert (camera.state, camera.reason) == ("ok", "")
    assert frames[0].image.shape == (240, 320, 3)
    assert camera.captured > frames[-1].number


def test_mjpeg_without_its_first_boundary_is_read(server: WebServer) -> None:
    """The first picture comes at once after the head, or after some bytes that mean nothing."""
    for begin in ("", "\r\n", "hello\r\n"):
        pictures = (data.removeprefix(b"--next\r\n") for data in parts("Content-Type: image/jpeg", begin))
        server.answers["/video"] = lambda handler, pictures=pictures: handler.stream(
            f"{MIXED}; boundary=next", pictures, 0.05
        )
        assert probe(server.url("/video"))[:2] == (320, 240)


def test_jpegs_without_an_end_are_a_stream_and_several_in_a_file_are_one_picture(server: WebServer) -> None:
    """`image/jpeg` that goes on and on is MJPEG without heads; a stereo camera's two pictures are one."""
    endless = (jpeg(number) for number in count())
    server.answers["/live"] = lambda handler: handler.stream("image/jpeg", endless, 0.1)
    changes: list[StateChange] = []
    with Camera("cam0", server.url("/live"), on_state=changes.append) as camera:
        some(camera, 8)
    assert [change.state for change in changes] == ["ok"]
    assert server.asked["/live"] == 1
    numbers = count()
    server.answers["/stereo"] = lambda handler: handler.stream(
        "image/jpeg", iter([jpeg(next(numbers)) + jpeg(200)]), 0.0
    )
    with Camera("cam0", server.url("/stereo")) as camera:
        some(camera, 3)
        assert camera.state == "ok"


def number_of(frame: Frame, most: int) -> int:
    """Return which of the pictures of `jpeg` a frame shows."""
    cells = frame.image[20::40, 20::40].astype(int)
    gaps = [
        np.abs(np.random.default_rng(n).integers(0, 255, (6, 8, 3), np.uint8) - cells) for n in range(most)
    ]
    return int(np.argmin([gap.mean() for gap in gaps]))


def test_mjpeg_that_was_held_on_its_way_is_not_taken_for_now(server: WebServer) -> None:
    """What waited for whoever opens the stream, and what comes at once after the network stood still, is old.

    It is passed over and counted, and the camera stays ok.
    """

    def body() -> Iterator[bytes]:
        numbers = count()

        def several(amount: int) -> bytes:
            return b"".join(next(made) for _ in range(amount))

        made = (b"--next\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(number) + b"\r\n" for number in numbers)
        yield several(30)
        for _ in range(20):
            yield several(1)
        time.sleep(2.0)
        yield several(21)
        while True:
            yield several(1)

    server.answers["/live"] = lambda handler: handler.stream(MIXED + ";boundary=next", body(), 0.1)
    changes: list[StateChange] = []
    with Camera("cam0", server.url("/live"), on_state=changes.append) as camera:
        frames = []
        until = time.monotonic() + 30
        while time.monotonic() < until and (not frames or number_of(frames[-1], 120) < 85):
            frames += watch(camera, 0.5)
    shown = {number_of(frame, 120) for frame in frames}
    assert [change.state for change in changes] == ["ok"]
    assert len(shown & set(range(1, 30))) == 0
    assert len(shown & set(range(50, 71))) <= 1
    assert len(shown & {*range(30, 50), *range(71, 85)}) >= 17
    assert camera.dropped >= 45


def test_torn_pictures_are_counted_and_not_shown(server: WebServer) -> None:
    """Of each two pictures one ends in its middle: half of them come, the others are dropped and counted."""

    def torn() -> Iterator[bytes]:
        for number in count():
            data = jpeg(number)
            yield (
                b"--next\r\nContent-Type: image/jpeg\r\n\r\n"
                + (data if number % 2 else data[:-800])
                + b"\r\n"
            )

    server.answers["/video"] = lambda handler: handler.stream(f"{MIXED}; boundary=next", torn(), 0.04)
    with Camera("cam0", server.url("/video")) as camera:
        frames = watch(camera, 2.0)
        assert camera.state == "ok"
    assert len(frames) > 10
    assert camera.dropped == pytest.approx(camera.captured / 2, abs=2)


def test_parts_that_are_no_jpeg_are_refused_by_their_type(server: WebServer) -> None:
    """A stream of PNGs says so within ten seconds."""
    server.answers["/video"] = lambda handler: handler.stream(
        f"{MIXED}; boundary=next", parts("Content-Type: image/png", kind=".png"), 0.05
    )
    with pytest.raises(SourceError, match=r"sends parts of type image/png; only JPEG pictures are read"):
        probe(server.url("/video"))


def test_pictures_are_cut_out_wherever_the_bytes_are_cut() -> None:
    """Fed byte by byte or whole; with a thumbnail in its head, progressive, with restart markers."""
    thumb = jpeg(5, size=(64, 48))
    plain = jpeg(1)
    app = b"\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb
    image = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_COLOR)
    progressive = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    restarts = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1])
    pictures = [plain[:2] + app + plain[2:], progressive, restarts, plain]
    body = b"--x\r\n\r\n" + b"\r\n--x\r\n\r\n".join(pictures) + b"\r\n--x--"
    for step in (1, 7, 1000, len(body)):
        jpegs = Jpegs()
        found = [each for at in range(0, len(body), step) for each in jpegs.feed(body[at : at + step])]
        assert found == pictures
        assert jpegs.torn == 0


# ── single pictures ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("image/jpeg", ".jpg"),
        ("image/jpg", ".jpg"),
        ("image/png", ".png"),
        ("image/webp", ".webp"),
        ("text/plain", ".jpg"),
        ("application/octet-stream", ".png"),
        (None, ".jpg"),
    ],
)
def test_a_picture_an_answer_is_fetched_again_and_again(
    server: WebServer, kind: str | None, form: str
) -> None:
    """Five a second where nothing else is asked, with one state and growing times."""
    changes: list[StateChange] = []
    numbers = count()
    server.answers["/snap"] = lambda handler: handler.give(jpeg(next(numbers), form), kind)
    with Camera("cam0", server.url("/snap?user=joe&pwd=secret"), on_state=changes.append) as camera:
        frames = watch(camera, 3.0)
    assert 9 <= len(frames) <= 16
    assert [change.state for change in changes] == ["ok"]
    assert camera.dropped <= 1


@pytest.mark.parametrize(("url", "wish"), [("/snap?fps=10", Wish()), ("/snap", Wish(fps=10))])
def test_the_rate_may_be_asked_for(server: WebServer, url: str, wish: Wish) -> None:
    """In the address, as many cameras have it, or in the config."""
    numbers = count()
    server.answers["/snap"] = lambda handler: handler.give(jpeg(next(numbers)), "image/jpeg")
    with Camera("cam0", server.url(url), wish=wish) as camera:
        frames = some(camera, 25)
    steps = np.diff([frame.seconds for frame in frames])
    assert np.quantile(steps, 0.3) == pytest.approx(0.1, abs=0.03)


def test_the_same_picture_again_is_no_new_frame(server: WebServer) -> None:
    """A camera with a new picture each second gives one frame a second, and is not asked for it without
    end.
    """
    begun = time.monotonic()
    server.answers["/snap"] = lambda handler: handler.give(jpeg(int(time.monotonic() - begun)), "image/jpeg")
    with Camera("cam0", server.url("/snap")) as camera:
        frames = watch(camera, 5.0)
        assert camera.state == "ok"
    assert 4 <= len(frames) <= 6
    assert camera.captured == len(frames)
    assert server.asked["/snap"] < 20


def test_one_answer_that_fails_is_no_state_and_many_are(server: WebServer) -> None:
    """A busy camera that refuses each third time stays ok; one that refuses for long is absent, with its
    reason.
    """
    changes: list[StateChange] = []
    numbers = count()
    down = False

    def busy(handler: Handler) -> None:
        number = next(numbers)
        if down or number % 3 == 2:
            handler.send_error(503)
        else:
            handler.give(jpeg(number), "image/jpeg")

    server.answers["/snap"] = busy
    with Camera("cam0", server.url("/snap"), on_state=changes.append) as camera:
        watch(camera, 3.0)
        assert [change.state for change in changes] == ["ok"]
        down = True
        watch(camera, 6.0)
        assert camera.state == "absent"
        assert "the server answers 503" in camera.reason
        down = False
        watch(camera, 4.0)
    assert [change.state for change in changes] == ["ok", "absent", "ok"]


def test_a_frozen_single_picture_is_frozen(server: WebServer) -> None:
    """The same bytes for longer than the bound are a stuck camera; a camera that says `max-age` has three
    times that.
    """
    for heads, state in (({}, "frozen"), ({"Cache_Control": "max-age=60"}, "ok")):
        server.answers["/snap"] = lambda handler, heads=heads: handler.give(jpeg(3), "image/jpeg", **heads)
        with Camera("cam0", server.url("/snap"), frozen_seconds=2.0) as camera:
            frames = watch(camera, 4.5)
            assert camera.state == state
        assert len(frames) == 1


DRIPS = {
    "status": (b"", b"HTTP/1.1 200 OK\r\nX: "),
    "head": (b"HTTP/1.1 200 OK\r\n", b"Content-Type: image/jpeg\r\nX: "),
    "mjpeg": (
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n",
        b"--x\r\n\r\n\xff\xd8\xff",
    ),
    "picture": (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 9999\r\n\r\n",
        b"\xff\xd8\xff",
    ),
    "list": (b"HTTP/1.1 200 OK\r\nContent-Type: application/x-mpegurl\r\n\r\n", b"#EXTM3U\n"),
    "film": (
        b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 9999\r\n\r\n",
        b"\0\0\0\x18ftyp",
    ),
}


def dripping(begin: bytes, rest: bytes) -> Answer:
    """Return an answer that begins at once and goes on with a byte a second."""

    def answer(handler: Handler) -> None:
        handler.close_connection = True
        handler.wfile.write(begin)
        for byte in rest + b"a" * 1000:
            handler.wfile.write(bytes([byte]))
            if handler.server.closing.wait(1.0):
                return

    return answer


def test_a_server_that_sends_a_byte_a_second_is_told_and_left(server: WebServer) -> None:
    """Wherever in its answer it does: the camera says so in some five seconds, and its thread ends."""
    with ExitStack() as undo:
        cameras = {}
        for name, drips in DRIPS.items():
            server.answers[f"/{name}"] = dripping(*drips)
            cameras[name] = undo.enter_context(Camera(name, server.url(f"/{name}")))
        threads = {camera: camera._thread for camera in cameras.values()}
        begun = time.monotonic()
        while any("next to nothing" not in camera.reason for camera in cameras.values()):
            assert time.monotonic() - begun < 15, {name: one.reason for name, one in cameras.items()}
            time.sleep(0.1)
        assert not any(camera.captured for camera in cameras.values())
    assert not any(thread.is_alive() for thread in threads.values())


# ── what is there ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"<!DOCTYPE html><title>camera</title>", "text/html; charset=utf-8", "is a web page (text/html)"),
        (b"<html>login</html>", None, "is a web page (text/html)"),
        (b'{"error": "no"}', "application/json", "is application/json, not a picture or a video"),
        (b"", "text/plain", "gives an empty answer (text/plain)"),
        (b"<?xml version='1.0'?><MPD></MPD>", "application/dash+xml", "is MPEG-DASH"),
        (b"no picture", "image/jpeg", "gives pictures that cannot be decoded"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(
    server: WebServer, body: bytes, kind: str | None, says: str
) -> None:
    """What is there, and what to do; no secret."""
    server.answers["/cam"] = lambda handler: handler.give(body, kind)
    with pytest.raises(SourceError) as caught:
        probe(server.url("/cam?token=secret", "joe:secret@"))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with Camera("cam0", server.url("/cam")) as camera:
        assert not watch(camera, 1.0)
        assert camera.state in ("absent", "degraded")


def test_a_password_is_given_as_the_camera_asks_for_it(server: WebServer) -> None:
    """Basic and digest, with signs in the password that an address must write as %40; a wrong one is
    refused.
    """
    secret = "joe:p@ss/1"

    def basic(handler: Handler) -> None:
        wanted = "Basic " + base64.b64encode(secret.encode()).decode()
        if handler.headers["Authorization"] == wanted:
            handler.give(jpeg(1), "image/jpeg")
        else:
            handler.give(b"", "text/html", 401, WWW_Authenticate='Basic realm="cam"')

    def digest(handler: Handler) -> None:
        said = handler.headers["Authorization"] or ""
        fields = dict(
            part.strip().split("=", 1) for part in said.removeprefix("Digest ").split(",") if "=" in part
        )
        fields = {name: value.strip('"') for name, value in fields.items()}
        one = hashlib.md5(b"joe:cam:p@ss/1").hexdigest()
        two = hashlib.md5(f"GET:{fields.get('uri')}".encode()).hexdigest()
        middle = f"{fields.get('nonce')}:{fields.get('nc')}:{fields.get('cnonce')}:auth"
        if fields.get("response") == hashlib.md5(f"{one}:{middle}:{two}".encode()).hexdigest():
            handler.give(jpeg(1), "image/jpeg")
        else:
            handler.give(b"", None, 401, WWW_Authenticate='Digest realm="cam", nonce="17", qop="auth"')

    server.answers.update({"/basic": basic, "/digest": digest})
    for path in ("/basic", "/digest"):
        assert probe(server.url(path, "joe:p%40ss%2F1@"))[:2] == (320, 240)
        with pytest.raises(SourceError, match="answers 401; give the right user and password"):
            probe(server.url(path, "joe:secret@"))


def test_size_and_rate_cannot_be_asked_of_every_source(server: WebServer, tmp_path: Path) -> None:
    """A wish that nobody can fulfil is told, not forgotten."""
    server.answers["/video"] = lambda handler: handler.stream(MIXED, parts("Content-Type: image/jpeg"), 0.05)
    for url, wish in (
        (server.url("/video"), Wish(fps=5)),
        (server.url("/video"), Wish(size=(640, 480))),
        ("scene:", Wish(fps=5)),
        (str(tmp_path), Wish(format="MJPG")),
    ):
        with Camera("cam0", url, wish=wish) as camera:
            watch(camera, 0.5)
            assert camera.state == "absent"
            assert "can be asked of a USB camera only" in camera.reason


# ── films ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at ten pictures a second, in four containers."""
    folder = tmp_path_factory.mktemp("films")
    source = "ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=10:duration=4"
    for name in ("film.mp4", "film.ts", "film.mkv"):
        subprocess.run([*source.split(), "-c:v", "libx264", "-bf", "2", str(folder / name)], check=True)
    webm = ["-c:v", "libvpx", "-deadline", "realtime", str(folder / "film.webm")]
    subprocess.run([*source.split(), *webm], check=True)
    return folder


def give_file(handler: Handler, data: bytes, kind: str | None) -> None:
    """Answer as web servers do with a file: ranges too."""
    asked = handler.headers["Range"]
    if asked is None:
        handler.give(data, kind, Accept_Ranges="bytes")
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last) + 1 if last else len(data)]
    place = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
    handler.give(part, kind, 206, Content_Range=place, Accept_Ranges="bytes")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("film.mp4", "video/mp4"),
        ("film.mp4", "application/octet-stream"),
        ("film.webm", "video/webm"),
        ("film.ts", "video/mp2t"),
        ("film.ts", None),
        ("film.mkv", "video/x-matroska"),
    ],
)
def test_a_film_on_a_web_server_is_a_film(
    server: WebServer, films: Path, name: str, kind: str | None
) -> None:
    """Its own clock, each picture once, and an end; a loop begins it again."""
    data = (films / name).read_bytes()
    server.answers["/film"] = lambda handler: give_file(handler, data, kind)
    with Camera("cam0", server.url("/film?x=1"), pace="fast") as camera:
        frames = watch(camera, 20.0)
    assert (len(frames), camera.captured, camera.dropped, camera.state) == (40, 40, 0, "ended")
    assert np.allclose(np.diff([frame.seconds for frame in frames]), 0.1, atol=2e-3)
    with Camera("cam0", server.url("/film"), pace="fast", loop=True) as camera:
        passes = [frame.pass_ for frame in (camera.take(20) for _ in range(60)) if frame is not None]
    assert passes == [0] * 40 + [1] * 20


def test_a_film_with_its_index_at_the_end_is_opened_with_few_questions(
    server: WebServer, films: Path
) -> None:
    """One asks what it is, one whether parts are given, one for each part; jumps in it cost nothing."""
    data = (films / "film.mp4").read_bytes()
    assert data.rindex(b"moov") > data.index(b"mdat")
    server.answers["/film"] = lambda handler: give_file(handler, data, "video/mp4")
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        assert len(watch(camera, 20.0)) == 40
    assert server.asked["/film"] == 2 + -(-len(data) // PIECE)


def test_a_film_of_a_server_that_gives_no_parts_is_read_as_it_comes(server: WebServer, films: Path) -> None:
    """FFmpeg reads it then; each picture comes once."""
    data = (films / "film.ts").read_bytes()
    server.answers["/film"] = lambda handler: handler.give(data, "video/mp2t")
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        assert len(watch(camera, 20.0)) == 40
    assert camera.state == "ended"


def test_a_film_keeps_its_pace(server: WebServer, films: Path) -> None:
    """Four seconds take four seconds."""
    data = (films / "film.mp4").read_bytes()
    server.answers["/film"] = lambda handler: give_file(handler, data, "video/mp4")
    with Camera("cam0", server.url("/film")) as camera:
        assert camera.take(20) is not None
        begun = time.monotonic()
        watch(camera, 20.0)
    assert camera.state == "ended"
    assert 3.5 < time.monotonic() - begun < 8


def test_a_film_whose_connection_breaks_goes_on_where_it_was(server: WebServer, films: Path) -> None:
    """The server closes in the middle, again and again: no picture twice, none lost."""
    data = (films / "film.ts").read_bytes()

    def breaking(handler: Handler) -> None:
        asked = handler.headers["Range"]
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Type", "video/mp2t")
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(data) - first))
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(data[first : first + 20_000])
        handler.close_connection = True

    server.answers["/film"] = breaking
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        frames = watch(camera, 30.0)
    assert camera.state == "ended"
    seconds = [frame.seconds for frame in frames]
    assert np.allclose(seconds, np.arange(40) / 10 + seconds[0], atol=2e-3)


def test_a_transport_stream_without_an_end_is_a_live_camera(server: WebServer, films: Path) -> None:
    """MPEG-TS of no length is read as it comes; where the connection ends, the camera is lost, not over."""
    data = (films / "film.ts").read_bytes()

    def body() -> Iterator[bytes]:
        step = len(data) // 40 + 1
        yield from (data[at : at + step] for at in range(0, len(data), step))

    server.answers["/live"] = lambda handler: handler.stream("video/mp2t", body(), 0.1)
    changes: list[StateChange] = []
    with Camera("cam0", server.url("/live"), on_state=changes.append) as camera:
        frames = watch(camera, 8.0)
    assert len(frames) > 10
    assert [change.state for change in changes][:2] == ["ok", "absent"]


def test_an_mp4_without_an_end_is_a_live_camera(server: WebServer, tmp_path: Path) -> None:
    """Restreamers send endless fragments of MP4 under `video/mp4`: that is no film, and is asked for again
    where the connection ends.
    """
    film = tmp_path / "live.mp4"
    source = "ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=10:duration=6 -c:v libx264 -g 5"
    fragments = f"-tune zerolatency -movflags frag_keyframe+empty_moov+default_base_moof {film}"
    subprocess.run([*source.split(), *fragments.split()], check=True)
    data = film.read_bytes()
    step = len(data) // 60 + 1
    server.answers["/stream.mp4"] = lambda handler: handler.stream(
        "video/mp4", iter([data[at : at + step] for at in range(0, len(data), step)]), 0.1
    )
    changes: list[StateChange] = []
    with Camera("cam0", server.url("/stream.mp4"), on_state=changes.append) as camera:
        until = time.monotonic() + 40
        while len(changes) < 3 and time.monotonic() < until:
            camera.take(0.1)
    assert [change.state for change in changes][:3] == ["ok", "absent", "ok"]
    server.answers["/film.mp4"] = lambda handler: give_file(handler, data, "video/mp4")
    with Camera("cam0", server.url("/film.mp4"), pace="fast") as camera:
        assert len(watch(camera, 20.0)) == 60
    assert camera.state == "ended"


def test_a_film_whose_container_has_no_times_ends_once(server: WebServer, tmp_path: Path) -> None:
    """AVI gives the last pictures no time: the film is over all the same, and nothing of it comes again."""
    film = tmp_path / "film.avi"
    source = "ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=10:duration=6 -c:v libx264 -bf 2"
    subprocess.run([*source.split(), str(film)], check=True)
    data = film.read_bytes()
    changes: list[StateChange] = []
    server.answers["/film"] = lambda handler: give_file(handler, data, "video/x-msvideo")
    with Camera("cam0", server.url("/film"), pace="fast", on_state=changes.append) as camera:
        frames = watch(camera, 20.0)
    assert len(frames) == camera.captured == 60
    assert [change.state for change in changes] == ["ok", "ended"]
