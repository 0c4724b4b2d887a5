"""Make a centre out of a backup: first its files, then its database.

What always holds: a centre that holds anything is never overwritten, and a running one never touched. A file
is read to its end before anything is changed; only what comes by standard input cannot be. A restore that was
interrupted goes on when it is run again, with the same result. Boxes find their centre again by its address:
they know its authority, and it knows their secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import sys
import tarfile
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, TypeVar

import msgspec

from aggregator.backup import files
from aggregator.backup.backup import End, Manifest
from aggregator.backup.errors import BackupError
from aggregator.backup.sealed import CHUNK, Opener
from aggregator.config import Config, load
from aggregator.store.errors import StoreError
from aggregator.store.store import SCHEMA, Store

T = TypeVar("T")
_ALIVE_SECONDS = 15.0
_UNITS = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


class _Entry(NamedTuple):
    name: str
    data: bytes
    mode: int
    owner: int


async def restore(source: Path, passphrase: str, config_file: Path, root: Path | None) -> str:
    """Restore a backup; return what to tell of it.

    Args:
        source: the backup's file; `-` is standard input.
        passphrase: what it was made with.
        config_file: the config of the centre; it comes from the backup where it is not there yet.
        root: the folder for a centre that `init` made; None: the one above the config's.

    Raises:
        BackupError: it is no backup, not this passphrase, not whole, newer, or something is there already.
        StoreError: the database does not answer.
    """
    begun = time.monotonic()
    with _opened(source) as file:
        if source != Path("-"):
            await asyncio.to_thread(_read_through, file, passphrase)
        opener = await asyncio.to_thread(Opener, file, passphrase)
        entries = _entries(opener)
        manifest = _manifest(next(entries, None))
        kept = [
            files.Kept(files.checked(one.name.removeprefix("files/")), one.data, one.mode, one.owner)
            for one in itertools.takewhile(lambda one: one.name != "database", entries)
        ]
        place = files.Place(_root(manifest, config_file, root), config_file)
        if place.is_prepared:  # what is there is looked at before anything is changed
            await _database(load(place.config), manifest, None)
        stayed = files.put(place, kept, manifest.root)
        amount = await _database(load(place.config), manifest, entries)
    seconds = time.monotonic() - begun
    ago = _length(time.time() - manifest.at / 1000)
    return (
        f"{amount:,} documents and {len(kept) - len(stayed)} files, {seconds:.1f} s; all as it was {ago} ago"
        + "".join(f"; {name} stayed as it was here" for name in stayed)
    )


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    """Open a backup; whatever is wrong with its inside is a BackupError."""
    try:
        if source == Path("-"):
            yield sys.stdin.buffer
        else:
            with source.open("rb") as file:
                yield file
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
        raise BackupError("the backup is damaged inside: take another one") from None
    except OSError as error:
        raise BackupError(f"{error.filename or source}: {error.strerror or error}") from None


def _read_through(file: IO[bytes], passphrase: str) -> None:
    """See that a backup is whole; raise BackupError."""
    opener = Opener(file, passphrase)
    while opener.read(CHUNK):
        pass
    file.seek(0)


def _entries(opener: Opener) -> Iterator[_Entry]:
    """Iterate over what the tar holds."""
    with (
        gzip.GzipFile(fileobj=opener, mode="rb") as packed,
        tarfile.open(fileobj=packed, mode="r|") as tar,
    ):
        for info in tar:
            found = tar.extractfile(info)
            yield _Entry(info.name, found.read() if found else b"", info.mode, info.uid)


def _manifest(entry: _Entry | None) -> Manifest:
    if entry is None or entry.name != "manifest.json":
        raise BackupError("the backup does not begin with its manifest: take another one")
    manifest = _decoded(entry.data, Manifest)
    if manifest.schema > SCHEMA:
        raise BackupError(
            f"the backup was made by a newer version ({manifest.product}, schema {manifest.schema}; this one "
            f"knows {SCHEMA}): upgrade, then restore it"
        )
    return manifest


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BackupError(f"the backup is damaged inside: {error}") from None


def _root(manifest: Manifest, config_file: Path, given: Path | None) -> Path | None:
    """Return where the centre's folder is to be, None for a config that stands alone."""
    if not manifest.root:
        return None
    if given is not None:
        return given
    folder = config_file.resolve().parent
    if folder.name != "centre":
        raise BackupError("say with --dir DIR in which folder the centre is to be")
    return folder.parent


async def _database(config: Config, manifest: Manifest, entries: Iterable[_Entry] | None) -> int:
    """Load the documents; return how many. Without `entries`, see only whether they may be loaded."""
    from aggregator.opening import open_store

    try:
        async with open_store(config) as store:
            if await store.registry.living(_ALIVE_SECONDS):
                raise BackupError("an aggregator runs on this database: stop it, then restore")
            if refusal := await store.dump.refusal(manifest.id):
                raise BackupError(refusal)
            return await _load(store, manifest, entries) if entries is not None else 0
    except StoreError as error:
        raise BackupError(f"{error}; then run this again, it goes on where it was") from None


async def _load(store: Store, manifest: Manifest, entries: Iterable[_Entry]) -> int:
    amounts: Counter[str] = Counter()
    end = None
    await store.dump.begin(manifest.id, manifest.at)
    for entry in entries:
        if entry.name == "end.json":
            end = _decoded(entry.data, End)
            continue
        collection = PurePosixPath(entry.name).parts[1]
        amounts[collection] += await store.dump.load(collection, entry.data)
    if end is None or end.documents != dict(amounts):
        raise BackupError("the backup ends before its end: take another one")
    await store.dump.done(round(time.time() * 1000))
    return sum(amounts.values())


def _length(seconds: float) -> str:
    unit, name = next((unit, name) for unit, name in _UNITS if seconds >= 2 * unit or unit == 1)
    return f"{seconds / unit:.0f} {name}"
