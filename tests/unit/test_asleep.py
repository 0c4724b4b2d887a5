"""A machine that sleeps: its time is blind, not watched, and nobody is followed across it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.minute import Ledger
from agent.see.asleep import Sleep
from agent.see.course import Course
from agent.see.feed.picture import Feed, Picture
from agent.see.intake import Intake
from agent.see.slot import Frame, Slot
from agent.see.status import Status
from agent.street.scene import Scene

HOUR = 3600.0


class Clocks:
    """The two clocks of a machine; `boot` goes on while it sleeps."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.boot = 1000.0

    def go(self, seconds: float, asleep: float = 0.0) -> None:
        self.monotonic += seconds
        self.boot += seconds + asleep

    def sleep(self) -> Sleep:
        return Sleep(lambda: self.monotonic, lambda: self.boot)


def test_what_was_slept_only_grows() -> None:
    """Two sleeps add up; parts of a second, and a clock that seems to go back, change nothing."""
    clocks = Clocks()
    sleep = clocks.sleep()
    told = []
    for seconds, asleep in ((5.0, 0.0), (5.0, 0.4), (5.0, HOUR), (5.0, -2.0), (5.0, 62.0)):
        clocks.go(seconds, asleep)
        told.append(sleep.seconds())
    assert told == pytest.approx([0.0, 0.0, HOUR + 0.4, HOUR + 0.4, HOUR + 60.4])


def test_a_wait_between_two_readings_is_no_sleep() -> None:
    """The thread stood still for two seconds between the readings: that is not booked."""
    clocks = Clocks()

    def monotonic() -> float:
        clocks.go(2.0)
        return clocks.monotonic

    assert Sleep(monotonic, lambda: clocks.boot).seconds() == 0.0


def test_the_systems_own_clocks_tell_a_sleep() -> None:
    """In a time namespace whose clock of the boot is an hour ahead, an hour was slept; here, what is slept is
    what both clocks say.
    """
    code = "from agent.see.asleep import Sleep; print(Sleep().seconds())"
    root = Path(__file__).parents[2]
    python = [sys.executable, "-c", code]
    here = float(subprocess.check_output(python, cwd=root))
    there = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--time", "--boottime", "3600", *python],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if there.returncode:
        pytest.skip(f"no time namespaces here: {there.stderr.strip()[:80]}")
    assert float(there.stdout) == pytest.approx(here + HOUR, abs=1.5)


class Camera(Feed):
    """A live camera of ten pictures a second on a machine's clocks; it sleeps before the 30th."""

    live = True
    fps = 10.0

    def __init__(self, clocks: Clocks, stop: Callable[[], None]) -> None:
        self._clocks = clocks
        self._stop = stop
        self._number = 0
        self._scene = Scene(7, 320, 180, 10)

    def read(self, wants: Callable[[float], bool] = lambda seconds: True) -> Picture:
        """Return the next picture."""
        self._number += 1
        self._clocks.go(0.1, HOUR if self._number == 30 else 0.0)
        if self._number == 60:
            self._stop()
        wants(self._clocks.monotonic)
        return Picture(self._scene.frame(self._number), None, taken=self._clocks.monotonic)

    def close(self) -> None:
        """There is nothing to close."""


def test_an_hour_of_sleep_is_blind_and_nobody_is_followed_across_it() -> None:
    """Six seconds of a camera with an hour's sleep in the middle: the frames' clock leaps by the hour, 5.8 s
    are watched, and the minute tells that it was blind; before, nothing was told and tracks went on.
    """
    clocks = Clocks()
    slot = Slot(waits=False)
    intake = Intake(slot, Status("", lambda: 0, None), None, 10.0)
    intake.sleep = clocks.sleep()
    frames: list[Frame] = []
    put = slot.put

    def keep(image: np.ndarray, seconds: float, look: int) -> None:
        put(image, seconds, look)
        frame = slot.take(0)
        if frame is not None:
            frames.append(frame)

    slot.put = keep  # type: ignore[method-assign]
    Course(Camera(clocks, slot.stop), intake, "real").read()
    steps = np.diff([frame.seconds for frame in frames])
    assert (steps > 0).all()
    assert steps.max() == pytest.approx(HOUR + 0.1)
    assert np.sort(steps)[-2] == pytest.approx(0.1)
    ledger = Ledger()
    for frame in frames:
        ledger.frame(frame.seconds)
    watched, blind = ledger.take()
    assert watched == pytest.approx((len(frames) - 2) * 100, abs=2)
    assert blind == {"stalled": 60_000}
