"""Requests about profiles: what they are, and switching nodes to them by hand."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from aiohttp import web

from aggregator.auth import Reach, Refused
from aggregator.desired import NotWanted
from aggregator.drawing import refusal
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, node_of, record
from aggregator.schemas import Nothing
from aggregator.site_time import now
from aggregator.wanted import merge, schemas
from aggregator.wanted.api import aimed
from aggregator.wanted.profiles import Override, ProfileDocument, ProfileName


def _name(request: web.Request) -> str:
    try:
        return msgspec.convert(request.match_info["profile"], ProfileName)
    except msgspec.ValidationError:
        raise bad("a profile's name has 1 to 48 letters, digits and ._-") from None


def _row(request: web.Request, name: str) -> schemas.ProfileRow:
    centre = request.app[CENTRE]
    reach = request[IDENTITY].reach
    profile = centre.profiles.profiles[name]
    fields = msgspec.structs.asdict(profile)
    fields["sites"] = _seen(profile.sites, reach, reach.sites)
    fields["groups"] = _seen(profile.groups, reach, reach.groups)
    running = [
        node
        for node, mark in centre.wants.profiles.items()
        if mark.partition(" ")[0] == name and centre.places.sees(reach, node)
    ]
    return schemas.ProfileRow(profile=name, running=len(running), **fields)


def _seen(names: Iterable[str], reach: Reach, own: frozenset[str]) -> list[str]:
    return [name for name in names if reach.whole or name in own]


async def list_profiles(request: web.Request) -> web.Response:
    """Show all profiles."""
    names = sorted(request.app[CENTRE].profiles.profiles)
    return answer(schemas.ProfileList([_row(request, name) for name in names]))


async def put_profile(request: web.Request) -> web.Response:
    """Add a profile, or change it."""
    name = _name(request)
    body = await body_of(request, ProfileDocument)
    try:
        merge.check(body.settings)
    except merge.SettingsError as error:
        raise bad(f"settings: {error}") from None
    places = request.app[CENTRE].places
    for kind, named, there in (("site", body.sites, places.sites), ("group", body.groups, places.groups)):
        unknown = sorted(set(named) - set(there))
        if unknown:
            raise Refused(404, f"no_{kind}", f"there is no {kind} {unknown[0][:64]!r}")
    await request.app[CENTRE].profiles.put(name, body)
    await record(request, "put profile", what=name)
    return answer(_row(request, name))


async def delete_profile(request: web.Request) -> web.Response:
    """Take a profile away; nodes that run it go back to their own settings."""
    name = _name(request)
    if not await request.app[CENTRE].profiles.delete(name):
        raise Refused(404, "no_profile", f"there is no profile {name!r}")
    await record(request, "delete profile", what=name)
    return answer(Nothing())


# ── by hand ───────────────────────────────────────────────────────────────────────────────────────


def _now_running(request: web.Request, node: str) -> schemas.Switched:
    profiles = request.app[CENTRE].profiles
    return schemas.Switched(node, profiles.name_for(node, now()), profiles.overrides.get(node))


async def get_switch(request: web.Request) -> web.Response:
    """Say which profile runs on a node, and why."""
    return answer(_now_running(request, node_of(request)))


async def put_switch(request: web.Request) -> web.Response:
    """Switch a node by hand."""
    body = await body_of(request, schemas.SwitchBody)
    node = node_of(request)
    await _switch(request, [node], Override(body.profile, body.until))
    return answer(_now_running(request, node))


async def delete_switch(request: web.Request) -> web.Response:
    """Let the clock say again which profile runs on a node."""
    node = node_of(request)
    await _switch(request, [node], None)
    return answer(_now_running(request, node))


async def switch_many(request: web.Request) -> web.Response:
    """Switch many nodes by hand."""
    body = await body_of(request, schemas.SwitchMany)
    nodes = aimed(request, body)
    await _switch(request, nodes, None if body.back else Override(body.profile, body.until))
    return answer(schemas.SwitchedMany([_now_running(request, node) for node in nodes]))


async def _switch(request: web.Request, nodes: list[str], override: Override | None) -> None:
    centre = request.app[CENTRE]
    if override and override.profile and override.profile not in centre.profiles.profiles:
        raise Refused(404, "no_profile", f"there is no profile {override.profile!r}")
    await centre.profiles.switch(nodes, override)
    what = "by the clock" if override is None else override.profile or "none"
    for node in nodes:
        await record(request, "switch profile", node=node, what=what)
        try:
            await centre.wants.show_profile(node)
        except NotWanted as error:
            raise refusal(error) from None


_ONE = "/profiles/{profile}"
_NODE = "/nodes/{node}/profile"
ROUTES = (
    Route("GET", "/profiles", list_profiles, "All profiles", answer=schemas.ProfileList),
    Route("PUT", _ONE, put_profile, "Add or change a profile", "operator", schemas.ProfileRow,
          ProfileDocument, whole=True),
    Route("DELETE", _ONE, delete_profile, "Take a profile away", "operator", Nothing, whole=True),
    Route("GET", _NODE, get_switch, "Which profile runs", answer=schemas.Switched),
    Route("PUT", _NODE, put_switch, "Switch by hand", "operator", schemas.Switched, schemas.SwitchBody),
    Route("DELETE", _NODE, delete_switch, "Back to the clock", "operator", schemas.Switched),
    Route("POST", "/profiles/switch", switch_many, "Switch many by hand", "operator", schemas.SwitchedMany,
          schemas.SwitchMany),
)  # fmt: skip
