"""Which nodes a request is about: of a site, a group, with labels, in a state, with a text in their name."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from aggregator.params import CENTRE, IDENTITY, no_node

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


def chosen(request: web.Request, choice: Choice) -> list[str]:
    """Return the known nodes that are chosen and that the one who asks may see, by name."""
    centre = request.app[CENTRE]
    reach = request[IDENTITY].reach
    return [
        name
        for name in centre.fleet.names
        if centre.fleet.known(name) and centre.places.sees(reach, name) and _fits(request, choice, name)
    ]


def named(request: web.Request) -> list[str]:
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


def _fits(request: web.Request, choice: Choice, name: str) -> bool:
    centre = request.app[CENTRE]
    place = centre.places.of(name)
    text = choice.text.lower()
    words = (name, place.title, place.site, *place.groups, *place.labels)
    return (
        choice.site in ("", place.site)
        and (not choice.group or choice.group in place.groups)
        and set(choice.labels) <= set(place.labels)
        and (not choice.state or centre.fleet.standing(name) == choice.state)
        and (not text or any(text in word.lower() for word in words))
    )
