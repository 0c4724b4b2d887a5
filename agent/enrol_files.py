"""The files that joining writes: the config, the secret, the centre's authority.

What always holds: the config is changed in its place, comments and all, and only if the agent could run with
it; each file changes at one stroke; a secret is readable by who runs the agent alone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from agent import config as configuration


class EnrolError(Exception):
    """A box that cannot join; the text is one line: the reason and what to do."""


def with_centre(path: Path, url: str, node: str) -> str:
    """Return the config with this centre in it, checked; the packaged sample where there is none."""
    files = {"password_file": str(path.parent / "secret"), "ca_file": str(path.parent / "ca.crt")}
    try:
        text = (path if path.exists() else configuration.SAMPLE).read_text("utf-8-sig")
        text = set_keys(text, "", {"node": node})
        text = set_keys(text, "broker", {"url": url, "username": "", **files})
    except (UnicodeDecodeError, TOMLKitError) as error:
        raise _not_right(path, error) from None
    trial = path.with_name(path.name + ".new")
    write(trial, text, 0o640)
    try:
        configuration.load(trial)
    except configuration.ConfigError as error:
        trial.unlink()
        raise _not_right(path, str(error).replace(str(trial), str(path))) from None
    return text


def _not_right(path: Path, reason: Exception | str) -> EnrolError:
    named = reason if isinstance(reason, str) else f"{path}: {reason}"
    return EnrolError(f"the config has to be right before the box can join: {named}")


def set_keys(text: str, section: str, values: Mapping[str, str]) -> str:
    """Set string keys of one TOML table ("": the root) in its text; everything else stays, comments too.

    A table of another type stays as well: the check of the config refuses it. Raise TOMLKitError.
    """
    document = tomlkit.parse(text)
    table = document.setdefault(section, tomlkit.table()) if section else document
    if isinstance(table, MutableMapping):
        table.update(values)
    return tomlkit.dumps(document)


def put_in_place(folder: Path, config_path: Path, text: str, secret: str) -> None:
    """Put the joined box's files where the agent looks, each at one stroke."""
    write(folder / "secret.new", secret, 0o600)
    state = Path(configuration.load(config_path.with_name(config_path.name + ".new")).state_dir)
    if os.geteuid() == 0 and state.exists():  # who owns the agent's state is who runs it
        os.chown(folder / "secret.new", state.stat().st_uid, state.stat().st_gid)
    mode = 0o640
    owner = folder.stat()
    if config_path.exists():
        mode = config_path.stat().st_mode & 0o777
        owner = config_path.stat()
    write(config_path.with_name(config_path.name + ".new"), text, mode)
    if os.geteuid() == 0:
        os.chown(config_path.with_name(config_path.name + ".new"), owner.st_uid, owner.st_gid)
    for name in ("ca.crt", "secret", config_path.name):
        (folder / f"{name}.new").replace(folder / name)


def fresh_secret(path: Path) -> str:
    """Return a secret that lies on disk; one left by a cut run is used again."""
    if not read(path):
        write(path, secrets.token_hex(32), 0o600)
    return read(path)


def read(path: Path) -> str:
    """Return what a file holds, stripped; empty if there is none."""
    return path.read_text().strip() if path.exists() else ""


def write(path: Path, text: str, mode: int) -> None:
    """Write a file anew, durably, with these rights from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
