"""What the owner of a camera may ask of it. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner asks of a camera; nothing asked is the camera's own choice.

    Attributes:
        size: width and height of a USB camera's pictures, pixels; (0, 0): its own.
        fps: pictures a second of a USB camera, or how often a single picture is fetched; 0: its own.
        format: four letters for a USB camera, such as MJPG or YUYV; empty: its own.
    """

    size: tuple[int, int] = (0, 0)
    fps: float = 0.0
    format: str = ""


NOTHING = Wish()
