"""The API under /api/v1: one small handler an operation.

What always holds: a GET changes nothing; every refusal has the one error shape; what a handler takes and
gives is a type of `answers`, and the OpenAPI description is made from the same table that routes requests.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from agent import wire
from aggregator import cameras, drawing, erasing, fleet_api, schemas, statistics, tables
from aggregator.alerts.handlers import ALERT_ROUTES
from aggregator.clones import api as clones
from aggregator.joining import api as joining
from aggregator.openapi import Route, answer, describe
from aggregator.orders import api as orders
from aggregator.params import (
    CENTRE,
    bad,
    kinds_of,
    limit_of,
    node_of,
    span_of,
    window_of,
)
from aggregator.people import api as people
from aggregator.people import login_api as door
from aggregator.places import api as places
from aggregator.places.choice import QUERY as CHOICE
from aggregator.places.choice import named
from aggregator.store import codec, queries
from aggregator.stream import preview, stream
from aggregator.system import api as system
from aggregator.wanted import api as wanted
from aggregator.wanted import profiles_api as profiles

PREFIX = "/api/v1"
VERSION = "1.0"


# ── what was counted ──────────────────────────────────────────────────────────────────────────────


def _table(
    request: web.Request,
    kind: type[msgspec.Struct],
    rows: Sequence[Any],
    whole: Callable[[Any], msgspec.Struct],
) -> web.Response:
    """Answer with rows in the form that is asked for: JSON, CSV or a JSON object a line."""
    form = request.query.get("format", "")
    if form not in ("", "json", "csv", "jsonl"):
        raise bad("format: one of json, csv, jsonl")
    accept = request.headers.get("Accept", "")
    if form == "csv" or (not form and "text/csv" in accept):
        return web.Response(text=_csv(kind, rows), content_type="text/csv")
    if form == "jsonl" or (not form and "ndjson" in accept):
        return web.Response(
            body=msgspec.json.Encoder().encode_lines(rows), content_type="application/x-ndjson"
        )
    return answer(whole(rows))


def _csv(kind: type[msgspec.Struct], rows: Sequence[Any]) -> str:
    """Return rows as CSV with a header line (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(field.encode_name for field in msgspec.structs.fields(kind))
    for row in rows:
        writer.writerow(_harmless(value) for value in msgspec.structs.astuple(row))
    return text.getvalue()


def _harmless(value: object) -> object:
    """Write what has parts as JSON, and keep a spreadsheet from taking a name for a formula."""
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _asked(request: web.Request, *names: str) -> tuple[str, ...]:
    """Return the node's name and some filters of the query; an absent filter is empty."""
    return node_of(request), *(request.query.get(name, "") for name in names)


async def counts(request: web.Request) -> web.Response:
    """Count crossings by bucket."""
    name, camera, line = _asked(request, "camera", "line")
    rows = await statistics.counts(request.app[CENTRE].store, name, camera, line, window_of(request))
    return _table(request, tables.CountRow, rows, tables.Counts)


async def fleet_counts(request: web.Request) -> web.Response:
    """Count crossings by bucket over several nodes."""
    nodes = named(request)
    camera, line = (request.query.get(name, "") for name in ("camera", "line"))
    by = request.query.get("by", "line")
    if by not in ("line", "node"):
        raise bad("by: one of line, node")
    centre = request.app[CENTRE]
    window = window_of(request, zone=centre.places.zone_of_all(nodes))
    rows = await statistics.fleet_counts(centre.store, nodes, camera, line, by, window)
    zone = window.zone.key
    return _table(
        request, tables.FleetCountRow, rows, lambda rows: tables.FleetCounts(rows, len(nodes), zone)
    )


async def tallies(request: web.Request) -> web.Response:
    """Sum up watched and blind time, objects, frames and latency by bucket."""
    name, camera = _asked(request, "camera")
    rows = await statistics.tallies(request.app[CENTRE].store, name, camera, window_of(request))
    return _table(request, tables.TallyRow, rows, tables.Tallies)


async def shares(request: web.Request) -> web.Response:
    """Return the labels' shares of the objects by bucket, with their intervals."""
    name, camera = _asked(request, "camera")
    rows = await statistics.shares(request.app[CENTRE].store, name, camera, window_of(request))
    return _table(request, tables.ShareRow, rows, tables.Shares)


async def zones(request: web.Request) -> web.Response:
    """Return how full zones were by bucket, who came and went, how long they stayed."""
    name, camera, zone = _asked(request, "camera", "zone")
    rows = await statistics.zones(request.app[CENTRE].store, name, camera, zone, window_of(request))
    return _table(request, tables.ZoneRow, rows, tables.Zones)


async def speeds(request: web.Request) -> web.Response:
    """Return how fast lines were crossed."""
    name, camera, line = _asked(request, "camera", "line")
    rows = await statistics.speeds(request.app[CENTRE].store, name, camera, line, window_of(request, "all"))
    return _table(request, tables.SpeedRow, rows, tables.Speeds)


async def trips(request: web.Request) -> web.Response:
    """Return how many objects went from which gate to which."""
    name, camera, origin, destination = _asked(request, "camera", "origin", "destination")
    store = request.app[CENTRE].store
    window = window_of(request, "all")
    rows = await statistics.trips(store, name, camera, origin, destination, window)
    return _table(request, tables.TripRow, rows, tables.Trips)


async def resources(request: web.Request) -> web.Response:
    """Return samples of the box."""
    name = node_of(request)
    since, until = span_of(request)
    rows = await queries.resources(request.app[CENTRE].store, name, since, until, limit_of(request, 2000))
    return answer(schemas.Resources(rows))


async def events(request: web.Request) -> web.Response:
    """Return events, newest first; with `after`, in the order of storing."""
    name = node_of(request)
    limit = limit_of(request, 200)
    types = kinds_of(request.query.get("type", ""))
    store = request.app[CENTRE].store
    since, until = span_of(request)
    after = request.query.get("after", "")
    if not after:
        return answer(schemas.Events(await queries.events(store, name, types, since, until, limit)))
    facts = await queries.events_after(store, _event_id(after), types, name, limit)
    rows = [codec.fact(*fact) for fact in map(_parts, facts) if since <= fact[2].at < until]
    return answer(schemas.Events(rows))


def _parts(fact: Any) -> tuple[str, str, wire.AnyEvent]:
    return fact.node, fact.id, fact.event


def _event_id(text: str) -> str:
    try:
        codec.split_id(text)
    except ValueError:
        raise bad(f"after: {text[:60]!r} is no event's id") from None
    return text


async def pictures(request: web.Request) -> web.Response:
    """Say which pictures left a node, and for whom, the newest first."""
    rows = await request.app[CENTRE].store.departures.newest(node_of(request), limit_of(request, 50))
    return answer(schemas.Departures(rows))


async def delivery(request: web.Request) -> web.Response:
    """Say what arrived of a node."""
    found = await request.app[CENTRE].store.archive.delivery(node_of(request))
    return answer(msgspec.convert(found, schemas.Delivery))


# ── the centre itself ─────────────────────────────────────────────────────────────────────────────


async def metrics(request: web.Request) -> web.Response:
    """Return the centre's figures for Prometheus."""
    text = request.app[CENTRE].metrics.text().decode()
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


async def healthz(request: web.Request) -> web.Response:
    """Say whether everything makes progress."""
    reasons = await request.app[CENTRE].unhealthy()
    return answer(schemas.Health(not reasons, reasons), 503 if reasons else 200)


async def openapi(request: web.Request) -> web.Response:
    """Describe this API."""
    body = await asyncio.to_thread(describe, ROUTES, PREFIX, VERSION)
    return answer(body)


def _drawn(path: str, kind: drawing.Kind, put: str, delete: str) -> tuple[Route, Route]:
    """Return how one kind of drawing is set and taken away."""
    return (
        Route("PUT", path, drawing.put(kind), put, "operator", schemas.Version, kind.body, status=202),
        Route("DELETE", path, drawing.delete(kind), delete, "operator", schemas.Version, status=202),
    )


_N = "/nodes/{node}"
_C = _N + "/cameras/{camera}"
_TIME = ("camera", "from", "to", "format")
_SPAN = (*_TIME, "bucket")
ROUTES = (
    *door.ROUTES,
    Route("GET", "/fleet", fleet_api.fleet, "All nodes, or a page of them", answer=schemas.Fleet,
          query=(*CHOICE, *fleet_api.QUERY)),
    Route("GET", "/fleet/counts", fleet_counts, "Counts of several nodes", answer=tables.FleetCounts,
          query=(*_SPAN, "line", "nodes", "by", *CHOICE)),
    Route("GET", _N, fleet_api.node, "One node", answer=schemas.NodeDetail),
    Route("GET", _N + "/counts", counts, "Counts by bucket", answer=tables.Counts,
          query=(*_SPAN, "line")),
    Route("GET", _N + "/tallies", tallies, "Tallies by bucket", answer=tables.Tallies, query=_SPAN),
    Route("GET", _N + "/shares", shares, "Shares of labels by bucket", answer=tables.Shares, query=_SPAN),
    Route("GET", _N + "/zones", zones, "Zones by bucket", answer=tables.Zones, query=(*_SPAN, "zone")),
    Route("GET", _N + "/speeds", speeds, "Speeds at lines", answer=tables.Speeds, query=(*_TIME, "line")),
    Route("GET", _N + "/trips", trips, "From which gate to which", answer=tables.Trips,
          query=(*_TIME, "origin", "destination")),
    Route("GET", _N + "/events", events, "Stored events", answer=schemas.Events,
          query=("type", "from", "to", "after", "limit")),
    Route("GET", _N + "/resources", resources, "Samples of the box", answer=schemas.Resources,
          query=("from", "to", "limit")),
    Route("GET", _N + "/pictures", pictures, "Pictures that left the box", "operator",
          answer=schemas.Departures, query=("limit",)),
    Route("GET", _N + "/delivery", delivery, "What arrived", answer=schemas.Delivery),
    *_drawn(_C + "/lines/{line}", drawing.LINE, "Draw or move a line", "Delete a line"),
    *_drawn(_C + "/zones/{zone}", drawing.ZONE, "Draw or move a zone", "Delete a zone"),
    *_drawn(_C + "/plane", drawing.PLANE, "Set the road plane", "Take the road plane away"),
    Route("GET", "/stream", stream, "What happens, live", query=("node", "nodes", "camera", "types"),
          media="text/event-stream"),
    Route("GET", _C + "/preview", preview, "Pictures of a camera", "operator",
          media="multipart/x-mixed-replace"),
    *ALERT_ROUTES,
    Route("GET", "/openapi.json", openapi, "This description"),
    *system.ROUTES,
    *erasing.ROUTES,
    *people.ROUTES,
    *places.ROUTES,
    *wanted.ROUTES,
    *joining.ROUTES,
    *clones.ROUTES,
    *cameras.ROUTES,
    *orders.ROUTES,
    *profiles.ROUTES,
)  # fmt: skip
OUTSIDE = (
    Route("GET", "/metrics", metrics, "Figures for Prometheus", whole=True),
    Route("GET", "/healthz", healthz, "Progress", ""),
)
