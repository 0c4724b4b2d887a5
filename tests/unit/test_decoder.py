"""Films decoded by FFmpeg's own libraries: OpenCV's pictures and times, and less work where nothing moves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.minute import Ledger
from agent.see.capture import Camera
from agent.see.feed.video import FilmSource
from agent.see.gate import FASTEST, Attention, Gate

pytest.importorskip("av", reason="PyAV is not installed: OpenCV decodes everything")
from agent.see.feed.decoder import Decoder

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="there is no ffmpeg to make a film with"
)

FRAMES = 60
CODECS = {
    "h264": "-c:v libx264 -bf 3",
    "h265": "-c:v libx265 -x265-params log-level=none:bframes=3",
    "mpeg4": "-c:v mpeg4 -bf 2",
}


@pytest.fixture(scope="module", params=CODECS)
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two still seconds and three in which a clock runs, 12 pictures a second, with B-frames."""
    path = tmp_path_factory.mktemp("film") / f"{request.param}.mp4"
    source = "-f lavfi -i testsrc=size=320x180:rate=12:duration=5"
    command = f"ffmpeg -v error {source} {CODECS[request.param]} -pix_fmt yuv420p {path}"
    subprocess.run(command, shell=True, check=True)
    return path


def opened(path: Path) -> Decoder:
    """Return the decoder of a file that can be read."""
    decoder = Decoder.open(str(path))
    assert decoder is not None
    return decoder


def test_pictures_and_times_are_those_of_opencv(film: Path) -> None:
    """Each picture to the last digit, its time, the rate and the number of pictures."""
    capture = cv2.VideoCapture(str(film), cv2.CAP_FFMPEG)
    decoder = opened(film)
    for _ in range(FRAMES):
        assert decoder.grab()
        assert capture.grab()
        assert np.array_equal(decoder.retrieve()[1], capture.retrieve()[1])
        for key in (cv2.CAP_PROP_POS_MSEC, cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT):
            assert decoder.get(key) == pytest.approx(capture.get(key))
    assert not decoder.grab()
    assert decoder.spare(False) == 0
    decoder.release()
    capture.release()


def test_what_no_other_picture_needs_is_left_out_and_counted(film: Path) -> None:
    """While sparing, what comes is as without, only less; together all came; MPEG-4 tells it too."""
    whole = opened(film)
    pictures = {}
    while whole.grab():
        pictures[whole.get(cv2.CAP_PROP_POS_MSEC)] = whole.retrieve()[1]
    whole.release()
    decoder = opened(film)
    decoder.spare(True)
    came = 0
    while decoder.grab():
        came += 1
        assert np.array_equal(decoder.retrieve()[1], pictures[decoder.get(cv2.CAP_PROP_POS_MSEC)])
    spared = decoder.spare(True)
    decoder.release()
    assert came + spared == FRAMES
    assert spared >= FRAMES // 4


def test_from_the_moment_on_in_which_sparing_ends_every_picture_comes(film: Path) -> None:
    """What is still left out is what was given to the decoder before: four pictures at most."""
    decoder = opened(film)
    decoder.spare(True)
    for _ in range(8):
        assert decoder.grab()
    begun = round(decoder.get(cv2.CAP_PROP_POS_MSEC) * 12 / 1000)
    decoder.spare(False)
    rest = 0
    while decoder.grab():
        rest += 1
    spared = decoder.spare(False)
    decoder.release()
    assert spared <= 4
    assert rest + spared == FRAMES - 1 - begun


class Asked(Gate):
    """A gate that counts which pictures it is asked about: those that were decoded."""

    asked = 0

    def due(self, seconds: float) -> bool:
        self.asked += 1
        return super().due(seconds)


@pytest.mark.parametrize(
    ("attention", "watched", "spares"),
    [(Attention(), False, True), (Attention(FASTEST), False, False), (Attention(), True, False)],
    ids=["nothing is followed", "something is followed", "somebody watches"],
)
def test_only_while_nothing_is_followed_and_nobody_watches_is_anything_left_out(
    film: Path, attention: Attention, watched: bool, spares: bool
) -> None:
    """Whatever is left out, each picture that came is counted once, and all time was watched."""
    gate = Asked()
    gate.open = watched
    watch = Ledger()
    with Camera("cam0", str(film), pace="fast", gate=gate) as camera:
        while camera.state != "ended":
            frame = camera.take(0.2)
            if frame is not None:
                watch.calm(frame.calm)
                watch.frame(frame.seconds)
                gate.tell(frame.look, attention)
        watch.calm(camera.take_calm())
    assert (camera.captured, camera.dropped) == (FRAMES, 0)
    assert (gate.asked < FRAMES - 10) == spares
    assert gate.asked == FRAMES - 1 or spares
    assert watch.take() == (pytest.approx(4917, abs=2), {})


def test_a_film_that_lies_on_its_side_is_turned(film: Path, tmp_path: Path) -> None:
    """A film that says by how much it is to be turned is turned as OpenCV does it."""
    shapes = set()
    for angle in (90, 180, 270):
        turned = tmp_path / f"{angle}.mp4"
        older = f"ffmpeg -v error -i {film} -c copy -metadata:s:v rotate={angle} {turned}"
        newer = f"ffmpeg -v error -display_rotation {angle} -i {film} -c copy {turned}"
        subprocess.run(f"{newer} 2>/dev/null || {older}", shell=True, check=True)
        capture = cv2.VideoCapture(str(turned), cv2.CAP_FFMPEG)
        decoder = opened(turned)
        assert decoder.grab()
        image = decoder.retrieve()[1]
        assert image is not None
        assert np.array_equal(image, capture.read()[1])
        shapes.add(image.shape)
        decoder.release()
        capture.release()
    assert shapes == {(320, 180, 3), (180, 320, 3)}


def test_a_film_that_changes_its_size_keeps_its_first_one(tmp_path: Path) -> None:
    """Pictures of another size are brought to that of the first, as OpenCV does it."""
    path = tmp_path / "both.ts"
    for size in ("320x180", "640x480"):
        source = f"-f lavfi -i testsrc=size={size}:rate=12:duration=1"
        subprocess.run(f"ffmpeg -v error {source} -c:v libx264 -f mpegts - >> {path}", shell=True, check=True)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    decoder = opened(path)
    for _ in range(24):
        assert decoder.grab()
        image = decoder.retrieve()[1]
        assert image is not None
        assert image.shape == (180, 320, 3)
        assert np.array_equal(image, capture.read()[1])
    decoder.release()
    capture.release()


def test_without_pyav_opencv_decodes_everything(film: Path) -> None:
    """Where PyAV is not installed a film is read as well; nothing is left out."""
    script = f"""
import sys
sys.modules["av"] = None
from pathlib import Path
from agent.see.feed.video import FilmSource
source = FilmSource.file(Path({str(film)!r}))
source.spare(True)
count = 0
while source.read() is not None:
    count += 1
print(count, source.spare(True))
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == [str(FRAMES), "0"]


def test_a_broken_film_ends_where_it_breaks(film: Path, tmp_path: Path) -> None:
    """Half a film gives what is in it, and no error; a file that is none is refused in one line."""
    half = tmp_path / "half.mkv"
    subprocess.run(f"ffmpeg -v error -i {film} -c copy {half}", shell=True, check=True)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    source = FilmSource.file(half)
    count = 0
    while source.read() is not None:
        count += 1
    source.close()
    assert 5 < count < FRAMES
    assert Decoder.open(str(Path(__file__))) is None
