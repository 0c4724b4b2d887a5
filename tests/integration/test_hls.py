"""HLS over a real web server, with pieces that ffmpeg made: nothing twice, its own clock, an end."""

from __future__ import annotations

import gzip
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.see.capture import Camera
from agent.see.feed import hls
from agent.see.probe import inspect, probe
from agent.see.slot import Frame
from agent.see.sources import SourceError
from agent.see.status import StateChange
from tests.web_server import Answer, Handler, WebServer, web_server

FPS = 10
PIECES = 12
LIST = "application/vnd.apple.mpegurl"


def striped(number: int) -> np.ndarray:
    """Return a picture (96,128,3) that carries its number in eight stripes."""
    bits = np.array([(number >> place) & 1 for place in range(8)], np.uint8)
    row = np.repeat(bits * 220 + 16, 16)
    return np.repeat(np.repeat(row[None, :, None], 96, axis=0), 3, axis=2)


def number_of(frame: Frame) -> int:
    """Read the number back."""
    means = frame.image[..., 0].reshape(96, 8, -1).mean(axis=(0, 2))
    return int(sum(1 << place for place, mean in enumerate(means) if mean > 126))


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pieces of a second, ten numbered pictures each, as MPEG-TS and as fragmented MP4."""
    folder = tmp_path_factory.mktemp("pieces")
    raw = b"".join(striped(number).tobytes() for number in range(FPS * PIECES))
    read = f"ffmpeg -v error -f rawvideo -pix_fmt bgr24 -s 128x96 -r {FPS} -i -"
    cut = f"-f hls -hls_time 1 -hls_list_size 0 -c:v libx264 -g {FPS} -bf 2 -sc_threshold 0 -pix_fmt yuv420p"
    for kind, name in (("mpegts", "p%d.ts"), ("fmp4", "p%d.m4s")):
        last = f"-hls_segment_type {kind} -hls_segment_filename {folder}/{name} {folder}/{kind}.m3u8"
        subprocess.run([*f"{read} {cut} {last}".split()], input=raw, check=True)
    assert len(list(folder.glob("*.ts"))) == len(list(folder.glob("*.m4s"))) == PIECES
    return folder


@pytest.fixture
def server(pieces: Path) -> Iterator[WebServer]:
    """A web server that has the pieces."""
    with web_server() as server:
        for path in pieces.iterdir():
            server.answers[f"/{path.name}"] = lambda handler, path=path: handler.give(path.read_bytes(), None)
        yield server


def a_list(
    numbers: range | list[int], *, first: int | None = None, end: bool = False, extra: str = ""
) -> bytes:
    """Return a list of the numbered pieces."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", extra]
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{numbers[0] if first is None else first}"]
    lines += [f"#EXTINF:1.0,\np{number}.ts" for number in numbers]
    return "\n".join([*lines, "#EXT-X-ENDLIST"] if end else lines).encode()


def live(window: int = 4, begin: int = 3, speed: float = 1.0, kind: str | None = LIST) -> Answer:
    """Return an answer that slides over the pieces, one a second, and ends after the last."""
    begun: list[float] = []

    def answer(handler: Handler) -> None:
        begun.append(time.monotonic())
        last = min(begin + int((time.monotonic() - begun[0]) * speed), PIECES - 1)
        over = (time.monotonic() - begun[0]) * speed > PIECES - begin
        handler.give(a_list(range(max(last - window + 1, 0), last + 1), end=over), kind)

    return answer


def watch(camera: Camera, seconds: float = 25.0) -> list[Frame]:
    """Take frames until the end."""
    frames = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        frame = camera.take(0.2)
        if frame is not None:
            frames.append(frame)
        elif camera.state == "ended":
            break
    return frames


def test_a_live_list_gives_each_picture_once_by_its_own_clock(server: WebServer) -> None:
    """Three pieces before its end it begins; each picture comes once, 0.1 s after the other, until the
    list ends.
    """
    changes: list[StateChange] = []
    server.answers["/live.m3u8"] = live()
    begun = time.monotonic()
    with Camera("cam0", server.url("/live.m3u8"), on_state=changes.append) as camera:
        frames = watch(camera)
    took = time.monotonic() - begun
    numbers = [number_of(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert len(numbers) >= 0.6 * FPS * (PIECES - 1)  # a loaded machine takes not every one
    assert camera.captured == FPS * (PIECES - 1)
    assert (numbers[0], numbers[-1]) == (FPS, FPS * PIECES - 1)
    for one, two in pairwise(frames):
        assert two.seconds - one.seconds == pytest.approx((number_of(two) - number_of(one)) / FPS, abs=0.02)
    assert took == pytest.approx(PIECES - 1, abs=2.5)
    assert [change.state for change in changes] == ["ok", "ended"]


@pytest.mark.parametrize("name", ["mpegts.m3u8", "fmp4.m3u8"])
@pytest.mark.parametrize("pace", ["fast", "real"])
def test_a_list_that_has_its_end_is_a_film(server: WebServer, pieces: Path, name: str, pace: str) -> None:
    """All its pieces come, from the first, at their pace or as fast as they are taken; then it has ended."""
    server.answers["/film"] = lambda handler: handler.give((pieces / name).read_bytes(), LIST)
    begun = time.monotonic()
    with Camera("cam0", server.url("/film?token=secret"), pace=pace) as camera:  # type: ignore[arg-type]
        frames = watch(camera)
    assert (camera.state, camera.captured) == ("ended", FPS * PIECES)
    numbers = [number_of(frame) for frame in frames]
    if pace == "fast":
        assert numbers == list(range(FPS * PIECES))
        assert np.allclose(np.diff([frame.seconds for frame in frames]), 1 / FPS, atol=2e-3)
        assert time.monotonic() - begun < 8
    else:
        assert time.monotonic() - begun > PIECES - 1


@pytest.mark.parametrize("kind", [LIST, "application/x-mpegURL", "audio/mpegurl", "text/plain", None])
def test_a_list_is_known_by_its_first_line(server: WebServer, kind: str | None) -> None:
    """Whatever type a server gives it, and whatever its address ends in."""
    server.answers["/cam"] = lambda handler: handler.give(a_list(range(3), end=True), kind)
    assert probe(server.url("/cam"))[:2] == (128, 96)


def test_a_packed_list_is_unpacked(server: WebServer) -> None:
    """A server that packs whatever it was asked for (Content-Encoding: gzip) is read all the same."""
    packed = gzip.compress(a_list(range(3), end=True))
    server.answers["/film"] = lambda handler: handler.give(packed, LIST, Content_Encoding="gzip")
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        assert [number_of(frame) for frame in watch(camera)] == list(range(3 * FPS))


def test_a_list_of_one_session_leads_to_the_next(server: WebServer) -> None:
    """Some servers name the list anew for each session, and forget it: the camera's own address is asked
    again, nothing comes twice, and the camera stays ok.
    """
    begun = time.monotonic()
    changes: list[StateChange] = []

    def session() -> int:
        return int((time.monotonic() - begun) // 3)

    def variants(handler: Handler) -> None:
        line = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=128x96\n"
        handler.give(f"{line}session{session()}.m3u8\n".encode(), LIST)

    def of_session(number: int) -> Answer:
        def answer(handler: Handler) -> None:
            if session() == number:
                last = min(2 + int(time.monotonic() - begun), PIECES - 1)
                over = time.monotonic() - begun > PIECES
                handler.give(a_list(range(max(0, last - 3), last + 1), end=over), LIST)
            else:
                handler.send_error(404)

        return answer

    server.answers["/cam.m3u8"] = variants
    server.answers.update({f"/session{number}.m3u8": of_session(number) for number in range(20)})
    with Camera("cam0", server.url("/cam.m3u8"), on_state=changes.append) as camera:
        numbers = [number_of(frame) for frame in watch(camera, 40)]
    assert numbers == sorted(set(numbers))
    assert camera.captured == FPS * PIECES
    assert [change.state for change in changes] == ["ok", "ended"]
    assert server.asked["/cam.m3u8"] >= 3


def test_a_lost_connection_gives_no_piece_twice(server: WebServer) -> None:
    """The server fails for four seconds: what comes then goes on where it was, and what is lost is a gap
    in time.
    """
    changes: list[StateChange] = []
    begun = time.monotonic()
    good = live(window=3)

    def failing(handler: Handler) -> None:
        if 3 < time.monotonic() - begun < 7:
            handler.send_error(503)
        else:
            good(handler)

    server.answers["/live.m3u8"] = failing
    with Camera("cam0", server.url("/live.m3u8"), on_state=changes.append) as camera:
        frames = watch(camera)
    numbers = [number_of(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == FPS * PIECES - 1
    assert camera.captured <= FPS * PIECES
    states = [change.state for change in changes]
    assert states[0] == "ok"
    assert states[-1] == "ended"
    assert len(states) <= 4


def test_pieces_in_bursts_are_no_stall(server: WebServer) -> None:
    """Three pieces at once each three seconds: the camera stays ok, and pictures come evenly."""
    changes: list[StateChange] = []
    begun = time.monotonic()

    def bursts(handler: Handler) -> None:
        passed = int(time.monotonic() - begun)
        last = min(2 + passed - passed % 3, PIECES - 1)
        handler.give(a_list(range(max(last - 5, 0), last + 1), end=passed > PIECES), LIST)

    server.answers["/live.m3u8"] = bursts
    with Camera("cam0", server.url("/live.m3u8"), on_state=changes.append) as camera:
        arrivals = []
        while camera.state != "ended" and time.monotonic() - begun < 25:
            if camera.take(0.2) is not None:
                arrivals.append(time.monotonic())
    assert [change.state for change in changes] == ["ok", "ended"]
    assert camera.captured == FPS * PIECES
    assert np.quantile(np.diff(arrivals), 0.95) < 0.25


def test_a_live_list_that_stands_still_is_a_stall(server: WebServer) -> None:
    """No new piece where one is overdue: stalled, with nothing given again; a new piece ends it."""
    shown = [range(3)]
    server.answers["/live.m3u8"] = lambda handler: handler.give(a_list(shown[0]), LIST)
    with Camera("cam0", server.url("/live.m3u8")) as camera:
        numbers = []
        until = time.monotonic() + 20
        while camera.state != "stalled":
            assert time.monotonic() < until
            frame = camera.take(0.1)
            numbers += [number_of(frame)] if frame else []
        assert "no new piece for 5 s" in camera.reason
        assert camera.captured == 3 * FPS
        shown[0] = range(1, 5)
        while numbers[-1] < 5 * FPS - 1:
            assert time.monotonic() < until + 15
            frame = camera.take(0.1)
            numbers += [number_of(frame)] if frame else []
        assert camera.state == "ok"
    assert numbers == sorted(set(numbers))


def test_what_a_list_gathered_while_it_stood_still_is_not_taken_for_now(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that keeps all its pieces grows by nine at once: the last three are new, the others a gap."""
    monkeypatch.setattr(hls, "MOST_BEHIND", 1.0)  # the other bound is six pieces
    shown = [range(3)]
    server.answers["/live.m3u8"] = lambda handler: handler.give(a_list(shown[0]), LIST)
    with Camera("cam0", server.url("/live.m3u8")) as camera:
        frames: list[Frame] = []
        until = time.monotonic() + 40
        while not frames or number_of(frames[-1]) < FPS * PIECES - 1:
            assert time.monotonic() < until
            frame = camera.take(0.1)
            frames += [frame] if frame else []
            if camera.state == "stalled":
                shown[0] = range(PIECES)
    numbers = [number_of(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert not set(numbers) & set(range(3 * FPS, 9 * FPS))
    after = next(place for place, number in enumerate(numbers) if number >= 9 * FPS)
    assert frames[after].seconds - frames[after - 1].seconds >= 5.9
    assert frames[after].pass_ == 1


def test_an_older_list_of_a_cache_gives_nothing_again(server: WebServer) -> None:
    """A list that is shorter than the one before is waited out."""
    asked: list[int] = []

    def flickering(handler: Handler) -> None:
        asked.append(1)
        last = min(2 + len(asked) // 2, PIECES - 1) - (2 if len(asked) % 2 and len(asked) > 2 else 0)
        handler.give(a_list(range(last + 1), end=len(asked) > 2 * PIECES), LIST)

    server.answers["/live.m3u8"] = flickering
    with Camera("cam0", server.url("/live.m3u8"), pace="fast") as camera:
        numbers = [number_of(frame) for frame in watch(camera, 40)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == FPS * PIECES - 1


def test_an_encoder_that_began_again_is_followed(server: WebServer) -> None:
    """Numbers that begin anew with pieces never seen: a cut, and their pictures come."""
    shown = [a_list(range(3), first=500)]
    server.answers["/live.m3u8"] = lambda handler: handler.give(shown[0], LIST)
    with Camera("cam0", server.url("/live.m3u8"), pace="fast") as camera:
        first = [camera.take(5) for _ in range(3 * FPS)]
        assert None not in first
        shown[0] = a_list([6, 7], first=0)
        frame = camera.take(10)
        assert frame is not None
        assert number_of(frame) == 7 * FPS
        assert frame.pass_ == 1


def test_a_discontinuity_is_a_cut_of_one_step(server: WebServer) -> None:
    """Where the list says that another recording begins, tracks end and time goes on by one picture."""
    body = a_list([0, 1, 9, 10], first=0, end=True).replace(b"p9.ts", b"p9.ts").split(b"#EXTINF:1.0,\np9.ts")
    text = b"#EXT-X-DISCONTINUITY\n#EXTINF:1.0,\np9.ts".join(body)
    server.answers["/film"] = lambda handler: handler.give(text, LIST)
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        frames = watch(camera)
    assert [number_of(frame) for frame in frames] == [*range(20), *range(90, 110)]
    assert [frame.pass_ for frame in frames] == [0] * 20 + [1] * 20
    assert np.allclose(np.diff([frame.seconds for frame in frames]), 1 / FPS, atol=2e-3)


def test_a_missing_piece_is_missing_time(server: WebServer) -> None:
    """A piece that the server has lost is passed over; the clock knows how long it was."""
    server.answers["/film"] = lambda handler: handler.give(a_list(range(4), end=True), LIST)
    del server.answers["/p2.ts"]
    with Camera("cam0", server.url("/film"), pace="fast") as camera:
        frames = watch(camera)
    assert [number_of(frame) for frame in frames] == [*range(20), *range(30, 40)]
    assert frames[20].seconds - frames[19].seconds == pytest.approx(1.1, abs=0.02)


def test_pieces_of_one_file_are_fetched_by_range(server: WebServer, pieces: Path) -> None:
    """`EXT-X-BYTERANGE` with and without a place, from a server that knows ranges and from one that does
    not.
    """
    parts = [(pieces / f"p{number}.ts").read_bytes() for number in range(3)]
    whole = b"".join(parts)

    def give(handler: Handler, ranges: bool) -> None:
        asked = handler.headers["Range"]
        if not ranges:
            handler.give(whole, "video/mp2t")
            return
        first, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
        handler.give(whole[first : last + 1], "video/mp2t", 206)

    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for place, part in enumerate(parts):
        at = "" if place else "@0"
        lines += [f"#EXT-X-BYTERANGE:{len(part)}{at}", "#EXTINF:1.0,", "all.ts"]
    server.answers["/film"] = lambda handler: handler.give(
        "\n".join([*lines, "#EXT-X-ENDLIST"]).encode(), LIST
    )
    for ranges in (True, False):
        server.answers["/all.ts"] = lambda handler, ranges=ranges: give(handler, ranges)
        with Camera("cam0", server.url("/film"), pace="fast") as camera:
            assert [number_of(frame) for frame in watch(camera)] == list(range(30))


def test_of_several_variants_one_that_is_worth_its_decoding_is_read(server: WebServer) -> None:
    """Not more than 1280x720, no sound alone; a relative address, behind a redirect, is followed."""
    master = (
        "#EXTM3U\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\nsound.m3u8\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=9000000,RESOLUTION=1920x1080\nlarge.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720\nright.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=300000,RESOLUTION=320x180\nsmall.m3u8\n"
    )

    def elsewhere(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/sub/../right/master.m3u8")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.answers["/cam"] = elsewhere
    for path in ("/sub/../right/master.m3u8", "/right/master.m3u8"):
        server.answers[path] = lambda handler: handler.give(master.encode(), "application/x-mpegurl")
    server.answers["/right/right.m3u8"] = lambda handler: handler.give(
        a_list(range(2), end=True).replace(b"\np", b"\n/p"), LIST
    )
    found = inspect(server.url("/cam"))
    assert (found.width, found.height, found.note) == (128, 96, "variant 2 of 3")
    assert server.asked["/right/right.m3u8"] == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (a_list(range(3), extra='#EXT-X-KEY:METHOD=AES-128,URI="k"'), "is encrypted (AES-128)"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n", "an empty list that has ended"),
        (
            b'#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\nsound.m3u8\n',
            "no variant with a picture",
        ),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:soon\n#EXTINF:1.0,\np0.ts\n", "a list that cannot be read"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_one_line(server: WebServer, body: bytes, says: str) -> None:
    """With the reason."""
    server.answers["/live.m3u8"] = lambda handler: handler.give(body, LIST)
    with pytest.raises(SourceError) as caught:
        probe(server.url("/live.m3u8", "joe:secret@"))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
