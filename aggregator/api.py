"""The API under /api/v1: one small handler an operation.

What always holds: a GET changes nothing; every refusal has the one error shape; what a handler takes and
gives is a type of `answers`, and the OpenAPI description is made from the same table that routes requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from agent import wire
from aggregator import answers, auth, calendar, documents, queries, wanted
from aggregator.auth import Identity, Refused
from aggregator.centre import Centre
from aggregator.live import Picture, Watcher, fact_event, sse
from aggregator.openapi import Route, answer, describe

PREFIX = "/api/v1"
CENTRE: web.AppKey[Centre] = web.AppKey("centre", Centre)
IDENTITY: web.RequestKey[Identity] = web.RequestKey("identity", Identity)
VERSION = "1.0"

_FOREVER = 7_258_118_400_000
_MOST_ROWS = 10_000
_RESUMED = 5000
_BOUNDARY = "gb-frame"

T = TypeVar("T")


# ── reading a request ─────────────────────────────────────────────────────────────────────────────


def _bad(message: str) -> Refused:
    return Refused(400, "bad_request", message)


def _node(request: web.Request) -> str:
    name = request.match_info["node"]
    if not request.app[CENTRE].fleet.known(name):
        raise Refused(404, "no_node", f"no node {name[:40]!r} was ever heard")
    return name


def _name(request: web.Request, part: str) -> str:
    try:
        return msgspec.convert(request.match_info[part], wire.Name)
    except msgspec.ValidationError:
        raise _bad(f"a {part}'s name has 1 to 48 letters, digits, spaces and _.-") from None


def _moment(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    try:
        return min(max(calendar.parse_moment(text, request.app[CENTRE].config.zone), 0), _FOREVER)
    except (ValueError, OverflowError):
        raise _bad(f"{name}: write Unix milliseconds or ISO 8601, not {text[:40]!r}") from None


def _window(request: web.Request) -> queries.Window:
    zone = request.app[CENTRE].config.zone
    at = int(time.time() * 1000)
    bucket = request.query.get("bucket", "hour")
    if bucket not in calendar.BUCKETS:
        raise _bad(f"bucket: one of {', '.join(calendar.BUCKETS)}")
    since = _moment(request, "from", calendar.day_start(at, zone))
    until = _moment(request, "to", max(at, since) + 60_000)
    longest = queries.LONGEST[bucket]
    if until - since > longest:
        raise _bad(f"from, to: at most {longest // 86_400_000} days by {bucket}")
    return queries.Window(since, until, bucket, zone)


def _limit(request: web.Request, default: int) -> int:
    text = request.query.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= _MOST_ROWS:
        raise _bad(f"limit: 1 to {_MOST_ROWS}")
    return int(text)


def _kinds(text: str) -> Sequence[type]:
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in documents.NAMED]
    if unknown:
        raise _bad(f"type: {unknown[0][:40]!r} is none of {', '.join(documents.NAMED)}")
    return [documents.NAMED[name] for name in names] or queries.ALL_KINDS


async def _body(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(str(error)) from None


def _table(request: web.Request, kind: type[msgspec.Struct], rows: Sequence[Any], whole: Any) -> web.Response:
    form = request.query.get("format", "")
    if form == "csv" or (not form and "text/csv" in request.headers.get("Accept", "")):
        return web.Response(text=queries.to_csv(kind, rows), content_type="text/csv")
    return answer(whole)


# ── who asks ──────────────────────────────────────────────────────────────────────────────────────


async def login(request: web.Request) -> web.Response:
    """Log in; the cookie is for the page and its EventSource."""
    auth.check_origin(request.headers, required=False)
    body = await _body(request, answers.LoginBody)
    centre = request.app[CENTRE]
    identity, secret = await centre.auth.login(
        body.token, body.user, body.password, request.remote or "", request.cookies.get(auth.COOKIE, "")
    )
    response = answer(answers.Role(identity.role))
    response.set_cookie(
        auth.COOKIE, secret, httponly=True, samesite="Strict", path="/",
        secure=centre.config.http.secure_cookie, max_age=centre.config.http.session_hours * 3600,
    )  # fmt: skip
    return response


async def logout(request: web.Request) -> web.Response:
    """End this session."""
    await request.app[CENTRE].auth.logout(request.cookies.get(auth.COOKIE, ""))
    response = answer(answers.Nothing())
    response.del_cookie(auth.COOKIE, path="/")
    return response


async def me(request: web.Request) -> web.Response:
    """Say who asks."""
    user, role = request[IDENTITY]
    return answer(answers.Me(user, role, answers.Site(request.app[CENTRE].config.site.timezone)))


# ── the fleet ─────────────────────────────────────────────────────────────────────────────────────


async def fleet(request: web.Request) -> web.Response:
    """Show all nodes."""
    centre = request.app[CENTRE]
    names = centre.fleet.names
    nodes = [await centre.fleet.entry(name) for name in names if centre.fleet.known(name)]
    return answer(answers.Fleet(int(time.time() * 1000), nodes, centre.config.site.join))


async def node(request: web.Request) -> web.Response:
    """Show one node and its configuration."""
    name, centre = _node(request), request.app[CENTRE]
    entry = await centre.fleet.entry(name)
    config = await centre.wants.config(name)
    return answer(answers.NodeDetail(**msgspec.structs.asdict(entry), config=config))


async def counts(request: web.Request) -> web.Response:
    """Count crossings by bucket."""
    name, window = _node(request), _window(request)
    camera, line = request.query.get("camera", ""), request.query.get("line", "")
    rows = await queries.counts(request.app[CENTRE].store, name, camera, line, window)
    return _table(request, answers.CountRow, rows, answers.Counts(rows))


async def tallies(request: web.Request) -> web.Response:
    """Sum up watched and blind time, objects, frames and latency by bucket."""
    name, window = _node(request), _window(request)
    rows = await queries.tallies(request.app[CENTRE].store, name, request.query.get("camera", ""), window)
    return answer(answers.Tallies(rows))


async def resources(request: web.Request) -> web.Response:
    """Return samples of the box."""
    name = _node(request)
    since, until = _moment(request, "from", 0), _moment(request, "to", _FOREVER)
    rows = await queries.resources(request.app[CENTRE].store, name, since, until, _limit(request, 2000))
    return answer(answers.Resources(rows))


async def events(request: web.Request) -> web.Response:
    """Return events, newest first; with `after`, in the order of storing."""
    name, limit = _node(request), _limit(request, 200)
    kinds, store = _kinds(request.query.get("type", "")), request.app[CENTRE].store
    since, until = _moment(request, "from", 0), _moment(request, "to", _FOREVER)
    after = request.query.get("after", "")
    if not after:
        return answer(answers.Events(await queries.events(store, name, kinds, since, until, limit)))
    facts = await queries.events_after(store, _event_id(after), kinds, name, limit)
    rows = [documents.fact(*fact) for fact in map(_parts, facts) if since <= fact[2].at < until]
    return answer(answers.Events(rows))


def _parts(fact: Any) -> tuple[str, str, wire.AnyEvent]:
    return fact.node, fact.id, fact.event


def _event_id(text: str) -> str:
    try:
        documents.split_id(text)
    except ValueError:
        raise _bad(f"after: {text[:60]!r} is no event's id") from None
    return text


async def delivery(request: web.Request) -> web.Response:
    """Say what arrived of a node."""
    found = await request.app[CENTRE].store.archive.delivery(_node(request))
    return answer(msgspec.convert(found, answers.Delivery))


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────


async def put_line(request: web.Request) -> web.Response:
    """Draw or move a line."""
    body = await _body(request, answers.LineBody)
    try:
        wire.Line(body.points, body.anchor, body.labels)
    except ValueError as error:
        raise _bad(f"points: {error}") from None
    camera, line = _name(request, "camera"), _name(request, "line")
    return await _change(request, f"put line {camera}/{line}", wanted.set_line(camera, line, body))


async def delete_line(request: web.Request) -> web.Response:
    """Delete a line."""
    camera, line = _name(request, "camera"), _name(request, "line")
    return await _change(request, f"delete line {camera}/{line}", wanted.drop_line(camera, line))


async def _change(request: web.Request, action: str, change: wanted.Change) -> web.Response:
    name, centre = _node(request), request.app[CENTRE]
    if centre.fleet.state(name) is None:
        raise Refused(409, "no_state", f"{name} has not said yet which cameras it has")
    try:
        version = await centre.wants.change(name, request[IDENTITY].user, action, change)
    except wanted.NotWanted as error:
        raise Refused(409 if error.code == "busy" else 404, error.code, str(error)) from None
    return answer(answers.Version(version), 202)


# ── live ──────────────────────────────────────────────────────────────────────────────────────────


async def stream(request: web.Request) -> web.StreamResponse:
    """Send what happens, as server-sent events."""
    name, camera = request.query.get("node", ""), request.query.get("camera", "")
    kinds = _kinds(request.query.get("types", ""))
    chosen = (
        frozenset(wire.EVENT_NAMES[kind] for kind in kinds) if request.query.get("types") else frozenset()
    )
    centre = request.app[CENTRE]
    last = request.headers.get("Last-Event-ID", "") or request.query.get("last_event_id", "")
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    with centre.hub.open(Watcher(name, camera if name else "", chosen)) as watcher:
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n" + await _greeting(centre, name, last, kinds))
        if watcher.camera and name in centre.fleet.names:
            async with centre.watches.watching(name, camera, False, request[IDENTITY].role):
                await _pour(response, watcher)
        else:
            await _pour(response, watcher)
    return response


async def _greeting(centre: Centre, name: str, last: str, kinds: Sequence[type]) -> bytes:
    """Return what a new watcher has to know at once: the nodes, and the facts that were missed."""
    names = [one for one in centre.fleet.names if name in ("", one)]
    known = centre.fleet.known
    chunks = [sse("node", msgspec.json.encode(await centre.fleet.entry(one))) for one in names if known(one)]
    if name in names:
        config = {"node": name, **msgspec.to_builtins(await centre.wants.config(name))}
        chunks.append(sse("config", msgspec.json.encode(config)))
    if last:
        try:
            documents.split_id(last)
        except ValueError:
            return b"".join(chunks)
        missed = await queries.events_after(centre.store, last, kinds, name, _RESUMED)
        chunks += [fact_event(fact) for fact in missed]
    return b"".join(chunks)


async def _pour(response: web.StreamResponse, watcher: Watcher) -> None:
    async for chunk in watcher.chunks():
        await response.write(chunk)


async def preview(request: web.Request) -> web.StreamResponse:
    """Send pictures of one camera, where its owner lets them leave the box."""
    name, camera, centre = _node(request), request.match_info["camera"], request.app[CENTRE]
    state = centre.fleet.state(name)
    if not any(report.camera == camera and report.preview for report in (state.cameras if state else [])):
        raise Refused(404, "no_picture", f"{name} sends no pictures of {camera[:48]!r}")
    kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-store"})
    user, role = request[IDENTITY]
    await centre.store.registry.write_audit(
        {"user": user, "action": f"watch pictures of {camera}", "node": name}
    )
    with centre.hub.open_picture(Picture(name, camera)) as picture:
        await response.prepare(request)
        async with centre.watches.watching(name, camera, True, role):
            while jpeg := await picture.take():
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                await response.write(head.encode() + jpeg + b"\r\n")
    return response


# ── the centre itself ─────────────────────────────────────────────────────────────────────────────


async def metrics(request: web.Request) -> web.Response:
    """Return the centre's figures for Prometheus."""
    text = request.app[CENTRE].metrics.text().decode()
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


async def healthz(request: web.Request) -> web.Response:
    """Say whether everything makes progress."""
    reasons = await request.app[CENTRE].unhealthy()
    return answer(answers.Health(not reasons, reasons), 503 if reasons else 200)


async def openapi(request: web.Request) -> web.Response:
    """Describe this API."""
    body = await asyncio.to_thread(describe, ROUTES, PREFIX, VERSION)
    return answer(body)


_N = "/nodes/{node}"
_L = _N + "/cameras/{camera}/lines/{line}"
_SPAN = ("camera", "from", "to", "bucket")
ROUTES = (
    Route("POST", "/login", login, "Log in", "", answers.Role, answers.LoginBody),
    Route("POST", "/logout", logout, "Log out", "viewer", answers.Nothing),
    Route("GET", "/me", me, "Who asks", answer=answers.Me),
    Route("GET", "/fleet", fleet, "All nodes", answer=answers.Fleet),
    Route("GET", _N, node, "One node", answer=answers.NodeDetail),
    Route("GET", _N + "/counts", counts, "Counts by bucket", answer=answers.Counts,
          query=(*_SPAN, "line", "format")),
    Route("GET", _N + "/tallies", tallies, "Tallies by bucket", answer=answers.Tallies, query=_SPAN),
    Route("GET", _N + "/events", events, "Stored events", answer=answers.Events,
          query=("type", "from", "to", "after", "limit")),
    Route("GET", _N + "/resources", resources, "Samples of the box", answer=answers.Resources,
          query=("from", "to", "limit")),
    Route("GET", _N + "/delivery", delivery, "What arrived", answer=answers.Delivery),
    Route("PUT", _L, put_line, "Draw or move a line", "operator", answers.Version, answers.LineBody,
          status=202),
    Route("DELETE", _L, delete_line, "Delete a line", "operator", answers.Version, status=202),
    Route("GET", "/stream", stream, "What happens, live", query=("node", "camera", "types"),
          media="text/event-stream"),
    Route("GET", _N + "/cameras/{camera}/preview", preview, "Pictures of a camera", "operator",
          media="multipart/x-mixed-replace"),
    Route("GET", "/openapi.json", openapi, "This description"),
)  # fmt: skip
OUTSIDE = (
    Route("GET", "/metrics", metrics, "Figures for Prometheus"),
    Route("GET", "/healthz", healthz, "Progress", ""),
)
