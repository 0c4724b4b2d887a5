"""OpenAPI 3.1, made from the routes and from the types that the handlers really use.

What always holds: every field of every type says what it means (`field_words`), and every reference leads to
a type that is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import inspect

from aggregator import schemas
from aggregator.field_words import words_of
from aggregator.window import LONGEST

_REF = "#/components/schemas/{name}"
_TIME = (
    "Unix milliseconds (13 digits, or 0) or ISO 8601, in the site's time zone if it names none; "
    "a + is written %2B; seconds are refused"
)
_QUERY: dict[str, tuple[dict[str, Any], str]] = {
    "camera": ({"type": "string"}, "only this camera"),
    "line": ({"type": "string"}, "only this line"),
    "from": ({"type": "string"}, _TIME + "; included"),
    "to": ({"type": "string"}, _TIME + "; not included"),
    "bucket": ({"type": "string", "enum": list(LONGEST)}, "of the site's clock; all: one"),
    "format": ({"type": "string", "enum": ["json", "csv", "jsonl"]}, "or by the Accept header"),
    "zone": ({"type": "string"}, "only this zone"),
    "origin": ({"type": "string"}, "from this gate, `line:AB` or a zone: to any that came later"),
    "destination": ({"type": "string"}, "to this gate: from any that came before"),
    "type": ({"type": "string"}, "kinds of events, separated by commas"),
    "types": ({"type": "string"}, "kinds of events, separated by commas"),
    "after": (
        {"type": "string"},
        "an event's id: what was stored after it, oldest first; of nodes: the name of the last one had",
    ),
    "limit": ({"type": "integer"}, "at most this many"),
    "node": ({"type": "string"}, "only this node"),
    "sort": ({"type": "string"}, "the order; downwards with a - before it"),
    "offset": ({"type": "integer"}, "where the page begins"),
    "site": ({"type": "string"}, "only nodes of this site"),
    "group": ({"type": "string"}, "only nodes of this group"),
    "label": (
        {"type": "array", "items": {"type": "string"}},
        "only nodes with this label; with each of several",
    ),
    "state": (
        {"type": "string"},
        "only what is so: nodes online, offline, stale; alerts open, acknowledged, snoozed, closed",
    ),
    "q": ({"type": "string"}, "only what contains this text"),
    "user": ({"type": "string"}, "only what this user did"),
    "action": ({"type": "string"}, "only this action"),
    "role": ({"type": "string"}, "only who had this role"),
    "nodes": ({"type": "string"}, "only these nodes, separated by commas; all if none is named"),
    "by": ({"type": "string", "enum": ["line", "node"]}, "add up lines of one name, or keep nodes apart"),
    "dry_run": ({"type": "boolean"}, "say what would change, and change nothing"),
    "rule": ({"type": "string"}, "only what this rule found"),
}

_TABLES = ("text/csv", "application/x-ndjson")  # beside JSON, where rows are asked for
_DONE = {200: "done", 201: "made", 202: "sent to the box, which reports what became of it"}


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `role`: empty where nobody needs to be logged in.

    `whole`: only for who sees the whole fleet. A path with a `{node}` is refused to who does
    not see that node. `also`: other statuses that come with the same answer.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    role: str = "viewer"
    answer: type | None = None
    body: type | None = None
    query: tuple[str, ...] = ()
    status: int = 200
    media: str = "application/json"
    whole: bool = False
    also: tuple[int, ...] = ()


def describe(routes: Sequence[Route], prefix: str, version: str) -> dict[str, Any]:
    """Return the whole description."""
    taken = structs_within(route.body for route in routes if route.body)
    given = structs_within([schemas.Error, *(route.answer for route in routes if route.answer)])
    ordered = sorted(taken | given, key=lambda kind: (kind.__name__, kind.__module__))
    described, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    by_kind = dict(zip(ordered, described, strict=True))
    for name, schema in components.items():
        _explain(name.rpartition(".")[2], schema)
    for kind in given - taken:
        if not kind.__struct_config__.omit_defaults:  # a default is for who may leave a field out
            schema = components[by_kind[kind]["$ref"].rpartition("/")[2]]
            schema["required"] = list(schema["properties"])
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "GB-Fleet", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "gb_session"},
            },
        },
    }


def structs_within(kinds: Iterable[type]) -> set[type[msgspec.Struct]]:
    """Return all types of messages that some are made of, themselves among them."""
    found: set[type[msgspec.Struct]] = set()
    waiting: list[Any] = list(inspect.multi_type_info(kinds))
    while waiting:
        each = waiting.pop()
        if isinstance(each, inspect.StructType):
            if each.cls in found:
                continue
            found.add(each.cls)
            waiting += [field.type for field in each.fields]
        elif isinstance(each, tuple):
            waiting += each
        elif isinstance(each, inspect.Type):
            waiting += msgspec.structs.astuple(each)
    return found


def _explain(kind: str, schema: dict[str, Any]) -> None:
    """Give each field of a type its words; a reference stands beside them, as OpenAPI 3.1 lets it."""
    for name, field in schema.get("properties", {}).items():
        field.setdefault("description", words_of(kind, name))


def _operation(route: Route, described: dict[type, Any]) -> dict[str, Any]:
    schema = described[route.answer] if route.answer else {"type": "string"}
    content = {route.media: {"schema": schema}}
    if "format" in route.query:
        content |= {media: {"schema": {"type": "string"}} for media in _TABLES}
    refusal = {
        "description": "why not",
        "content": {"application/json": {"schema": described[schemas.Error]}},
    }
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"},
               "description": words_of("Path", name)} for name in re.findall(r"{(\w+)}", route.path)),
            *({"name": name, "in": "query", "schema": _QUERY[name][0], "description": _QUERY[name][1]}
              for name in route.query),
        ],
        "responses": {
            **{str(status): {"description": _DONE.get(status, "done"), "content": content}
               for status in (route.status, *route.also)},
            "4XX": refusal,
            "503": refusal,
        },
        "security": [{"token": []}, {"session": []}] if route.role else [],
        "x-role": route.role or "anybody",
        "x-whole-fleet": route.whole,
    }  # fmt: skip
    if route.body:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": described[route.body]}},
        }
    return operation


def answer(value: Any, status: int = 200) -> web.Response:
    """Return a value as JSON."""
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
