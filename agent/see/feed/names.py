"""What a source's name says before it is opened: a camera of this box, a recording, or neither.

Invariant: what leads to a camera is a camera, wherever the link lies and whether it is plugged in or not. Any
name of udev's will do: /dev/video0, /dev/v4l/by-id/..., /dev/cam-front. Imports nothing heavy.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import unquote

DEVICES = Path("/dev")


def local_path(source: str) -> Path | None:
    """Return the path that a source names on this box, or None for an address and the scene."""
    if source.isdigit():
        return DEVICES / f"video{source}"
    if source.startswith("file://"):
        return Path(of_file_url(source))
    if "://" in source or source.startswith("scene:"):
        return None
    return Path(os.path.expanduser(source))


def of_file_url(url: str) -> str:
    """Return the path that a `file:` address names; its host is this one (RFC 8089), named or not."""
    return unquote(url.removeprefix("file://").removeprefix("localhost"))


def is_camera(path: Path) -> bool:
    """Tell whether a path is, or leads to, a camera: a device, or anything in /dev that is no file or
    folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        real = Path(os.path.realpath(path))
        return real.is_relative_to(os.path.realpath(DEVICES)) or real.is_relative_to(DEVICES)
    return stat.S_ISCHR(mode)
