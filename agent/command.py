"""What the centre may ask of a node: the desired document, and one-shot commands.

What always holds: a document is applied whole or not at all, and the reason is reported; an older or equal
version changes nothing; the applied document is on disk before it runs, so it works with the centre away.
A command is executed at most once, never after its expiry, and answered once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import msgspec

from agent import wire
from agent.taken import Taken

_PASSING = ("watch", "unwatch")  # change nothing that lasts
PICTURE_ROLES = ("operator", "admin")
# What is done in its own time (`agent.orders`, `agent.study`) -> who may order it, and whether it gives a
# camera's picture.
_OPERATOR = ("operator", "admin")
ORDERS = {
    "snapshot": (_OPERATOR, True),
    "empty": (_OPERATOR, True),
    "self-test": (_OPERATOR, False),
    "calibrate": (_OPERATOR, False),
    "run-model": (("admin",), False),
    "logs": (("admin",), False),
    "restart": (("admin",), False),
    "rename": (("admin",), False),
    "put-camera": (("admin",), False),
    "remove-camera": (("admin",), False),
}
KNOWS = [field.name for field in msgspec.structs.fields(wire.CameraSettings)]
Part = TypeVar("Part", wire.Line, wire.Zone)


class Refused(Exception):
    """A document or a command that is not executed; the text is the reason."""


Models = Callable[[str, str], list[str]]


def _no_model(camera: str, model: str) -> list[str]:
    raise Refused(f"{camera}, model: this box has no model {model!r} by name")


class Desired:
    """The document that runs, and how it is replaced.

    `first`: what the box's own file says. `remembered`: what `remember` gave at the last change, None at
    the very first start. `labels`: camera -> what its owner's model knows. `ungated`: cameras at which
    nothing holds looks back. `models`: what a model of this name knows at a camera, or raises Refused.
    """

    def __init__(
        self,
        first: wire.Document,
        remembered: bytes | None,
        labels: Mapping[str, list[str]],
        ungated: Collection[str] = (),
        models: Models = _no_model,
    ) -> None:
        self._models = models
        self.refused = b""  # the newest document, while it is refused
        self._begin(first, _memory(remembered) or _Memory(first, first), labels, ungated)

    def renew(
        self, first: wire.Document, labels: Mapping[str, list[str]], ungated: Collection[str] = ()
    ) -> None:
        """Take the box's cameras as they are now, as a fresh start would."""
        self._begin(first, _Memory(self._first, self.document), labels, ungated)

    def _begin(
        self,
        first: wire.Document,
        memory: _Memory,
        labels: Mapping[str, list[str]],
        ungated: Collection[str],
    ) -> None:
        self._labels = labels
        self._ungated = ungated
        self.error = ""
        self._first = renumber(memory.first, first)
        served = memory.applied != memory.first
        self.document = self._fit(memory.applied) if served else self._first
        try:
            self._check(self.document)
        except Refused as refusal:  # the box has another model now
            self.error = str(refusal)[:300]

    def remember(self) -> bytes:
        """Return what a restart needs."""
        return msgspec.msgpack.encode(_Memory(self._first, self.document))

    def settings(self, camera: str) -> wire.CameraSettings:
        """Return what runs on a camera."""
        return self.document.cameras[camera]

    def report(self) -> wire.ConfigReport:
        """Return which document runs, or why the newest does not."""
        return wire.ConfigReport(
            self.document.version,
            self.error,
            self.document,
            knows=KNOWS,
            refused=without_effect(self.document, self._ungated),
        )

    def want(self, payload: bytes) -> bool:
        """Take a desired document; True if it is to be applied now. A refusal is kept in `error`."""
        try:
            document = wire.decode_document(payload)
            if document.version <= self.document.version:
                return False
            self._check(document)
        except (wire.WireError, Refused) as refusal:
            self.error = str(refusal)[:300]
            self.refused = payload
            return False
        self.error = ""
        self.refused = b""
        self.document = self._fit(document)
        return True

    def draw(self, camera: str, name: str, line: wire.Line | None) -> None:
        """Draw a line at the box itself, or take it away; raise Refused. Only for a box without a centre."""
        if camera not in self.document.cameras:
            raise Refused(f"this box has no camera {camera[:48]!r}")
        settings = self.document.cameras[camera]
        if line is None and name not in settings.lines:
            raise Refused(f"camera {camera!r} has no line {name!r}")
        version = self.document.version + 1
        lines = {other: kept for other, kept in settings.lines.items() if other != name}
        if line is not None:
            lines[name] = msgspec.structs.replace(line, version=version)
        changed = msgspec.structs.replace(settings, lines=lines)
        document = wire.Document(version, {**self.document.cameras, camera: changed})
        self._check(document)
        self.document = document

    def _check(self, document: wire.Document) -> None:
        for name, camera in document.cameras.items():
            if name not in self._labels:
                raise Refused(f"this box has no camera {name!r}; it has {', '.join(self._labels)}")
            known = self._models(name, camera.model) if camera.model else self._labels[name]
            check_labels(name, camera, known)

    def _fit(self, document: wire.Document) -> wire.Document:
        """Every camera of this box has settings, and only those."""
        cameras = {n: document.cameras.get(n, s) for n, s in self._first.cameras.items()}
        return wire.Document(document.version, cameras)


def without_effect(document: wire.Document, ungated: Collection[str] = ()) -> dict[str, str]:
    """Return what of a document this agent understands and does not do -> why, by path.

    `ungated`: cameras at which nothing holds looks back.
    """
    return {
        f"{camera}.budget": "looks are not held back here: this box's agent.toml says gate = false"
        for camera, settings in document.cameras.items()
        if camera in ungated and settings.budget is not None
    }


def check_labels(name: str, camera: wire.CameraSettings, known: list[str]) -> None:
    """Raise Refused if a camera is asked for what its model never finds: it would count nothing, silently."""
    named = [("camera", camera.labels)]
    named += [(f"line {n!r}", line.labels) for n, line in camera.lines.items()]
    named += [(f"zone {n!r}", zone.labels) for n, zone in camera.zones.items()]
    for place, labels in named:
        unknown = sorted(set(labels) - set(known))
        if unknown:
            raise Refused(
                f"{name}, {place}: the model does not know {unknown[0]!r}; it knows {', '.join(known)}"
            )


class _Memory(msgspec.Struct, array_like=True, frozen=True):
    first: wire.Document
    applied: wire.Document


def _memory(remembered: bytes | None) -> _Memory | None:
    """Return what was remembered; None if there is nothing, or another version wrote it differently."""
    try:
        return msgspec.msgpack.decode(remembered, type=_Memory) if remembered else None
    except wire.DECODE_ERRORS:
        return None


def renumber(before: wire.Document, now: wire.Document) -> wire.Document:
    """Give the lines and zones that the box's owner has edited since a new version."""
    if strip(before) == strip(now):
        return before
    version = before.version + 1
    cameras = {}
    for name, camera in now.cameras.items():
        old = before.cameras.get(name, wire.CameraSettings())
        lines = {n: _renumbered(old.lines.get(n), line, version) for n, line in camera.lines.items()}
        zones = {n: _renumbered(old.zones.get(n), zone, version) for n, zone in camera.zones.items()}
        cameras[name] = msgspec.structs.replace(camera, lines=lines, zones=zones)
    return wire.Document(version, cameras)


def _renumbered(old: Part | None, new: Part, version: int) -> Part:
    if old is not None and msgspec.structs.replace(old, version=0) == msgspec.structs.replace(new, version=0):
        return old
    return msgspec.structs.replace(new, version=version)


def strip(document: wire.Document) -> dict[str, wire.CameraSettings]:
    """Return a document's cameras without any version."""

    def bare(camera: wire.CameraSettings) -> wire.CameraSettings:
        lines = {n: msgspec.structs.replace(line, version=0) for n, line in camera.lines.items()}
        zones = {n: msgspec.structs.replace(zone, version=0) for n, zone in camera.zones.items()}
        return msgspec.structs.replace(camera, lines=lines, zones=zones)

    return {name: bare(camera) for name, camera in document.cameras.items()}


class Commands:
    """Executes each command once. `watch(command)` is what "watch" and "unwatch" call.

    `order(command)` takes what is answered later, or returns the refusal. `aside(epoch)` leaves the name to
    another box if that is this box's start, and returns whether it is.
    """

    def __init__(
        self,
        cameras: Mapping[str, bool],
        watch: Callable[[wire.Command], None],
        order: Callable[[wire.Command], wire.Response | None] | None = None,
        aside: Callable[[int], bool] = lambda epoch: False,
        taken: Taken | None = None,
    ) -> None:
        self._cameras = cameras  # name -> pictures may leave
        self._watch = watch
        self._order = order
        self._aside = aside
        self._taken = Taken() if taken is None else taken

    def execute(self, payload: bytes, now_ms: int) -> wire.Response | None:
        """Execute one command; None for what cannot even be answered, or is answered later."""
        try:
            command: wire.Command = wire.decode_json(payload, wire.Command)
        except wire.WireError as error:
            id_ = wire.id_of(payload)
            return wire.Response(id_, False, f"this command cannot be read: {error}"[:300]) if id_ else None
        try:
            self._refuse(command, now_ms)
        except Refused as refusal:
            return wire.Response(command.id, False, str(refusal))
        self._taken.take(command.id, command.expires, command.verb not in _PASSING)
        if command.verb == wire.STAND_ASIDE:
            told = self._aside(command.epoch)
            return wire.Response(command.id, told, "" if told else "this is for another start of the agent")
        if command.verb in ORDERS and self._order is not None:
            return self._order(command)
        self._watch(command)
        return wire.Response(command.id, True)

    def _refuse(self, command: wire.Command, now_ms: int) -> None:
        if command.id in self._taken:
            raise Refused("this command was executed already")
        if command.expires < now_ms:
            raise Refused("this command has expired")
        if not self._taken.has_room(now_ms):
            raise Refused("too many commands at once: try again in a moment")
        if command.verb == wire.STAND_ASIDE:
            return
        roles, gives_picture = ORDERS.get(command.verb, ((), command.picture))
        known = self._order is not None and command.verb in ORDERS
        if command.verb not in _PASSING and not known:
            raise Refused(f"unknown command {command.verb[:40]!r}")
        if known and command.role not in roles:
            raise Refused(f"only {' or '.join(roles)} may order {command.verb}")
        if known and not gives_picture:
            return  # a camera that such an order is about may be a new one
        if command.camera not in self._cameras:
            raise Refused(f"this box has no camera {command.camera[:48]!r}")
        if gives_picture and command.role not in PICTURE_ROLES:
            raise Refused("only an operator may ask for pictures")
        if gives_picture and not self._cameras[command.camera]:
            raise Refused('the box\'s owner lets no picture leave: preview = "off"')
