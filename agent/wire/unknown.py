"""What is told of a key that nobody knows: what was meant, where it belongs, or what is known there."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from agent.wire.shapes import ANY, tables

_PLACES = 3  # so many where a key is known are named


def hint(word: str, known: Iterable[str]) -> str:
    """Return `. Did you mean ...?` if one of the known words is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def unknown(key: str, value: Any, known: Iterable[str], *, toml: bool = False, file: Any = None) -> str:
    """Return `unknown key`, and what to write instead.

    Args:
        key, value: what is written there.
        known: the keys that are known in its place.
        toml: whether people write it as TOML; else it is JSON.
        file: the type of the whole file, to say where else the key is known; None: nowhere else.
    """
    what = "unknown table" if toml and isinstance(value, dict) else "unknown key"
    named = _named(key, value, file)
    if named:
        return f"{what}. Did you mean {named}?"
    here = f"{_elsewhere(key, file)}. Known here: {', '.join(known)}"
    return what + (hint(key, known) or here)


def _named(key: str, value: Any, file: Any) -> str:
    """Return the header of a table that people name, as [camera.cam0], if only its first part is missing."""
    if file is None or not isinstance(value, dict) or not value:
        return ""
    name = key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)
    fits = [place for place, keys in tables(file) if place.endswith(f".{ANY}") and value.keys() <= set(keys)]
    return " or ".join(f"[{place.removesuffix(ANY)}{name}]" for place in fits[:_PLACES])


def _elsewhere(key: str, file: Any) -> str:
    """Return in which other tables of a file a key is known, empty if in none."""
    places = [place for place, keys in tables(file) if key in keys] if file is not None else []
    words = [f"below [{place}]" if place else "at the top, before the first [table]" for place in places]
    return f". It is known {' or '.join(words[:_PLACES])}" if words else ""
