"""Make a backup while the centre runs: a tar of everything, compressed, sealed under a passphrase.

    manifest.json            when, by which version, where the centre lay
    files/centre/...         files of the centre, see `files`
    database                 nothing: here its documents begin
    db/COLLECTION/N.bson     documents back to back, `batches` first, see `store.dump`
    end.json                 how many documents there are of each collection

The file appears under its name only when it is whole and on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import os
import secrets
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Annotated

import msgspec
from msgspec import Meta, Struct

from aggregator.backup import files
from aggregator.backup.errors import BackupError
from aggregator.backup.sealed import Sealer
from aggregator.config import Config, ConfigError
from aggregator.store.store import SCHEMA, Store

_FASTEST = 1  # of gzip's levels: what is stored is dense already
_SHORTEST_PASSPHRASE = 12


class Manifest(Struct, frozen=True):
    """What a backup says of itself. `root`: the centre's folder, empty if it was a config alone."""

    id: str
    at: int  # Unix ms
    product: str
    schema: int
    root: str


class End(Struct, frozen=True):
    """The last thing in a backup: collection -> documents."""

    documents: dict[str, Annotated[int, Meta(ge=0)]]


def checked_passphrase(text: str) -> str:
    """Return a passphrase; raise ConfigError if it is short."""
    if len(text) < _SHORTEST_PASSPHRASE:
        raise ConfigError(f"a backup's passphrase has at least {_SHORTEST_PASSPHRASE} characters")
    return text


def root_of(config_file: Path, given: Path | None) -> Path | None:
    """Return the folder of a centre that `init` made, None for a config that stands alone."""
    if given is not None:
        return given
    above = config_file.resolve().parent.parent
    return above if (above / "ca").is_dir() else None


async def back_up(config: Config, config_file: Path, root: Path | None, target: Path, passphrase: str) -> str:
    """Write a backup of the centre to `target`; return what to tell of it.

    Args:
        config: the centre's.
        config_file: where that stands.
        root: the centre's folder, see `root_of`.
        target: the file to write; `-` is standard output.
        passphrase: without it nobody can read the backup.

    Raises:
        BackupError: the files cannot be read, or the backup cannot be written.
        StoreError: the database does not answer.
    """
    from aggregator.opening import open_store

    begun = time.monotonic()
    _whole(root, config)
    kept = files.collect(root, config, config_file)
    manifest = Manifest(secrets.token_hex(8), round(time.time() * 1000), _version(), SCHEMA, _text(root))
    async with open_store(config) as store:
        with _file(target) as file:
            amounts = await _write(file, passphrase, manifest, kept, store)
            size = file.tell() if target != Path("-") else 0
    where = f"{size / 1e6:.1f} MB" if size else "written to standard output"
    seconds = time.monotonic() - begun
    return f"{sum(amounts.values()):,} documents and {len(kept)} files, {where}, {seconds:.1f} s"


def _text(root: Path | None) -> str:
    return str(root.absolute()) if root else ""


def _whole(root: Path | None, config: Config) -> None:
    """Raise BackupError where only a part of a prepared centre is to be seen, as in the running container."""
    if root is None and (config.path(config.enrol.dir or ".") / "porter").exists():
        raise BackupError(
            "the authority and the broker's rights are not to be seen from here, and without them no box "
            "would come back: `docker compose run --rm backup`, or name the folder that `init` made by --dir"
        )


def _version() -> str:
    try:
        return version("gb-fleet")
    except PackageNotFoundError:
        return "unknown"


@contextlib.contextmanager
def _file(target: Path) -> Iterator[IO[bytes]]:
    """Open what is written; under its own name it appears at the end, whole. Raise BackupError."""
    if target == Path("-"):
        if sys.stdout.isatty():
            raise BackupError("a backup is no text: name a file, or send standard output into one")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    fresh = target.with_name(f"{target.name}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except OSError as error:
        raise BackupError(f"{error.filename or target}: {error.strerror}; nothing was written") from None
    finally:
        fresh.unlink(missing_ok=True)


async def _write(
    file: IO[bytes], passphrase: str, manifest: Manifest, kept: list[files.Kept], store: Store
) -> Counter[str]:
    amounts: Counter[str] = Counter()
    sealer = await asyncio.to_thread(Sealer, file, passphrase)
    with (
        sealer,
        gzip.GzipFile(fileobj=sealer, mode="wb", compresslevel=_FASTEST) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        _add(tar, "manifest.json", msgspec.json.encode(manifest))
        for one in kept:
            _add(tar, f"files/{one.name}", one.data, one.mode, one.owner)
        _add(tar, "database", b"")
        number = 0
        async for name, part in store.dump.parts():
            number += 1
            amounts[name] += await asyncio.to_thread(_add_part, tar, f"db/{name}/{number}.bson", part)
        _add(tar, "end.json", msgspec.json.encode(End(dict(amounts))))
    return amounts


def _add_part(tar: tarfile.TarFile, name: str, part: bytes) -> int:
    """Add documents; return how many they are."""
    _add(tar, name, part)
    amount = 0
    place = 0
    while place < len(part):
        place += int.from_bytes(part[place : place + 4], "little")
        amount += 1
    return amount


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o600, owner: int = 0) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = mode
    entry.uid = entry.gid = owner
    entry.mtime = int(time.time())
    tar.addfile(entry, io.BytesIO(data))
