"""Requests that make no sense: whatever is sent to whichever operation, the centre does not break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from aggregator.api import PREFIX, ROUTES
from aggregator.openapi import Route
from deploy.stack import Stack

from .test_api import filled, scene

ODD: list[Any] = [
    None, -1, 0, 1.5, 10**19, 10**30, True, "", "\0", "a\u0000b", "$where", "a.b", "<script>", "x" * 5000,
    "\u202e", [], [None], [[]], [1] * 3, {}, {"$gt": ""}, {"a.b": {"$set": 1}}, {"": ""},
    [{"a": [[[[[[]]]]]]}],
]  # fmt: skip
RAW = [b"", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 5000, b'{"a":' * 2000, b"NaN", b'{"a":1e999}']
# What else a body needs so that its odd part is looked at.
NEEDED: dict[str, Any] = {
    "/users": {"user": "x", "password": "a long password"}, "/tokens": {"name": "x"},
    "/settings": {"nodes": ["odd-9"], "settings": {}}, "/profiles/switch": {"nodes": ["odd-9"]},
    "/nodes/{node}/commands": {"verb": "x"}, "/invitations": {"boxes": 1},
    "/alerts": {"name": "x", "condition": {"kind": "offline"}},
}  # fmt: skip
# These do what they say to the centre of this test, or do not end.
NOT_TRIED = {"/logout", "/stream"}


def bodies(route: Route) -> Iterator[bytes]:
    """Yield bodies that are wrong in one place each, and some that are no JSON at all."""
    yield from RAW
    if route.body is None:
        return
    for field in msgspec.structs.fields(route.body):
        for value in ODD:
            yield json.dumps({**NEEDED.get(route.path, {}), field.encode_name: value}).encode()


def queries(route: Route) -> Iterator[str]:
    """Yield queries that are wrong in one place each."""
    for name in route.query:
        for value in ("-1", "x", "%00", "%ff", "99999999999999999999", "%24gt", "2020-13-45", "*" * 300):
            yield f"?{name}={value}"


async def test_no_request_breaks_the_centre(stack: Stack) -> None:
    """Odd bodies, queries and names get an answer of the one shape, and never a server's error."""
    async with scene(stack, "odd-9") as (_, _, client):
        wrong = []
        for route in [one for one in ROUTES if one.path not in NOT_TRIED]:
            path = PREFIX + filled(route.path, "odd-9")
            if route.path == "/nodes/{node}" and route.method == "DELETE":
                continue
            tries = [(path + query, None) for query in queries(route)]
            tries += [
                (PREFIX + filled(route.path, name), None) for name in ("%00", "%2e%2e", "%F0%9F%9A%8C", "%ff")
            ]
            if route.method != "GET":
                tries += [(path, body) for body in bodies(route)]
            for target, body in tries:
                async with client.request(route.method, target, data=body) as response:
                    if response.status >= 500 and response.status != 503:
                        wrong.append((route.method, target[:90], (body or b"")[:90], response.status))
        assert wrong == []
