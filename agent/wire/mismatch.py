"""What to write instead of a value that does not fit its type, in words of people and not of a library.

What always holds: the place is found beside the typed fields themselves (`msgspec.structs.fields`), no text
of an error is read; the first value that does not fit is told, in one line, with its place, and the way to
write it where what was written shows what was meant. Imports msgspec only (as of 0.22).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from agent.wire.shapes import ANY, is_struct, keys_of, members, plain
from agent.wire.unknown import hint, unknown

T = TypeVar("T")

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    NoneType: "nothing (null)",
    datetime.datetime: "a date with a time",
    datetime.date: "a date",
    datetime.time: "a time of day",
}
_MOST = 60  # letters of a value that are shown
_SWITCH = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def decode(payload: bytes, kind: type[T]) -> T:
    """Return a JSON message as its type.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is malformed; `msgspec.ValidationError`,
            in the words of `explain`, where a value in it does not fit.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.ValidationError:
        raise msgspec.ValidationError(explain(msgspec.json.decode(payload), kind)) from None


def explain(tree: Any, shape: Any, place: str = "", *, toml: bool = False, file: Any = None) -> str:
    """Return `place: what to write` of the first value in a tree that does not fit a shape.

    Args:
        tree: what was read; it does not convert to the shape.
        shape: a type that msgspec knows.
        place: where the tree stands, as `camera.cam0`.
        toml: whether people write it as TOML; else it is JSON.
        file: the type of the whole file that the tree is in, to say where a key belongs.

    Returns:
        One line. Where a check of our own refuses what is of the right type, its words.
    """
    shape = _chosen(shape, tree)
    base = plain(shape)[0]
    wrong = _of_tag(tree, base, place, toml) or _of_keys(tree, base, place, toml, file)
    if wrong:
        return wrong
    for where, part, kind in _parts(tree, base, place):
        if _refusal(part, kind):
            return explain(part, kind, where, toml=toml, file=file)
    return _at(place, _told(tree, shape, place, toml))


def _at(place: str, text: str) -> str:
    return f"{place}: {text}".removeprefix(": ")


def _below(place: str, key: str) -> str:
    """Return the place of a key of the table at a place; whatever the key is, it is one short line."""
    name = key if key.isprintable() else _json(key)
    return f"{place}.{name[:_MOST]}".removeprefix(".")


def _refusal(value: Any, shape: Any) -> str:
    """Return why the library refuses a value, empty if it fits."""
    try:
        msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _chosen(shape: Any, value: Any) -> Any:
    """Return the member of a union that a table or a list is meant to be; else the type as it is."""
    for member in members(plain(shape)[0]):
        kind = plain(member)[0]
        if isinstance(value, list) and get_origin(kind) in (list, tuple):
            return shape if kind is plain(shape)[0] else member
        if isinstance(value, dict) and (get_origin(kind) is dict or _tagged(kind, value)):
            return member
    return shape


def _tagged(kind: Any, value: dict[str, Any]) -> bool:
    """Return whether a table says that it is of a struct's kind, or the struct asks for no such word."""
    if not is_struct(kind):
        return False
    config = kind.__struct_config__
    return config.tag is None or value.get(config.tag_field) == config.tag


def _of_tag(tree: Any, base: Any, place: str, toml: bool) -> str:
    """Return what is wrong with the word that says which of several structs a table is, empty if nothing."""
    kinds = [kind for kind in (plain(member)[0] for member in members(base)) if is_struct(kind)]
    tags = tuple(kind.__struct_config__.tag for kind in kinds if kind.__struct_config__.tag is not None)
    if not isinstance(tree, dict) or not tags or any(_tagged(kind, tree) for kind in kinds):
        return ""
    key = kinds[0].__struct_config__.tag_field
    return explain(tree.get(key), Literal[tags], _below(place, key), toml=toml)


def _of_keys(tree: Any, base: Any, place: str, toml: bool, file: Any) -> str:
    """Return what is wrong with the keys of a table, empty if nothing is."""
    if not isinstance(tree, dict):
        return ""
    if get_origin(base) is dict:
        kind, part = get_args(base)
        bad = [_at(_below(place, key), _told(key, kind, "", False)) for key in tree if _refusal(key, kind)]
        return bad[0] if bad else _of_nameless(tree, part, place, toml)
    return _of_fields(tree, base, place, toml, file) if is_struct(base) else ""


def _of_nameless(tree: dict[str, Any], part: Any, place: str, toml: bool) -> str:
    """Return which key of TOML stands where a table with a name, which knows it, is wanted; else empty."""
    known = keys_of(part) if toml and is_struct(part) else []
    keys = [key for key, value in tree.items() if key in known and not isinstance(value, dict)]
    return f"{_below(place, keys[0])}: give the table a name, as [{place}.{ANY}]" if keys else ""


def _of_fields(tree: dict[str, Any], base: Any, place: str, toml: bool, file: Any) -> str:
    """Return which key of a struct's table is not known or missing, empty if none is."""
    config = base.__struct_config__
    known = keys_of(base)
    for key in tree if config.forbid_unknown_fields else ():
        if key not in known and key != config.tag_field:
            return f"{_below(place, key)}: {unknown(key, tree[key], known, toml=toml, file=file)}"
    for field in msgspec.structs.fields(base):
        if field.required and field.encode_name not in tree:
            wanted = _wanted(field.type, toml)
            return (
                _below(place, field.encode_name) + ": missing" + (f"; {wanted} is wanted" if wanted else "")
            )
    return ""


def _parts(tree: Any, base: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Give the place, value and type of each part of a table or a list."""
    kinds = get_args(base)
    if isinstance(tree, dict) and is_struct(base):
        for field in msgspec.structs.fields(base):
            if field.encode_name in tree:
                yield _below(place, field.encode_name), tree[field.encode_name], field.type
    elif isinstance(tree, dict) and get_origin(base) is dict:
        yield from ((_below(place, key), part, kinds[1]) for key, part in tree.items())
    elif isinstance(tree, list) and get_origin(base) is list:
        yield from ((f"{place}[{number}]", part, kinds[0]) for number, part in enumerate(tree))
    elif isinstance(tree, list) and get_origin(base) is tuple and len(tree) == len(kinds):
        yield from ((f"{place}[{number}]", part, kinds[number]) for number, part in enumerate(tree))


# ── in words ──────────────────────────────────────────────────────────────────────────────────────────


def _told(value: Any, shape: Any, place: str, toml: bool) -> str:
    """Return what is wanted in the place of a value, what is there, and how it may have been meant."""
    wanted = _wanted(shape, toml)
    if not wanted or (is_struct(plain(shape)[0]) and isinstance(value, dict)):
        return _refusal(value, shape).partition(" - at `")[0] or "cannot be read"
    meant = next((_written(place, each, toml) for each in _meant(value) if not _refusal(each, shape)), "")
    return f"{wanted} is wanted, not {_seen(value, shape, toml)}{meant}{_near(value, shape)}"


def _wanted(shape: Any, toml: bool) -> str:
    """Return what a type wants in words, empty if there is no word for it."""
    base, bounds = plain(shape)
    kinds = [each for each in members(base) if each not in (NoneType, msgspec.UnsetType)]
    if len(kinds) > 1:
        words = dict.fromkeys(_wanted(kind, toml) for kind in kinds)
        return " or ".join(words) if all(words) else ""
    word = _word(kinds[0], toml) if base is kinds[0] else _wanted(kinds[0], toml)
    return f"{word} {_bounds(bounds, base)}".rstrip() if bounds and word else word


def _word(base: Any, toml: bool) -> str:
    if get_origin(base) is Literal:
        words = [_json(each) for each in get_args(base)]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if is_struct(base) or dict in (base, get_origin(base)):
        return _table(toml)
    if get_origin(base) is tuple:
        return f"a list of {len(get_args(base))}"
    return "a list" if list in (base, get_origin(base)) else _WORDS.get(base, "")


def _table(toml: bool) -> str:
    return "a table" if toml else "an object"


def _bounds(bounds: Meta, base: Any) -> str:
    """Return the bounds of a number, the form of a text, or how long a text or a list is."""
    if bounds.pattern is not None:
        return bounds.description or f"of the form {bounds.pattern}"
    if bounds.min_length is not None or bounds.max_length is not None:
        return _length(bounds.min_length or 0, bounds.max_length, "letters" if base is str else "entries")
    at_least = [
        f"{word} {each:g}"
        for word, each in (("of at least", bounds.ge), ("above", bounds.gt))
        if each is not None
    ]
    at_most = [
        f"{word} {each:g}"
        for word, each in (("of at most", bounds.le), ("below", bounds.lt))
        if each is not None
    ]
    if bounds.ge is not None and bounds.le is not None:
        meaning = f", {bounds.description}," if bounds.description else ""
        return f"from {bounds.ge:g} to {bounds.le:g}{meaning}"
    return " and ".join(at_least + at_most)


def _length(least: int, most: int | None, unit: str) -> str:
    if most is None:
        return "that is not empty" if least == 1 else f"of at least {least} {unit}"
    if least == most:
        return f"of {most} {unit}"
    return f"of {least} to {most} {unit}"


def _seen(value: Any, shape: Any, toml: bool) -> str:
    """Return what stands there: a short value itself, else its kind or its length."""
    if isinstance(value, list):
        kinds = [get_origin(plain(member)[0]) for member in members(plain(shape)[0])]
        return f"one of {len(value)}" if list in kinds or tuple in kinds else "a list"
    if isinstance(value, dict):
        return _table(toml)
    if not isinstance(value, str | int | float | NoneType):
        return _WORDS.get(type(value), type(value).__name__)
    text = _json(value) if toml is False or value is None or isinstance(value, str | bool) else str(value)
    return text if len(text) <= _MOST else f"one of {len(text) - 2} letters"


def _near(value: Any, shape: Any) -> str:
    """Return which of the words that may be written is near the one that is."""
    kinds = members(plain(shape)[0])
    words = [each for kind in kinds if get_origin(kind) is Literal for each in get_args(kind)]
    return hint(value.lower(), words) if isinstance(value, str) and words else ""


def _meant(value: Any) -> Iterator[Any]:
    """Give what somebody may have meant who wrote a value as another kind."""
    if isinstance(value, list | dict | NoneType):
        return
    text = str(value).lower()
    if text in _SWITCH:
        yield _SWITCH[text]
    for number in (int, float):
        try:
            yield number(text)
        except ValueError:
            continue
    if not isinstance(value, str):
        yield text
    yield [value]


def _written(place: str, value: Any, toml: bool) -> str:
    """Return how a value is written in its place; empty where there is no key."""
    key = place.rpartition(".")[2]
    if not key or key.endswith("]"):
        return f"; write {_json(value)}" if key else ""
    return f"; write {key} = {_json(value)}" if toml else f'; write "{key}": {_json(value)}'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
