"""Settings of a camera put together and taken apart. Pure functions of documents.

What always holds: a line or zone keeps its version while nothing about it changes, and goes on counting;
whatever makes no sense raises `SettingsError` with the path, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from agent import wire
from agent.wire.mismatch import explain

OF_THE_FIRST = ("confidence", "labels", "lines", "zones", "plane")  # what every node understands
_DRAWN = ("lines", "zones")
_SHOWN = 200  # characters of a value in a difference


class SettingsError(ValueError):
    """Settings that make no sense; the text names the path."""


class Difference(NamedTuple):
    """One thing that differs: its path, and it before and after as JSON; empty: not there."""

    path: str
    before: str
    after: str


def known() -> list[str]:
    """Return the names of all settings of a camera."""
    return [field.name for field in msgspec.structs.fields(wire.CameraSettings)]


def check(settings: Mapping[str, Any]) -> None:
    """Raise SettingsError if some settings of a camera cannot be right, whatever the others are."""
    merged(wire.CameraSettings(), settings, 0)


def merged(base: wire.CameraSettings, settings: Mapping[str, Any], version: int) -> wire.CameraSettings:
    """Return a camera's settings with some of them replaced; what changes has this version."""
    return versioned(base, _converted({**msgspec.to_builtins(base), **settings}), version)


def whole(base: wire.CameraSettings, settings: Mapping[str, Any], version: int) -> wire.CameraSettings:
    """Return settings that take the place of all others; what is left out has its default."""
    return versioned(base, _converted(settings), version)


def versioned(before: wire.CameraSettings, after: wire.CameraSettings, version: int) -> wire.CameraSettings:
    """Give each line and zone of `after` that is not the same as before this version."""
    fresh: dict[str, Any] = {}
    for kind in _DRAWN:
        old: Mapping[str, Any] = getattr(before, kind)
        new: Mapping[str, Any] = getattr(after, kind)
        fresh[kind] = {name: _kept(old.get(name), shape, version) for name, shape in new.items()}
    return msgspec.structs.replace(after, **fresh)


def _kept(old: Any, new: Any, version: int) -> Any:
    if old is not None and msgspec.structs.replace(new, version=old.version) == old:
        return old
    return msgspec.structs.replace(new, version=version)


def _converted(settings: Mapping[str, Any]) -> wire.CameraSettings:
    plain = msgspec.json.decode(msgspec.json.encode(settings))
    try:
        return msgspec.convert(plain, wire.CameraSettings)
    except msgspec.ValidationError:
        raise SettingsError(explain(plain, wire.CameraSettings)) from None


def fitted(document: wire.Document, running: wire.Document) -> wire.Document:
    """Return a document for the cameras that a node has now, `running`: what it runs.

    A camera that came since is as it runs; one that is gone is left out, or the node would refuse the rest.
    """
    if not running.cameras:
        return document
    cameras = {name: document.cameras.get(name, runs) for name, runs in running.cameras.items()}
    return wire.Document(document.version, cameras)


def differences(before: wire.CameraSettings | None, after: wire.CameraSettings | None) -> list[Difference]:
    """Return what differs between two settings of a camera, by path; versions are no difference."""
    old = _flat(before)
    new = _flat(after)
    paths = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return [Difference(path, old.get(path, "")[:_SHOWN], new.get(path, "")[:_SHOWN]) for path in paths]


def _flat(settings: wire.CameraSettings | None) -> dict[str, str]:
    """Return path -> JSON of each setting, lines, zones and the like one by one."""
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(wire.CameraSettings) if settings else ():
        value = getattr(settings, field.name)
        if isinstance(value, dict):
            for name, shape in value.items():
                bare = msgspec.to_builtins(shape)
                if isinstance(bare, dict):  # a privacy zone is points alone
                    bare.pop("version", None)
                found[f"{field.name}.{name}"] = msgspec.json.encode(bare).decode()
        else:
            found[field.name] = msgspec.json.encode(value).decode()
    return found


def overlaid(document: wire.Document, settings: Mapping[str, Any], before: wire.Document) -> wire.Document:
    """Return a document with some settings of every camera replaced, as a profile does.

    `before`: what ran until now; a line of the profile that ran already keeps its version.
    """
    cameras = {}
    for name, camera in document.cameras.items():
        after = merged(camera, settings, document.version)
        ran = before.cameras.get(name)
        cameras[name] = _as_it_ran(camera, after, ran) if ran else after
    return wire.Document(document.version, cameras)


def _as_it_ran(
    base: wire.CameraSettings, after: wire.CameraSettings, ran: wire.CameraSettings
) -> wire.CameraSettings:
    """Take the version that a line or zone had when it ran, where it is not the base's own."""
    fresh: dict[str, Any] = {}
    for kind in _DRAWN:
        own: Mapping[str, Any] = getattr(base, kind)
        old: Mapping[str, Any] = getattr(ran, kind)
        new: Mapping[str, Any] = getattr(after, kind)
        fresh[kind] = {
            name: shape if shape == own.get(name) else _kept(old.get(name), shape, shape.version)
            for name, shape in new.items()
        }
    return msgspec.structs.replace(after, **fresh)


def understood(document: wire.Document, knows: list[str]) -> tuple[bytes, dict[str, str]]:
    """Return a document as a node can read it, and what was left out for that: path -> why."""
    names = knows or list(OF_THE_FIRST)
    built = msgspec.to_builtins(document)
    left: dict[str, str] = {}
    for camera, settings in built["cameras"].items():
        for name in [each for each in settings if each not in names]:
            del settings[name]
            left[f"{camera}.{name}"] = "this version of the agent does not know it: upgrade the box"
    return msgspec.json.encode(built), left
