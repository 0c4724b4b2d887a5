"""What a reader leaves out of a message that a newer writer has made.

What always holds: only what the reader's own type has no place for is left out: unknown keys of an object,
and elements behind the last one of an array with a fixed number of them. What is known is checked as strictly
as ever. Entries of a map or a list are data, never unknown fields. Imports msgspec only.
"""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import inspect


def prune(message: Any, kind: Any) -> tuple[Any, list[str]]:
    """Return a decoded message without what `kind` does not know, and the paths of what that was."""
    dropped: list[str] = []
    return _pruned(message, _shape(kind), "", dropped), dropped


@functools.cache
def _shape(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _pruned(value: Any, shape: inspect.Type, path: str, dropped: list[str]) -> Any:
    """Walk a value beside its type; `dropped` takes the paths of what is left out."""
    if isinstance(shape, inspect.UnionType):
        shape = _structured(shape, value)
    if isinstance(shape, inspect.StructType):
        if shape.array_like and isinstance(value, list):
            head = [] if shape.tag is None else value[:1]
            types = [field.type for field in shape.fields]
            return head + _elements(value[len(head) :], types, path, dropped)
        if not shape.array_like and isinstance(value, dict):
            return _fields(value, shape, path, dropped)
    elif isinstance(shape, inspect.TupleType) and isinstance(value, list):
        return _elements(value, list(shape.item_types), path, dropped)
    elif isinstance(shape, inspect.ListType | inspect.VarTupleType) and isinstance(value, list):
        return [_pruned(each, shape.item_type, f"{path}[{n}]", dropped) for n, each in enumerate(value)]
    elif isinstance(shape, inspect.DictType) and isinstance(value, dict):
        return {k: _pruned(v, shape.value_type, f"{path}.{k}".strip("."), dropped) for k, v in value.items()}
    return value


def _structured(shape: inspect.UnionType, value: Any) -> inspect.Type:
    """Return the type of a union that a container must be; one such type at most is in any union of ours."""
    containers = (inspect.StructType, inspect.TupleType, inspect.ListType, inspect.DictType)
    found = [each for each in shape.types if isinstance(each, containers)]
    return found[0] if found and isinstance(value, list | dict) else inspect.AnyType()


def _fields(value: dict[str, Any], shape: inspect.StructType, path: str, dropped: list[str]) -> Any:
    types = {field.encode_name: field.type for field in shape.fields}
    dropped += [f"{path}.{name}".strip(".")[:100] for name in value if name not in types]
    return {
        name: _pruned(each, types[name], f"{path}.{name}".strip("."), dropped)
        for name, each in value.items()
        if name in types
    }


def _elements(value: list[Any], types: list[inspect.Type], path: str, dropped: list[str]) -> list[Any]:
    dropped += [f"{path}[{n}]"[:100] for n in range(len(types), len(value))]
    pairs = enumerate(zip(value, types, strict=False))
    return [_pruned(each, shape, f"{path}[{n}]", dropped) for n, (each, shape) in pairs]


def decode(decoder: Any, payload: bytes, kind: Any, protocol: Any = msgspec.json) -> tuple[Any, list[str]]:
    """Decode a message; return it and the paths of what had to be left out.

    Args:
        decoder: Of `kind`; what it takes needs no second look.
        payload: The message.
        kind: Its type.
        protocol: `msgspec.json` or `msgspec.msgpack`.

    Raises:
        msgspec.DecodeError: It is malformed, or what is known in it is wrong.
    """
    try:
        return decoder.decode(payload), []
    except msgspec.ValidationError as first:
        message, dropped = prune(protocol.decode(payload), kind)
        if not dropped:
            raise first
        return msgspec.convert(message, kind, strict=True, builtin_types=(bytes,)), dropped
