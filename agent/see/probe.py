"""What a source gives, found out by opening it once: for `check`, before anything counts on it."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

from agent.see.feed.video import UNCLOCKED
from agent.see.feed.wish import NOTHING, Wish
from agent.see.sources import Source, SourceError, open_source, redact


@dataclass(frozen=True, slots=True)
class Probe:
    """What a source gives: size in pixels, pictures a second, and what else there is to say."""

    width: int
    height: int
    fps: float
    note: str


def inspect(url: str, timeout: float = 10.0, wish: Wish = NOTHING) -> Probe:
    """Open a source and read one picture; raise SourceError with the reason."""
    with closing(open_source(url, timeout, wish)) as source:
        picture = source.read()
        if picture is None:
            raise SourceError(f"{redact(url)} holds no picture that can be decoded; check the file")
        height, width = picture.image.shape[:2]
        for _ in range(UNCLOCKED):  # a recording without times shows by its next pictures
            source.skip()
        unclocked = source.live and picture.seconds is None and picture.taken is None
        return Probe(width, height, _rate(source) if unclocked else source.fps, source.note)


def probe(url: str, timeout: float = 10.0) -> tuple[int, int, float]:
    """Return (width, height, frames a second) of a source, or raise SourceError with the reason."""
    found = inspect(url, timeout)
    return found.width, found.height, found.fps


def _rate(source: Source) -> float:
    """Measure for a second: a stream of JPEGs does not say its rate. What was waiting comes first."""
    begun = time.monotonic()
    moments = [0.0]
    while moments[-1] < 1.5:
        source.read()
        moments.append(time.monotonic() - begun)
    steady = [moment for moment in moments if moment > 0.4]
    return (len(steady) - 1) / (steady[-1] - steady[0]) if len(steady) > 1 else 1 / steady[0]
