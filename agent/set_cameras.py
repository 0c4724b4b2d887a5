"""What a centre may order about the cameras themselves: add one, change where it is, take one away.

What always holds: nothing is kept before it was tried: the table is right, the model fits, and the source
gives a picture. What is refused says why, without the address and without names of files. `agent.cameras`
lets it run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent import centre_cameras, startup, wire
from agent.command import Refused
from agent.config import CameraConfig, Config, ConfigError, camera_of
from agent.see.feed.names import is_camera, local_path
from agent.see.infer import Detector
from agent.see.probe import inspect
from agent.see.sources import SourceError

PROBE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """A camera as it is to be from now on, with its model; both None: it is taken away. `told`: in words."""

    name: str
    camera: CameraConfig | None
    detector: Detector | None
    told: str


def put(config: Config, name: str, text: str) -> Change:
    """Add a camera, or change one. Raise Refused.

    Args:
        config: as the box runs it.
        name: the camera's.
        text: JSON, what is to be set (`centre_cameras.KEYS`); what is left out stays.
    """
    known = _known(config)
    wanted = _wanted(name, text)
    table = {**known.get(name, {}), **wanted}
    change = _tried(config, name, {name: table})
    _keep(config, {**known, name: table})
    return change


def remove(config: Config, name: str) -> Change:
    """Take a camera away that the centre has added; raise Refused. What it counted stays."""
    known = _known(config)
    if name in config.owner and name not in known:
        raise Refused(f"{name} is of this box's own agent.toml: only its owner takes it away")
    if name not in known:
        raise Refused(f"this box has no camera {name!r}")
    if name in config.owner:
        tried = _tried(config, name, {})
        change = Change(name, tried.camera, tried.detector, f"{name} is as the box's owner says again")
    elif not config.owner and len(known) == 1:  # by what is kept: what runs may still be changing
        raise Refused("it is the only camera of this box")
    else:
        change = Change(name, None, None, f"{name} is taken away; what it counted stays")
    _keep(config, {other: table for other, table in known.items() if other != name})
    return change


def _tried(config: Config, name: str, tables: dict[str, dict[str, Any]]) -> Change:
    """Return a camera as these tables of the centre's make it, once it was tried; raise Refused."""
    table = tables.get(name, config.owner.get(name, {}))
    try:
        camera = camera_of(centre_cameras.merged(config.owner, tables)[name], f"camera.{name}")
        detector = startup.load_model(name, camera)
        startup.meet_models(config, {name: detector})
        return Change(name, camera, detector, _try(config.camera.get(name), name, camera))
    except (ConfigError, startup.NodeError) as error:
        raise Refused(_without(str(error), table)) from None


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


def _try(running: CameraConfig | None, name: str, camera: CameraConfig) -> str:
    """Return what a camera gives, in words; raise Refused. `running`: as it runs now."""
    if running is not None and running.source == camera.source:
        if running.wish == camera.wish:
            return f"{name} keeps its source, and restarts in a moment"
        if is_camera(local_path(camera.source) or Path()):  # two cannot have it open
            return f"{name} is in use, so it was not tried; it restarts in a moment"
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
