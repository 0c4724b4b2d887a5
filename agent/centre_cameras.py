"""Cameras that the centre has added or changed, where the box's owner allows that.

    agent.toml      [camera]                         state folder    cameras.json
                    allow_from_centre = true                         {"cam1": {"source": "rtsp://…"}}

What always holds: without the owner's word nothing here counts, from the next reload on. The owner's own
cameras can be changed, not taken away. Only what is named in `KEYS` can be set: never what may leave the box.
Where a camera is, only the box knows: a path or a secret is never told back, not even to who sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent import atomic_file
from agent.see.feed.address import redact
from agent.see.feed.names import is_camera, local_path

FILE = "cameras.json"
KEYS = ("source", "model", "size", "fps", "format", "pace", "loop")

Table = dict[str, Any]


def read(state_dir: Path) -> dict[str, Table]:
    """Return what the centre has set, by camera; raise OSError, or ValueError for a damaged file."""
    try:
        found = msgspec.json.decode((state_dir / FILE).read_bytes(), type=dict[str, Table])
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{error}; take the file away, and the owner's cameras are left") from None
    return {name: {key: table[key] for key in KEYS if key in table} for name, table in found.items()}


def write(state_dir: Path, cameras: Mapping[str, Table]) -> None:
    """Keep what the centre has set; raise OSError."""
    atomic_file.write(state_dir / FILE, msgspec.json.encode(cameras), 0o600)


def merged(owner: Mapping[str, Any], centre: Mapping[str, Table]) -> dict[str, Any]:
    """Return the tables of all cameras: the owner's, with what the centre has set in its place."""
    tables = dict(owner)
    for name, table in centre.items():
        own = owner.get(name, {})
        tables[name] = {**own, **table} if isinstance(own, dict) else own
    return tables


def shown(source: str) -> str:
    """Return where a camera is, as it may be told: no secret, and of this box's files not even the name."""
    path = local_path(source)
    if path is None:
        return redact(source)
    if is_camera(path):
        return f"a camera of the box, {path}"
    return "a file or folder of the box"
