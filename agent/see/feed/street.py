"""The built-in street as a source."""

from __future__ import annotations

from agent.see.feed.options import numbers
from agent.see.feed.picture import NO_IMAGE, Feed, Picture, SourceError, Wants, always
from agent.street.scene import Scene


class SceneSource(Feed):
    """Give the built-in street, from its frame 0, without an end."""

    def __init__(self, url: str) -> None:
        options = numbers(url, {"seed": 7, "fps": 15, "width": 960, "height": 540})
        self.fps = options["fps"]
        size = int(options["width"]), int(options["height"])
        try:
            self.scene = Scene(int(options["seed"]), *size, self.fps)
        except ValueError as error:
            raise SourceError(f"{url}: {error}") from None
        self.number = 0

    def read(self, wants: Wants = always) -> Picture:
        """Draw the next frame."""
        seconds = self.number / self.fps
        image = self.scene.frame(self.number) if wants(seconds) else NO_IMAGE
        self.number += 1
        return Picture(image, seconds)

    def skip(self) -> bool:
        """Leave a frame undrawn."""
        self.number += 1
        return True
