"""Applies what may change while an aggregator runs, when its file changes: `[site]`, how long things are
kept, and below how much room.

What always holds: a file that would be refused at a start changes nothing. Of what needs a restart the log
says so. Each aggregator reads its own file; who deletes goes by theirs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from aggregator.config import Config, ConfigError, load

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
LIVE = (
    "mongodb.detail_days", "mongodb.tally_days", "mongodb.batch_days", "mongodb.history_days",
    "mongodb.pictures_days", "mongodb.low_free_mb", "mongodb.full_free_mb", "site.timezone", "site.join",
)  # fmt: skip


class Reload:
    """Follows one file. `apply`: takes the config that is in force from now on."""

    def __init__(self, config: Config, apply: Callable[[Config], None]) -> None:
        self._config = config
        self._apply = apply
        self._seen = _stamp(config.file)
        self._waiting: set[str] = set()  # what is changed and needs a restart

    async def run(self) -> None:
        """Look for changes, for ever."""
        while self._config.file:
            await asyncio.sleep(_LOOK_SECONDS)
            stamp = _stamp(self._config.file)
            if stamp != self._seen:
                self._seen = stamp
                self.take()
        await asyncio.Event().wait()  # made without a file: there is nothing to follow

    def take(self) -> None:
        """Read the file and apply what may be applied."""
        try:
            found = load(Path(self._config.file))
        except ConfigError as error:
            _LOG.warning("the changed settings are not applied: %s", error)
            return
        changed = set(_changed(self._config, found))
        live = sorted(changed & set(LIVE))
        if waiting := changed - set(LIVE) - self._waiting:
            _LOG.warning("applied after a restart: %s", ", ".join(sorted(waiting)))
        self._waiting = changed - set(LIVE)
        if live:
            self._config = _with(self._config, found, live)
            self._apply(self._config)
            _LOG.info("applied: %s", ", ".join(live))


def _stamp(file: str) -> tuple[int, int, int] | None:
    """Return what changes when a file does; None where it is not there."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _changed(one: Config, other: Config) -> Iterator[str]:
    """Return the settings in which two configs differ, as `section.key`."""
    for section in msgspec.structs.fields(Config):
        before = getattr(one, section.name)
        after = getattr(other, section.name)
        if isinstance(before, msgspec.Struct):
            for field in msgspec.structs.fields(before):
                if getattr(before, field.name) != getattr(after, field.name):
                    yield f"{section.name}.{field.name}"


def _with(config: Config, found: Config, keys: list[str]) -> Config:
    """Return a config with some settings of another one."""
    for key in keys:
        section, _, name = key.partition(".")
        value = getattr(getattr(found, section), name)
        changed = msgspec.structs.replace(getattr(config, section), **{name: value})
        config = msgspec.structs.replace(config, **{section: changed})
    return config
