"""What a centre may order about the cameras themselves: add one, change where it is, take one away.

What always holds: nothing is kept before it was tried: the table is right, the model fits, and the source
gives a picture. What is refused says why, without the address and without names of files. It runs from the
next start on, which follows at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from agent import centre_cameras, startup, wire
from agent.command import Refused
from agent.config import CameraConfig, Config, ConfigError, camera_of
from agent.see.feed.names import local_path
from agent.see.probe import inspect
from agent.see.sources import SourceError

PROBE_SECONDS = 10.0


def put(config: Config, name: str, text: str) -> str:
    """Add a camera, or change one; return what it gives. Raise Refused.

    Args:
        config: as the box runs it.
        name: the camera's.
        text: JSON, what is to be set (`centre_cameras.KEYS`); what is left out stays.
    """
    known = _known(config)
    wanted = _wanted(name, text)
    table = {**known.get(name, {}), **wanted}
    try:
        camera = camera_of(centre_cameras.merged(config.owner, {name: table})[name], f"camera.{name}")
        told = _try(name, camera)
    except (ConfigError, startup.NodeError) as error:
        raise Refused(_without(str(error), table)) from None
    _keep(config, {**known, name: table})
    return told


def remove(config: Config, name: str) -> str:
    """Take a camera away that the centre has added; raise Refused. What it counted stays."""
    known = _known(config)
    if name in config.owner:
        if name not in known:
            raise Refused(f"{name} is of this box's own agent.toml: only its owner takes it away")
        _keep(config, {other: table for other, table in known.items() if other != name})
        return f"{name} is as the box's owner says again"
    if name not in known:
        raise Refused(f"this box has no camera {name!r}")
    if len(config.camera) == 1:
        raise Refused("it is the only camera of this box")
    _keep(config, {other: table for other, table in known.items() if other != name})
    return f"{name} is taken away; what it counted stays"


def told(config: Config, reports: list[wire.CameraReport]) -> list[wire.CameraReport]:
    """Return the account of the cameras as the centre gets it: where they are only if it may set them."""
    if not config.allow_from_centre:
        return reports
    return [
        msgspec.structs.replace(
            report,
            source=centre_cameras.shown(config.camera[report.camera].source),
            from_centre=report.camera not in config.owner,
        )
        for report in reports
    ]


def allows(config: Config) -> list[str]:
    """Return what the box's owner lets the centre do."""
    return ["cameras"] if config.allow_from_centre else []


def _known(config: Config) -> dict[str, dict[str, Any]]:
    if not config.allow_from_centre:
        raise Refused(wire.CAMERAS_NOT_ALLOWED)
    try:
        return centre_cameras.read(Path(config.state_dir))
    except (OSError, ValueError) as error:
        raise Refused(f"{centre_cameras.FILE} cannot be read: {error}") from None


def _keep(config: Config, cameras: dict[str, dict[str, Any]]) -> None:
    try:
        centre_cameras.write(Path(config.state_dir), cameras)
    except OSError as error:
        raise Refused(f"{centre_cameras.FILE} cannot be written: {error.strerror}") from None


def _wanted(name: str, text: str) -> dict[str, Any]:
    """Return what is to be set; raise Refused."""
    try:
        msgspec.convert(name, wire.Name)
        wanted = msgspec.json.decode(text.encode(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"what is to be set of the camera cannot be read: {error}") from None
    unknown = sorted(wanted.keys() - set(centre_cameras.KEYS))
    if unknown:
        keys = ", ".join(centre_cameras.KEYS)
        raise Refused(f"a centre may set {keys} of a camera, not {unknown[0][:40]!r}")
    model = wanted.get("model", "")
    if isinstance(model, str) and ("/" in model or model.endswith(".onnx")):
        raise Refused("a centre names a model of this box; only its owner gives a path")
    return wanted


def _try(name: str, camera: CameraConfig) -> str:
    """Return what a camera gives; raise Refused, NodeError or ConfigError."""
    startup.load_model(name, camera)
    try:
        found = inspect(camera.source, PROBE_SECONDS, camera.wish)
    except SourceError as error:
        raise Refused(_without(str(error), {"source": camera.source})) from None
    return f"{name} gives {found.width}x{found.height} at {found.fps:.1f} frames/s; it runs in a moment"


def _without(text: str, table: dict[str, Any]) -> str:
    """Return a text without the source of a table, in whichever form it names it."""
    source = str(table.get("source", ""))
    path = local_path(source) if source else None
    for each in filter(None, (source, str(path or ""), source.removeprefix("file://"))):
        text = text.replace(each, "the source")
    return text[:300]
