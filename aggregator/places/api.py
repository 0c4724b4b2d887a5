"""Requests about sites, groups and the places of nodes.

What always holds: a node is put only into sites and groups that are there; one that has nodes in it is not
taken away. Who sees only some sites is told of those, and of nothing else.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from aggregator.desired import NotWanted
from aggregator.drawing import refusal
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, node_of, record
from aggregator.people.identity import Refused
from aggregator.places import documents
from aggregator.places.places import Part
from aggregator.schemas import Nothing
from aggregator.wanted import merge
from aggregator.wanted.api import merging


class SiteRow(documents.SiteDocument, kw_only=True, frozen=True):
    """A site. `nodes`: how many stand there."""

    site: str
    nodes: int


class Sites(Struct):
    """All sites that the one who asks may see."""

    sites: list[SiteRow]


class GroupRow(documents.GroupDocument, kw_only=True, frozen=True):
    """A group. `nodes`: how many are in it."""

    group: str
    nodes: int


class Groups(Struct):
    """All groups that the one who asks may see."""

    groups: list[GroupRow]


class PlaceBody(Struct, forbid_unknown_fields=True):
    """What changes of a node's place; what is left out stays."""

    site: str | UnsetType = UNSET
    groups: list[str] | UnsetType = UNSET
    labels: list[documents.Tag] | UnsetType = UNSET
    title: documents.Title | UnsetType = UNSET


def _name(request: web.Request, part: Part) -> str:
    try:
        return msgspec.convert(request.match_info[part], documents.PlaceName)
    except msgspec.ValidationError:
        raise bad(f"a {part}'s name has 1 to 64 letters, digits, spaces and ._@/-") from None


def _shown(request: web.Request, part: Part) -> list[str]:
    """Return the sites or groups of which the one who asks may know."""
    places = request.app[CENTRE].places
    return [name for name in sorted(places.known(part)) if places.shows(request[IDENTITY].reach, part, name)]


def _asked(request: web.Request, part: Part) -> str:
    """Return the site or group that is asked for; raise Refused if it is not there, or is not to be known."""
    name = _name(request, part)
    places = request.app[CENTRE].places
    if name not in places.known(part) or not places.shows(request[IDENTITY].reach, part, name):
        raise Refused(404, f"no_{part}", f"there is no {part} {name!r}")
    return name


async def _delete(request: web.Request, part: Part) -> web.Response:
    """Take an empty site or group away."""
    name = _name(request, part)
    places = request.app[CENTRE].places
    if inside := len(places.inside(part, name)):
        raise Refused(409, "not_empty", f"{inside} nodes are in the {part} {name!r}: move them first")
    if not await places.delete(f"{part}s", name):
        raise Refused(404, f"no_{part}", f"there is no {part} {name!r}")
    await record(request, f"delete {part}", what=name)
    return answer(Nothing())


# ── sites ─────────────────────────────────────────────────────────────────────────────────────────


def _site_row(request: web.Request, name: str, site: documents.SiteDocument | None = None) -> SiteRow:
    """Return a site as it is shown. `site`: as it was just set, for another may take it away meanwhile."""
    places = request.app[CENTRE].places
    fields = msgspec.structs.asdict(site or places.sites[name])
    return SiteRow(site=name, nodes=len(places.inside("site", name)), **fields)


async def list_sites(request: web.Request) -> web.Response:
    """Show the sites."""
    return answer(Sites([_site_row(request, name) for name in _shown(request, "site")]))


async def get_site(request: web.Request) -> web.Response:
    """Show one site."""
    return answer(_site_row(request, _asked(request, "site")))


async def put_site(request: web.Request) -> web.Response:
    """Add a site, or change it."""
    name = _name(request, "site")
    body = await body_of(request, documents.SiteDocument)
    if body.timezone:
        try:
            ZoneInfo(body.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise bad(f"timezone: no zone {body.timezone!r}; write a name like Europe/Berlin") from None
    if (body.latitude is None) != (body.longitude is None):
        raise bad("latitude, longitude: give both or none")
    await request.app[CENTRE].places.put("sites", name, body)
    await record(request, "put site", what=name)
    return answer(_site_row(request, name, body))


async def delete_site(request: web.Request) -> web.Response:
    """Take an empty site away."""
    return await _delete(request, "site")


# ── groups ────────────────────────────────────────────────────────────────────────────────────────


def _group_row(request: web.Request, name: str, group: documents.GroupDocument | None = None) -> GroupRow:
    """Return a group as it is shown. `group`: as it was just set."""
    places = request.app[CENTRE].places
    fields = msgspec.structs.asdict(group or places.groups[name])
    return GroupRow(group=name, nodes=len(places.inside("group", name)), **fields)


async def list_groups(request: web.Request) -> web.Response:
    """Show the groups."""
    return answer(Groups([_group_row(request, name) for name in _shown(request, "group")]))


async def get_group(request: web.Request) -> web.Response:
    """Show one group."""
    return answer(_group_row(request, _asked(request, "group")))


async def put_group(request: web.Request) -> web.Response:
    """Add a group, or change it."""
    name = _name(request, "group")
    body = await body_of(request, documents.GroupDocument)
    try:
        merge.check(body.settings)
    except merge.SettingsError as error:
        raise bad(f"settings: {error}") from None
    await request.app[CENTRE].places.put("groups", name, body)
    await record(request, "put group", what=name)
    return answer(_group_row(request, name, body))


async def delete_group(request: web.Request) -> web.Response:
    """Take an empty group away."""
    return await _delete(request, "group")


# ── a node's place ────────────────────────────────────────────────────────────────────────────────


async def get_place(request: web.Request) -> web.Response:
    """Say where a node stands."""
    return answer(request.app[CENTRE].places.of(node_of(request)))


async def patch_place(request: web.Request) -> web.Response:
    """Put a node somewhere else, or label it anew; what is left out stays, whoever changes it meanwhile."""
    node = node_of(request)
    places = request.app[CENTRE].places
    body = await body_of(request, PlaceBody)
    changed = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
    for name in ("groups", "labels"):
        if name in changed:
            changed[name] = sorted(set(changed[name]))
    places.check(changed.get("site", ""), changed.get("groups", []))
    before = places.of(node)
    place = await places.patch(node, changed) if changed else before
    await record(request, "place node", node=node, what=_words(changed))
    await _give_defaults(request, node, [group for group in place.groups if group not in before.groups])
    return answer(place)


async def _give_defaults(request: web.Request, node: str, groups: list[str]) -> None:
    """Give a node that comes into groups their defaults, the last group's last."""
    centre = request.app[CENTRE]
    if centre.fleet.state(node) is None:
        return  # it has told of no camera yet
    for group in groups:
        known = centre.places.groups.get(group)  # another may take it away meanwhile
        if known is not None and known.settings:
            settings = known.settings
            user = request[IDENTITY].user
            try:
                await centre.wants.change(node, user, f"defaults of group {group}", merging(settings, []))
            except NotWanted as error:
                raise refusal(error) from None


def _words(changed: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in changed.items())[:300]


_GROUP = "/groups/{group}"
_SITE = "/sites/{site}"
_PLACE = "/nodes/{node}/place"
ROUTES = (
    Route("GET", "/sites", list_sites, "All sites", answer=Sites),
    Route("GET", _SITE, get_site, "One site", answer=SiteRow),
    Route("PUT", _SITE, put_site, "Add or change a site", "admin", SiteRow, documents.SiteDocument,
          whole=True),
    Route("DELETE", _SITE, delete_site, "Take a site away", "admin", Nothing, whole=True),
    Route("GET", "/groups", list_groups, "All groups", answer=Groups),
    Route("GET", _GROUP, get_group, "One group", answer=GroupRow),
    Route("PUT", _GROUP, put_group, "Add or change a group", "admin", GroupRow, documents.GroupDocument,
          whole=True),
    Route("DELETE", _GROUP, delete_group, "Take a group away", "admin", Nothing, whole=True),
    Route("GET", _PLACE, get_place, "Where a node stands", answer=documents.Place),
    Route("PATCH", _PLACE, patch_place, "Move or label a node", "admin", documents.Place, PlaceBody,
          whole=True),
)  # fmt: skip
