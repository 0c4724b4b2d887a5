"""Which nodes a request is about: of a site, a group, with labels, in a state, with a text in their name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web

from aggregator.params import CENTRE, IDENTITY, no_node
from aggregator.places.documents import Place
from aggregator.places.places import NOWHERE

QUERY = ("site", "group", "label", "state", "q")


class Choice(NamedTuple):
    """What is asked for; empty: everything. `labels`: a node must have all of them."""

    site: str = ""
    group: str = ""
    labels: tuple[str, ...] = ()
    state: str = ""
    text: str = ""


def choice_of(request: web.Request) -> Choice:
    """Return what a request's query chooses. `label` may be given several times."""
    query = request.query
    labels = tuple(text for text in query.getall("label", []) if text)
    return Choice(
        query.get("site", ""), query.get("group", ""), labels, query.get("state", ""), query.get("q", "")
    )


def chosen(request: web.Request, choice: Choice) -> Sequence[str]:
    """Return the known nodes that are chosen and that the one who asks may see, by name."""
    centre = request.app[CENTRE]
    reach = request[IDENTITY].reach
    names = centre.fleet.names
    place = centre.places.of
    if not reach.whole:
        names = [name for name in names if centre.places.sees(reach, name)]
    if choice.site:
        names = [name for name in names if place(name).site == choice.site]
    if choice.group:
        names = [name for name in names if choice.group in place(name).groups]
    if choice.labels:
        names = [name for name in names if set(choice.labels) <= set(place(name).labels)]
    if choice.state:
        names = [name for name in names if centre.fleet.standing(name) == choice.state]
    if choice.text:
        text = choice.text.lower()
        names = [name for name in names if text in name or _says(place(name), text)]
    return names


def named(request: web.Request) -> Sequence[str]:
    """Return the nodes of the query's `nodes` that are chosen too, all that are if it names none.

    Raise Refused for a node that nobody has heard, or that the one who asks may not see.
    """
    among = chosen(request, choice_of(request))
    names = {name for name in request.query.get("nodes", "").split(",") if name}
    if not names:
        return among
    visible = set(chosen(request, Choice()))
    for name in sorted(names - visible):
        raise no_node(name)
    return [name for name in among if name in names]


def _says(place: Place, text: str) -> bool:
    """True if a node's title, site, groups or labels have a text in them, in small letters."""
    words = (place.title, place.site, *place.groups, *place.labels)
    return place is not NOWHERE and any(text in word.lower() for word in words)
