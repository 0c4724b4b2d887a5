"""Requests about settings as documents: of one camera, of many, their history and their drift.

What always holds: whoever sends settings can see the difference first, and says which version they saw, so
that of two who change the same camera the second is told and nothing is lost. A node that cannot take
something is told of in the answer or in the drift, with the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from agent import wire
from aggregator.auth import Refused
from aggregator.desired import Change, NotWanted, Wanted
from aggregator.drawing import refusal, seen_of
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, limit_of, name_of, node_of
from aggregator.params import body_of as _body_of
from aggregator.places.choice import QUERY, Choice, choice_of, chosen
from aggregator.wanted import merge, schemas

_NOT_SHOWN = "it or a camera of it came after the difference was shown; look at the difference again"
_AT_ONCE = 16  # nodes to which something is sent at a time


# ── one camera ────────────────────────────────────────────────────────────────────────────────────


async def get_settings(request: web.Request) -> web.Response:
    """Show a camera's settings."""
    node = node_of(request)
    camera = name_of(request, "camera")
    wants = request.app[CENTRE].wants
    wanted = await wants.read(node)
    settings = _of(wanted, camera)
    state = wants.state_of(node, wanted)
    own = f"{camera}."
    found = schemas.Settings(
        node=node,
        camera=camera,
        version=wanted.version_of(camera),
        settings=settings,
        wanted=state.wanted,
        applied=state.applied,
        running=state.wanted == state.applied and not state.error,
        error=state.error,
        refused={path.removeprefix(own): why for path, why in state.refused.items() if path.startswith(own)},
        since=state.since,
        by=state.by,
        profile=state.profile,
    )
    return _tagged(answer(found), found.version)


def _tagged(response: web.Response, version: int) -> web.Response:
    response.headers["ETag"] = f'"{version}"'
    return response


def _of(wanted: Wanted, camera: str) -> wire.CameraSettings:
    settings = wanted.base.cameras.get(camera)
    if settings is None:
        raise Refused(404, "no_camera", f"the node has no camera {camera!r}")
    return settings


async def put_settings(request: web.Request) -> web.Response:
    """Set all of a camera's settings; with `dry_run=true` say only what would change."""
    node = node_of(request)
    camera = name_of(request, "camera")
    settings, seen = _sent(request, await _body_of(request, dict[str, Any]))
    wants = request.app[CENTRE].wants
    wanted = await wants.read(node)
    after = _checked(lambda: merge.whole(_of(wanted, camera), settings, 0))
    difference = _told(merge.differences(_of(wanted, camera), after))
    if request.query.get("dry_run", "") in ("true", "1"):
        return answer(schemas.Sent(node, camera, None, difference))
    try:
        version = await wants.change(
            node,
            request[IDENTITY].user,
            f"put settings {camera}",
            _replacing(camera, settings),
            {} if seen is None else {camera: seen},
        )
    except NotWanted as error:
        raise refusal(error) from None
    return _tagged(answer(schemas.Sent(node, camera, version, difference), 202), version)


def _sent(request: web.Request, body: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return the settings of a body and the version that its sender saw, as `If-Match` or `version` says."""
    seen = body.get("version")
    if "settings" in body:
        body = body["settings"] if isinstance(body["settings"], dict) else {}
    else:
        body = {name: value for name, value in body.items() if name != "version"}
    by_header = seen_of(request)
    seen = seen if by_header is None else by_header
    if seen is not None and not isinstance(seen, int):
        raise bad("version: a number, as GET …/settings said")
    return body, seen


def _checked(make: Any) -> wire.CameraSettings:
    try:
        made: wire.CameraSettings = make()
    except merge.SettingsError as error:
        raise bad(f"settings: {error}") from None
    return made


def _told(rows: list[merge.Difference]) -> list[schemas.Differ]:
    return [schemas.Differ(*row) for row in rows]


def _replacing(camera: str, settings: Mapping[str, Any]) -> Change:
    """Return the change that sets all of a camera's settings."""

    def change(document: wire.Document, version: int) -> wire.Document:
        before = document.cameras.get(camera)
        if before is None:
            raise NotWanted("no_camera", f"the node has no camera {camera!r}")
        after = merge.whole(before, settings, version)
        return wire.Document(version, {**document.cameras, camera: after})

    return change


# ── many ──────────────────────────────────────────────────────────────────────────────────────────


def aimed(request: web.Request, aim: schemas.Aim) -> list[str]:
    """Return the nodes that a body aims at and the one who asks may see; raise Refused for none named."""
    if not (aim.site or aim.group or aim.labels or aim.nodes or aim.everywhere):
        raise bad("say which nodes: site, group, labels, nodes, or everywhere")
    names = chosen(request, Choice(aim.site, aim.group, tuple(aim.labels)))
    unknown = sorted(set(aim.nodes) - set(chosen(request, Choice())))
    if unknown:
        raise Refused(404, "no_node", f"no node {unknown[0][:40]!r} was ever heard")
    found = [name for name in names if not aim.nodes or name in aim.nodes]
    if not found and not aim.everywhere:
        raise Refused(404, "no_node", f"no node fits {_words(aim)}")
    return found


def _words(aim: schemas.Aim) -> str:
    """Return what a body aims at, as a sentence names it."""
    site = [f"site {aim.site[:40]!r}"] if aim.site else []
    group = [f"group {aim.group[:40]!r}"] if aim.group else []
    labels = [f"label {label[:40]!r}" for label in aim.labels[:3]]
    nodes = ["these names"] if aim.nodes else []
    return " and ".join(site + group + labels + nodes)


async def put_many(request: web.Request) -> web.Response:
    """Send settings to many cameras at once, or say what would change."""
    body = await _body_of(request, schemas.SettingsForMany)
    try:
        merge.check(body.settings)
    except merge.SettingsError as error:
        raise bad(f"settings: {error}") from None
    gate = asyncio.Semaphore(_AT_ONCE)
    seen: dict[str, dict[str, int]] = {}
    for each in body.seen:
        seen.setdefault(each.node, {})[each.camera] = each.version

    async def one(node: str) -> list[schemas.Sent]:
        async with gate:
            return await _send(request, node, body, seen.get(node, {}))

    rows = await asyncio.gather(*(one(node) for node in aimed(request, body)))
    return answer(schemas.SentMany([row for some in rows for row in some]), 200 if body.dry_run else 202)


async def _send(
    request: web.Request, node: str, body: schemas.SettingsForMany, seen: Mapping[str, int]
) -> list[schemas.Sent]:
    """Send settings to the cameras of one node; return a row for each."""
    wants = request.app[CENTRE].wants
    wanted = await wants.read(node)
    cameras = [name for name in wanted.base.cameras if not body.cameras or name in body.cameras]
    rows = []
    for camera in cameras:
        before = wanted.base.cameras[camera]
        difference = _told(merge.differences(before, merge.merged(before, body.settings, 0)))
        rows.append(schemas.Sent(node, camera, None, difference, seen=wanted.version_of(camera)))
    if not rows:
        return [schemas.Sent(node, "", None, [], "it has told of no such camera")]
    if body.dry_run or not any(row.difference for row in rows):
        return rows
    if body.seen and not seen.keys() >= set(cameras):
        return [msgspec.structs.replace(row, refused=_NOT_SHOWN) for row in rows]
    action = f"put settings {', '.join(sorted(body.settings))} of {', '.join(cameras)}"
    try:
        version = await wants.change(
            node, request[IDENTITY].user, action[:300], merging(body.settings, cameras), seen
        )
    except NotWanted as error:
        return [msgspec.structs.replace(row, refused=str(error)) for row in rows]
    return [msgspec.structs.replace(row, version=version) for row in rows]


def merging(settings: Mapping[str, Any], cameras: list[str]) -> Change:
    """Return the change that replaces some settings of some cameras; `cameras` empty: of all."""

    def change(document: wire.Document, version: int) -> wire.Document:
        after = {
            name: merge.merged(camera, settings, version) if not cameras or name in cameras else camera
            for name, camera in document.cameras.items()
        }
        return wire.Document(version, after)

    return change


# ── what was, and what drifts ─────────────────────────────────────────────────────────────────────


async def history(request: web.Request) -> web.Response:
    """Show the documents that a node was wanted to run, the newest first."""
    node = node_of(request)
    rows = await request.app[CENTRE].store.registry.versions(node, limit_of(request, 20))
    found = [
        schemas.DocumentVersion(
            version=row["version"],
            at=round(row["at"].timestamp() * 1000),
            by=row["by"],
            action=row["action"],
            document=wire.read_document(bytes(row["document"]))[0],
        )
        for row in rows
    ]
    return answer(schemas.Documents(found))


async def drift(request: web.Request) -> web.Response:
    """Show which nodes do not do what is wanted of them, since when, and why not."""
    centre = request.app[CENTRE]
    kept = {row["_id"]: row for row in await centre.store.registry.wants()}
    rows = []
    for node in chosen(request, choice_of(request)):
        wanted = centre.wants.wanted(node, kept.get(node))
        state = centre.wants.state_of(node, wanted)
        defaults = _otherwise(request, node, wanted)
        if state.wanted != state.applied or state.error or state.refused or defaults:
            why = state.error
            if not why and state.wanted != state.applied:
                why = (
                    "it has not answered yet" if centre.fleet.standing(node) == "online" else "it is offline"
                )
            rows.append(
                schemas.Drift(node, state.wanted, state.applied, state.since, why, state.refused, defaults)
            )
    return answer(schemas.Drifts(rows))


def _otherwise(request: web.Request, node: str, wanted: Wanted) -> list[str]:
    """Return the paths of what a node does otherwise than the defaults of its groups."""
    places = request.app[CENTRE].places
    found: set[str] = set()
    for group in places.of(node).groups:
        defaults = places.groups[group].settings if group in places.groups else {}
        for name, camera in wanted.base.cameras.items() if defaults else ():
            rows = merge.differences(camera, merge.merged(camera, defaults, 0))
            found |= {f"{name}.{row.path}" for row in rows}
    return sorted(found)


_SETTINGS = "/nodes/{node}/cameras/{camera}/settings"
ROUTES = (
    Route("GET", _SETTINGS, get_settings, "A camera's settings", answer=schemas.Settings),
    Route("PUT", _SETTINGS, put_settings, "Set a camera's settings", "operator", schemas.Sent,
          wire.CameraSettings, query=("dry_run",), status=202, also=(200,)),
    Route("POST", "/settings", put_many, "Send settings to many cameras", "operator", schemas.SentMany,
          schemas.SettingsForMany, status=202, also=(200,)),
    Route("GET", "/nodes/{node}/documents", history, "Documents that were wanted", answer=schemas.Documents,
          query=("limit",)),
    Route("GET", "/drift", drift, "Nodes that do not do what is wanted", answer=schemas.Drifts, query=QUERY),
)  # fmt: skip
