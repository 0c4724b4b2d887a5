"""Show and change single settings of the centre's TOML, for `gb-aggregator set`.

What always holds: a file that would be refused at the next start is never written; comments and the order of
the file stay as they are; a change is there whole or not at all, with the owner and the rights that were.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_origin

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from agent import atomic_file
from agent.atomic_file import replacing
from aggregator.config import Config, ConfigError, load


def lines(path: Path, only: str = "") -> list[str]:
    """Return settings as `section.key = value`, all of them or one; raise ConfigError."""
    config = load(path)
    keys = [_known(only)] if only else list(_keys())
    return [f"{key} = {_shown(key, _value(config, key))}" for key in keys]


def change(path: Path, key: str, text: str) -> str:
    """Set one setting in the file; return it as it is written now. Raise ConfigError."""
    section, _, name = _known(key).partition(".")
    try:
        tree = tomlkit.parse(path.read_text("utf-8-sig"))
        tree.setdefault(section, tomlkit.table())[name] = _read(key, text)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text. Save it as UTF-8") from None
    except (OSError, TOMLKitError) as error:
        raise ConfigError(f"{path}: {error}") from None
    _replace(path, tomlkit.dumps(tree), _loads(path))
    return lines(path, key)[0]


def _keys() -> Iterator[str]:
    for section in msgspec.structs.fields(Config):
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct):
            yield from (f"{section.name}.{field.name}" for field in msgspec.structs.fields(section.type))


def _known(key: str) -> str:
    known = list(_keys())
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1) or [one for one in known if one.endswith(f".{key}")]
        hint = f"; did you mean {near[0]}?" if near else "; `gb-aggregator set` shows all"
        raise ConfigError(f"{key}: there is no such setting{hint}")
    return key


def _value(config: Config, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def _shown(key: str, value: Any) -> str:
    secret = bool(value) if key == "http.token" else key == "mongodb.uri" and "@" in value
    return '"(a secret)"' if secret else str(tomlkit.item(value).as_string())


def _read(key: str, text: str) -> Any:
    """Return a word of the command line as the kind of value that the setting has; raise ConfigError."""
    kind = _kind(key)
    if kind is str:
        return text
    if get_origin(kind) is list:
        return [word for word in text.replace(",", " ").split() if word]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(f"{key}: {text!r} is neither a number nor true or false") from None


def _kind(key: str) -> Any:
    section, _, name = key.partition(".")
    sections = {field.name: field.type for field in msgspec.structs.fields(Config)}
    kind = {field.name: field.type for field in msgspec.structs.fields(sections[section])}[name]
    return getattr(kind, "__origin__", kind) if get_origin(kind) is not list else kind


def write_secret(path: Path, secret: str) -> None:
    """Put a new secret in the old one's place; raise ConfigError."""
    _replace(path, secret, lambda fresh: None)


def _loads(path: Path) -> Callable[[Path], None]:
    def check(fresh: Path) -> None:
        try:
            load(fresh)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(fresh), str(path), 1)) from None

    return check


def _replace(path: Path, text: str, check: Callable[[Path], None]) -> None:
    """Put the new text in the old one's place, if `check` does not refuse it; raise ConfigError."""
    try:
        before = path.stat()
        with replacing(path) as fresh:
            atomic_file.create(fresh, text)
            check(fresh)
            os.chmod(fresh, before.st_mode & 0o7777)
            os.chown(fresh, before.st_uid, before.st_gid)
    except OSError as error:
        raise ConfigError(f"{error.filename or path}: {error.strerror}; nothing was changed") from None
