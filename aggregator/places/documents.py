"""What is kept of a site, a group and a node's place, and what their names may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

PlaceName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,63}$")]
Tag = Annotated[str, Meta(pattern=r"^[^\x00-\x1f,]{1,64}$")]  # a node's label, as `floor=2`
Title = Annotated[str, Meta(max_length=120, pattern=r"^[^\x00-\x1f]*$")]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]

T = TypeVar("T", bound=Struct)


class SiteDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A site: what it is called, its time zone (empty: the centre's), where it lies (WGS 84, degrees)."""

    title: Title = ""
    timezone: Annotated[str, Meta(max_length=64)] = ""
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class GroupDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """A group. `settings`: of each camera of a node that comes into it; what is left out stays as it is."""

    title: Title = ""
    settings: dict[str, Any] = {}


class Place(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a node stands: its site, the groups it is in, its labels, and how people call it."""

    site: str = ""
    groups: list[str] = []
    labels: list[str] = []
    title: str = ""


def read(rows: Iterable[dict[str, Any]], kind: type[T]) -> dict[str, T]:
    """Return name -> document; what a newer centre has written beside it is left out."""
    known = {field.name for field in msgspec.structs.fields(kind)}
    return {
        row["_id"]: msgspec.convert({key: value for key, value in row.items() if key in known}, kind)
        for row in rows
    }
