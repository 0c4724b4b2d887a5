"""What a request says: its node, times, buckets, kinds and body, checked; what is wrong is a `Refused`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from agent import wire
from agent.wire import mismatch
from aggregator import client, site_time, window
from aggregator.auth import Identity, Refused
from aggregator.centre import Centre
from aggregator.store import codec, queries

CENTRE: web.AppKey[Centre] = web.AppKey("centre", Centre)
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)

FOREVER = 7_258_118_400_000
_MOST_ROWS = 10_000

T = TypeVar("T")


def bad(message: str) -> Refused:
    """Return the refusal of a malformed request."""
    return Refused(400, "bad_request", message)


def client_of(request: web.Request) -> str:
    """Return the address whose failed logins are counted together."""
    http = request.app[CENTRE].config.http
    forwarded = request.headers.getall("X-Forwarded-For", [])
    return client.group_of(client.client_address(request.remote or "", forwarded, http.proxies))


def no_node(name: str) -> Refused:
    """Return the refusal of a node that nobody has heard, or that the one who asks may not see: it is one."""
    return Refused(404, "no_node", f"no node {name[:40]!r} was ever heard")


def node_of(request: web.Request) -> str:
    """Return the node of the path; raise Refused if nobody ever heard of it."""
    name = request.match_info["node"]
    if not request.app[CENTRE].fleet.known(name):
        raise no_node(name)
    return name


async def record(
    request: web.Request, action: str, *, node: str = "", what: str = "", **more: object
) -> None:
    """Keep in the audit log who did what. `what`: to which user, camera, site and so on."""
    identity = request[IDENTITY]
    entry = {"user": identity.user, "role": identity.role, "address": client_of(request), "action": action}
    entry |= {name: text for name, text in (("node", node), ("what", what)) if text}
    await request.app[CENTRE].store.registry.write_audit({**entry, **more})


def name_of(request: web.Request, part: str) -> str:
    """Return a camera's or line's name of the path; raise Refused."""
    try:
        return msgspec.convert(request.match_info[part], wire.Name)
    except msgspec.ValidationError:
        raise bad(f"a {part}'s name has 1 to 48 letters, digits, spaces and _.-") from None


def zone_of(request: web.Request) -> ZoneInfo:
    """Return the time zone of the node of the path, or of the centre."""
    return request.app[CENTRE].places.zone_of(request.match_info.get("node", ""))


def moment(request: web.Request, name: str, default: int, zone: ZoneInfo | None = None) -> int:
    """Return a time of the query in Unix milliseconds; raise Refused. `zone`: of a time that names none."""
    text = request.query.get(name, "")
    if not text:
        return default
    try:
        return min(max(site_time.parse_moment(text, zone or zone_of(request)), 0), FOREVER)
    except site_time.MomentError as error:
        raise bad(f"{name}: {error}") from None


def span_of(
    request: web.Request, since: int = 0, until: int = FOREVER, zone: ZoneInfo | None = None
) -> tuple[int, int]:
    """Return the time that is asked for, `from` included and `to` not; raise Refused.

    `since`, `until`: what stands for a `from` or a `to` that is not given.
    """
    begin = moment(request, "from", since, zone)
    end = moment(request, "to", max(until, begin + 60_000), zone)
    if end <= begin:
        raise bad("from, to: the end is not after the beginning, so nothing lies between them")
    return begin, end


def window_of(request: web.Request, bucket: str = "hour", zone: ZoneInfo | None = None) -> window.Window:
    """Return the time and the bucket that are asked for; raise Refused.

    `bucket`: if none is given. `zone`: in which buckets begin; None: that of the node of the path.
    """
    zone = zone or zone_of(request)
    at = int(time.time() * 1000)
    bucket = request.query.get("bucket", bucket)
    if bucket not in window.LONGEST:
        raise bad(f"bucket: one of {', '.join(window.LONGEST)}")
    since, until = span_of(request, site_time.day_start(at, zone), at + 60_000, zone)
    longest = window.LONGEST[bucket]
    if until - since > longest * 86_400_000:
        raise bad(f"from, to: at most {longest} days by {bucket}")
    return window.Window(since, until, bucket, zone)


def limit_of(request: web.Request, default: int) -> int:
    """Return how many rows are asked for; raise Refused."""
    text = request.query.get("limit", str(default))
    number = int(text) if text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= _MOST_ROWS:
        raise bad(f"limit: 1 to {_MOST_ROWS}")
    return number


def kinds_of(text: str) -> Sequence[type]:
    """Return the kinds of events of a list of names, all if it is empty; raise Refused."""
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in codec.NAMED]
    if unknown:
        raise bad(f"type: {unknown[0][:40]!r} is none of {', '.join(codec.NAMED)}")
    return [codec.NAMED[name] for name in names] or queries.ALL_KINDS


async def body_of(request: web.Request, kind: type[T]) -> T:
    """Return the body as its type; raise Refused."""
    try:
        return mismatch.decode(await request.read(), kind)
    except wire.DECODE_ERRORS as error:
        raise bad(str(error)) from None
