"""RTSP out: one camera's annotated picture, as H.264, pushed to any RTSP server by Debian's ffmpeg as a
child.

What always holds: the child is given whole pictures through a pipe by a thread of its own; one picture waits
at most, and the newest wins, so neither counting nor the other ways out ever wait for it. A child that ends
is started again after 1, 2, 4 ... 60 s. It is the first that is dropped: while the camera is behind (`busy`),
nothing is pushed, and that is told. It dies with the agent. No credential of the address reaches a log; who
may list this machine's processes sees it, since ffmpeg takes addresses as arguments only.

    Shown ─ annotate ─▶ [ newest ] ─ thread ─▶ pipe ─▶ ffmpeg -c:v libx264 -f rtsp ─▶ server
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from agent.boxes import Uint8
from agent.see.feed.address import redact
from agent.show.showing import Shown

_LOG = logging.getLogger(__name__)

FPS = 5
LONGEST_WAIT = 60.0
STEADY_SECONDS = 30.0  # a child that has lived so long was a good one
STOP_SECONDS = 3.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)


class RtspOut:
    """The way out to one RTSP server. `draw`: annotates; `busy`: tells that the box has no time for this."""

    name = "rtsp"
    every = 1 / FPS

    def __init__(
        self,
        camera: str,
        address: str,
        draw: Callable[[Shown], Uint8],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.problem = ""  # one line for a person; empty while all is well
        self._camera = camera
        self._address = address
        self._draw = draw
        self._busy = busy
        self._newest: Uint8 | None = None
        self._changed = threading.Condition()
        self._ending = False
        self._child: subprocess.Popen[bytes] | None = None
        self._size = (0, 0)
        self._not_before = 0.0
        self._failures = 0
        self._began = 0.0
        self._thread = threading.Thread(target=self._push, name=f"rtsp {camera}", daemon=True)

    def start(self) -> None:
        """Begin to push."""
        self._thread.start()

    def watchers(self) -> list[tuple[str, str]]:
        """Return the server, unless the box is behind or the child rests after a failure."""
        if self._busy():
            self._say("held back: the box is behind with counting")
            return []
        if time.monotonic() < self._not_before:
            return []
        return [(redact(self._address), "owner")]

    def take(self, shown: Shown) -> None:
        """Keep a picture for the pushing thread; one that waits is replaced."""
        image = self._draw(shown)
        height, width = image.shape[:2]
        with self._changed:
            self._newest = image[: height - height % 2, : width - width % 2]  # 4:2:0 has no odd sides
            self._changed.notify()

    def stop(self) -> None:
        """End the child and the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        child = self._child
        if child is not None:
            child.kill()  # what is being written to it fails; the rest is the pushing thread's
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    # ── the pushing thread ──

    def _push(self) -> None:
        while (image := self._next()) is not None:
            try:
                self._write(image)
            except OSError as error:
                self._failed(error)
        self._end_child()

    def _next(self) -> Uint8 | None:
        """Wait for a picture; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._newest is not None)
            image = self._newest
            self._newest = None
            return None if self._ending else image

    def _write(self, image: Uint8) -> None:
        """Give the child a picture; begin one if there is none, or the size has changed. Raise OSError."""
        size = (image.shape[1], image.shape[0])
        if self._child is None or size != self._size:
            self._end_child()
            self._child = self._begin(size)
            self._size = size
            self._began = time.monotonic()
        assert self._child.stdin is not None
        self._child.stdin.write(image.tobytes())
        self._child.stdin.flush()
        if time.monotonic() - self._began > STEADY_SECONDS:
            self._failures = 0
        if self._failures == 0 or time.monotonic() - self._began > 1.0:
            self._say("")

    def _begin(self, size: tuple[int, int]) -> subprocess.Popen[bytes]:
        """Start the child; raise OSError if there is no ffmpeg."""
        program = shutil.which("ffmpeg")
        if program is None:
            raise FileNotFoundError(2, "ffmpeg is not installed: sudo apt-get install ffmpeg")
        return subprocess.Popen(
            [program, *arguments(size, self._address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )

    def _failed(self, error: OSError) -> None:
        self._end_child()
        self._failures += 1
        wait = min(2.0 ** (self._failures - 1), LONGEST_WAIT)
        self._not_before = time.monotonic() + wait
        why = "the server does not take it" if isinstance(error, BrokenPipeError) else error.strerror
        self._say(f"{redact(self._address)}: {why}; tried again in {wait:.0f} s and later")

    def _end_child(self) -> None:
        child = self._child
        self._child = None
        if child is None:
            return
        child.kill()  # a live stream has no end that would have to be written
        child.wait()
        if child.stdin is not None:
            with contextlib.suppress(OSError):  # what waits in the pipe has nowhere to go
                child.stdin.close()

    def _say(self, problem: str) -> None:
        """Keep the problem for whoever asks; log it when its kind is news."""
        if bool(problem) != bool(self.problem):
            level = logging.WARNING if problem else logging.INFO
            _LOG.log(level, "%s: rtsp out: %s", self._camera, problem or "pushed")
        self.problem = problem


def arguments(size: tuple[int, int], address: str) -> list[str]:
    """Return ffmpeg's arguments for pictures (width, height) that come through its standard input."""
    return [
        *("-hide_banner", "-loglevel", "error", "-nostdin"),
        *("-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{size[0]}x{size[1]}"),
        *("-use_wallclock_as_timestamps", "1", "-i", "pipe:0", "-an"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
        *("-g", str(2 * FPS), "-vsync", "passthrough", "-threads", "1"),
        *("-f", "rtsp", "-rtsp_transport", "tcp", "-timeout", "5000000", address),
    ]


def _die_with_parent() -> None:
    """Ask the kernel to end this child with the agent, however that ends."""
    _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
