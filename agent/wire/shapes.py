"""What a type of msgspec is made of: its bounds, the members of a union, the tables of a whole file.

What always holds: nothing is decoded here; only types are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

ANY = "NAME"  # the last part of the place of tables that people name themselves


def plain(shape: Any) -> tuple[Any, Meta | None]:
    """Return a type without its annotations, and its bounds if it has some."""
    if get_origin(shape) is not Annotated:
        return shape, None
    base, *notes = get_args(shape)
    return base, next((note for note in notes if isinstance(note, Meta)), None)


def members(base: Any) -> tuple[Any, ...]:
    """Return the types of a union; a type alone is one."""
    return get_args(base) if get_origin(base) in (Union, UnionType) else (base,)


def is_struct(base: Any) -> bool:
    """Return whether a type is a struct: a table whose keys are known."""
    return isinstance(base, type) and issubclass(base, Struct)


def keys_of(base: type[Struct]) -> list[str]:
    """Return the keys of a struct, as they are written."""
    return [field.encode_name for field in msgspec.structs.fields(base)]


def tables(shape: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Give the place of each table in a shape, as `camera.NAME.lines.NAME`, and the keys known there."""
    for member in members(plain(shape)[0]):
        base = plain(member)[0]
        if is_struct(base):
            yield place, keys_of(base)
            for field in msgspec.structs.fields(base):
                yield from tables(field.type, f"{place}.{field.encode_name}".removeprefix("."))
        elif get_origin(base) is dict:
            yield from tables(get_args(base)[1], f"{place}.{ANY}")
