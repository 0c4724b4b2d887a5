"""A name that the centre has given this box, in the place of the one in its file.

The owner's file is not the agent's to write, so name and secret lie in the state folder:

    name.json     {"was": the name in the file, "node": the name from then on, "file": where its secret is}
    secret-NODE   of the new name, where the broker asks for one

What always holds: it counts only while the file still has the name that it takes the place of; who writes
another name into the file, or joins the box anew, has the last word. Name and secret change at one stroke,
with `name.json`: a cut at any moment leaves a box that its centre lets in.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from agent import atomic_file, wire

NAME = "name.json"
SECRET = "secret"  # as files of secrets begin; alone it is one that version 0.10 wrote
_BYTES = 32


class NewName(Struct, frozen=True):
    """Which name takes the place of which. `secret`: there is one for it, in `file` of the state folder."""

    was: str
    node: str
    secret: bool = False
    file: str = SECRET


def read(state_dir: Path, name: str) -> NewName | None:
    """Return what takes the place of a name, None if nothing does; raise OSError."""
    found = _kept(state_dir)
    return found if found is not None and found.was == name else None


def _kept(state_dir: Path) -> NewName | None:
    try:
        found = msgspec.json.decode((state_dir / NAME).read_bytes(), type=NewName)
        wire.valid_node(found.node)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError, wire.WireError):
        return None
    return found


def prepare(state_dir: Path, node: str) -> str:
    """Return a new secret for a name that lies on disk already, beside the one in use; raise OSError."""
    secret = secrets.token_hex(_BYTES)
    atomic_file.write(state_dir / _file_of(node), secret, 0o600)
    return secret


def take(state_dir: Path, now: str, node: str, *, secret: bool) -> None:
    """Let the box have another name from its next start on; raise OSError.

    Args:
        state_dir: the state folder.
        now: the name that it has now, from its file or from here.
        node: the new name.
        secret: take that of `prepare` too.
    """
    kept = _kept(state_dir)
    before = kept if kept is not None and kept.node == now else NewName(now, now)
    name = msgspec.structs.replace(before, node=node)
    if secret:
        name = msgspec.structs.replace(name, secret=True, file=_file_of(node))
    atomic_file.write(state_dir / NAME, msgspec.json.encode(name), 0o600)
    if before.secret and before.file != name.file:
        (state_dir / before.file).unlink(missing_ok=True)


def _file_of(node: str) -> str:
    return f"{SECRET}-{node}"


def forget(state_dir: Path) -> None:
    """Let the name in the file count again; raise OSError."""
    (state_dir / NAME).unlink(missing_ok=True)
