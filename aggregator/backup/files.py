"""The files of a centre: which of them a backup holds, and where a restore puts them.

What always holds: a file is written whole or not at all, with the rights that it had, and readable by nobody
else at any moment. What describes the new place (its addresses, its database's password) stays as it is where
the new place was prepared before; who the centre is (authority, certificate, rights, secrets) comes from the
backup.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aggregator.backup.errors import BackupError
from aggregator.config import Config

FOLDERS = ("ca", "mosquitto", "mongodb", "centre", "demo")
RIGHTS = "mosquitto-data/dynamic-security.json"
CONFIG = "centre/aggregator.toml"
SETTINGS = frozenset(
    (
        CONFIG,
        "centre/mongodb",
        "mosquitto/mosquitto.conf",
        "mongodb/root-password",
        "mongodb/user.js",
        "demo/agent.toml",
    )
)
_MOVED = frozenset((CONFIG, "mosquitto/mosquitto.conf", "demo/agent.toml"))  # they name paths of their place


@dataclass(frozen=True, slots=True)
class Kept:
    """One file as a backup holds it. `name`: below the centre's folder, with slashes."""

    name: str
    data: bytes
    mode: int
    owner: int


def collect(root: Path | None, config: Config, config_file: Path) -> list[Kept]:
    """Return the files of the centre in `root`, or, if that is None, of a config that stands alone."""
    try:
        if root is None:
            return _alone(config, config_file)
        rights = root / RIGHTS
        json.loads(rights.read_bytes())  # the broker replaces it whole, so half of it means damage
        paths = [path for name in FOLDERS for path in sorted((root / name).glob("*")) if path.is_file()]
        return [_read(path, path.relative_to(root).as_posix()) for path in [*paths, rights]]
    except OSError as error:
        raise BackupError(
            f"{error.filename}: {error.strerror}; a backup is made where all of the centre's folders can be "
            "read: with Docker, `docker compose run --rm backup`"
        ) from None
    except ValueError:
        raise BackupError(f"{root}/{RIGHTS} is no JSON: let the broker write it again, then try") from None


def _alone(config: Config, config_file: Path) -> list[Kept]:
    """Return a config and the secrets that it names, as if they lay in one folder."""
    sections = (config.broker, config.mongodb, config.http)
    named = [
        getattr(section, key)
        for section in sections
        for key in ("password_file", "ca_file", "token_file")
        if getattr(section, key, "")
    ]
    paths = {config_file: CONFIG}
    for name in named:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BackupError(f"{name}: this backup holds files beside the config only; move it there")
        paths[config.path(name)] = f"centre/{name}"
    return [_read(path, name) for path, name in paths.items()]


def _read(path: Path, name: str) -> Kept:
    found = path.stat()
    return Kept(name, path.read_bytes(), found.st_mode & 0o777, found.st_uid)


def checked(name: str) -> str:
    """Return a name of a file in a backup; raise BackupError if it would lie elsewhere."""
    path = PurePosixPath(name)
    known = path.parts[:1] and path.parts[0] in FOLDERS
    if not (known or name == RIGHTS) or path.is_absolute() or ".." in path.parts:
        raise BackupError(f"the backup holds a file that no centre has: {name[:80]!r}")
    return name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a restored centre lies. `root`: its folder; None: a config alone, with its secrets beside it."""

    root: Path | None
    config_file: Path

    @property
    def config(self) -> Path:
        """The centre's config."""
        return self.root / CONFIG if self.root else self.config_file

    @property
    def is_prepared(self) -> bool:
        """True if a config lies there already."""
        return self.config.exists()

    def path(self, name: str) -> Path:
        """Return where a file of the backup belongs."""
        if name == CONFIG:
            return self.config
        return (
            self.root / name if self.root else self.config.parent / PurePosixPath(name).relative_to("centre")
        )


def put(place: Place, files: Iterable[Kept], old_root: str) -> list[str]:
    """Write a backup's files; return the names of those that stayed as this place had them.

    Args:
        place: where they belong.
        files: what the backup holds.
        old_root: the centre's folder when the backup was made; paths below it are moved.

    Raises:
        BackupError: it cannot be written.
    """
    prepared = place.is_prepared
    stayed = []
    try:
        for file in files:
            path = place.path(file.name)
            if prepared and file.name in SETTINGS and path.exists():
                stayed.append(file.name)
                continue
            data = file.data
            if file.name in _MOVED and old_root and place.root:
                data = data.replace(f"{old_root}/".encode(), f"{place.root.absolute()}/".encode())
            _write(path, data, file.mode, file.owner)
    except OSError as error:
        raise BackupError(
            f"{error.filename}: {error.strerror}; run it as a user who may write there"
        ) from None
    return stayed


def _write(path: Path, data: bytes, mode: int, owner: int) -> None:
    for folder in (path.parent.parent, path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        owner = path.stat().st_uid if path.exists() else owner
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    if os.geteuid() == 0:
        os.chown(fresh, owner, owner)
    fresh.replace(path)
