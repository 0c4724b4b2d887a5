"""The agent's TOML: what only the box's owner sets. Typed, strict: an unknown key is refused with its path.

The lines, zones and thresholds written here are the box's *first* document; what the centre sends later
replaces them (and survives restarts). Sources, models, secrets, and what may leave the box stay here.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent import centre_cameras, new_name, wire
from agent.budget import BudgetConfig
from agent.mqtt.settings import BrokerError, BrokerSettings
from agent.page.listen import address
from agent.see.feed.wish import Wish
from agent.see.packaged import model_path
from agent.see.preprocess import Preprocess
from agent.wire import toml_text
from agent.wire.mismatch import explain

SAMPLE = Path(__file__).parent / "agent.toml"

T = TypeVar("T")
Side = Annotated[int, Meta(ge=0, le=16_384)]  # pixels


class ConfigError(Exception):
    """A configuration that cannot be used; the text names the file, the key and the remedy."""


class BrokerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the events go. The password comes from a file, never from the TOML itself."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str = ""  # empty: the node's name
    password_file: str = ""
    ca_file: str = ""


class SpoolConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How much disk the waiting events may take."""

    limit_mb: Annotated[int, Meta(ge=4, le=1_000_000)] = 512


class PageConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The box's own page: off unless it is told where to listen."""

    listen: str = ""


class PrivacyConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How faces are found in pictures that leave."""

    faces: Annotated[str, Meta(min_length=1)] = "mask-free"  # or mask, or the path of a model of faces

    @property
    def model_path(self) -> Path:
        """The model's file."""
        return model_path(self.faces)


class CameraConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One camera: where it is, which model looks, what it counts."""

    source: Annotated[str, Meta(min_length=1, max_length=1000)]
    model: str = "traffic"
    names: list[wire.Label] = []  # of the classes, for a model that does not tell them
    layout: str = ""  # of another exporter's model; empty: found out
    preprocess: Preprocess | None = None  # of another exporter's model, where it is not its layout's
    threads: Annotated[int, Meta(ge=1, le=64)] = 1
    workers: Annotated[int, Meta(ge=0, le=16)] = 0  # 0: this camera's share of the cores
    size: tuple[Side, Side] = (0, 0)  # of a USB camera's pictures; (0, 0): its own
    fps: Annotated[float, Meta(ge=0.0, le=240.0)] = 0.0  # of a USB camera, or of single pictures; 0: its own
    format: Annotated[str, Meta(pattern=r"^([A-Za-z0-9 ]{4})?$", description="of four letters, as MJPG")] = (
        ""  # of a USB camera, four letters
    )
    pace: Literal["real", "fast"] = "real"
    loop: bool = False
    gate: bool = True  # look only where something moves, and as often as it can change a count
    region: bool = False  # what moves far from all lines and zones calls for no look
    preview: Literal["off", "blurred", "unblurred"] = "blurred"
    rtsp_out: Annotated[
        str, Meta(pattern=r"^(rtsps?://[^\s]{3,990})?$", description="that begins with rtsp://")
    ] = ""
    look_budget: Literal["auto", "half"] | Annotated[float, Meta(ge=0.0, le=100_000.0)] = (
        "auto"  # ms of CPU a s
    )
    judge: Annotated[str, Meta(min_length=1)] = "off"  # "auto", "off", or the path of a crop classifier
    confidence: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.25
    labels: list[wire.Label] = []
    lines: dict[wire.Name, wire.Line] = {}
    zones: dict[wire.Name, wire.Zone] = {}
    plane: wire.Plane | None = None
    privacy: dict[wire.Name, wire.ZonePoints] = {}  # the owner's: no centre takes them away

    @property
    def model_path(self) -> Path:
        """The model's file: a path, or the packaged model of that name."""
        return model_path(self.model)

    def look_of(self, settings: wire.CameraSettings, *, faces: bool = False) -> float | None:
        """The budget of the second look, ms of CPU a second of video; None: half of the first look's cost.

        `faces`: whether the camera's model finds faces; by default these are looked at twice. Where the
        centre turns the look on, and the box's owner gives it nothing, it is half of the first look's cost.
        """
        own = self._own_look(faces)
        if settings.second_look is None:
            return own
        return (own or None) if settings.second_look else 0.0

    def _own_look(self, faces: bool) -> float | None:
        """Return the budget that the box's owner gives, as `look_of` does."""
        if self.look_budget == "auto":
            return None if faces else 0.0
        return None if self.look_budget == "half" else float(self.look_budget)

    @property
    def pictures_may_leave(self) -> bool:
        """True if a preview may be asked for: not where the owner says "off", of a recording either."""
        return self.preview != "off"

    @property
    def manner(self) -> Literal["blurred", "unblurred", "drawn"]:
        """What pictures lose before they leave; the built-in street shows nobody real."""
        if self.source.startswith("scene:"):
            return "drawn"
        return "unblurred" if self.preview == "unblurred" else "blurred"

    @property
    def wish(self) -> Wish:
        """What is asked of the camera itself."""
        return Wish(self.size, self.fps, self.format)

    def settings(self) -> wire.CameraSettings:
        """The part of this camera that the centre may replace."""
        return wire.CameraSettings(self.confidence, self.labels, self.lines, self.zones, self.plane)


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file, as its owner writes it."""

    node: str
    state_dir: str = "/var/lib/gb-agent"
    broker: BrokerConfig | None = None  # none: a box without a centre
    spool: SpoolConfig = SpoolConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    page: PageConfig = PageConfig()
    budget: BudgetConfig = BudgetConfig()
    camera: dict[wire.Name, CameraConfig] = {}


class Config(File, frozen=True):
    """What holds: the file, with the cameras that the centre has added or changed.

    `allow_from_centre` is written below [camera]; `owner`: the tables of the file's own cameras.
    """

    allow_from_centre: bool = False
    owner: dict[str, Any] = {}

    @property
    def spool_path(self) -> Path:
        """The file of waiting events."""
        return Path(self.state_dir) / "spool.db"

    def document(self) -> wire.Document:
        """The first document, version 0."""
        return wire.Document(0, {name: camera.settings() for name, camera in self.camera.items()})


def load(path: Path) -> Config:
    """Read and check a config file; raise ConfigError."""
    try:
        tree = toml_text.parse(path.read_text("utf-8-sig"))  # some editors begin a file with a mark
    except PermissionError:
        raise ConfigError(f"{path}: may not be read by this user. Use sudo") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}. Name the file with --config FILE") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text. Save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        config = _config(tree)
        wire.valid_node(config.node)
    except wire.WireError as error:
        raise ConfigError(f"{path}: node: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    config = _as_named(config, path)
    if config.page.listen:
        try:
            address(config.page.listen)
        except ValueError as error:
            raise ConfigError(f"{path}: page.listen: {error}") from None
    if config.broker:
        try:
            BrokerSettings.parse(config.broker.url)
        except BrokerError as error:
            raise ConfigError(f"{path}: broker.url: {error}") from None
    for name, camera in config.camera.items():
        if camera.rtsp_out and not camera.pictures_may_leave:
            raise ConfigError(
                f'{path}: camera.{name}: rtsp_out sends pictures, and preview = "off" lets none leave. '
                'Take one of them out, or write preview = "blurred"'
            )
    if not config.camera:
        raise ConfigError(f'{path}: no camera. Add [camera.cam0] with source = "0" or an address')
    return config


def _as_named(config: Config, path: Path) -> Config:
    """Return the config with the name that the centre has given this box; raise ConfigError."""
    state = Path(config.state_dir)
    try:
        name = new_name.read(state, config.node)
    except OSError as error:
        raise ConfigError(f"{path}: {state / new_name.NAME}: {error.strerror}. Use sudo") from None
    if name is None:
        return config
    broker = config.broker
    if broker is not None and name.secret:
        broker = msgspec.structs.replace(broker, username="", password_file=str(state / name.file))
    return msgspec.structs.replace(config, node=name.node, broker=broker)


def _config(tree: dict[str, Any]) -> Config:
    """Check part by part, so that each message can name its place."""
    cameras = tree.pop("camera", {})
    if "allow_from_centre" in tree:
        raise ConfigError("allow_from_centre: unknown key. It is known below [camera]")
    file = _typed(tree, File, "")
    if not isinstance(cameras, dict):
        raise ConfigError("camera: write a table for each camera, [camera.NAME]")
    allow = cameras.pop("allow_from_centre", False)
    if not isinstance(allow, bool):
        raise ConfigError("camera.allow_from_centre: true or false; a camera has another name")
    owner = {name: camera_of(camera, f"camera.{name}") for name, camera in cameras.items()}
    made = {**owner, **(_of_centre(Path(file.state_dir), cameras) if allow else {})}
    parts = {**msgspec.structs.asdict(file), "camera": made}
    return Config(**parts, allow_from_centre=allow, owner=cameras)


def _of_centre(state: Path, owner: dict[str, Any]) -> dict[str, CameraConfig]:
    """Return the cameras that the centre has added or changed; raise ConfigError."""
    file = state / centre_cameras.FILE
    try:
        found = centre_cameras.read(state)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}. Use sudo") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    tables = centre_cameras.merged(owner, found)
    return {name: camera_of(tables[name], f"camera.{name}") for name in found}


def camera_of(tree: Any, path: str) -> CameraConfig:
    """Return one camera of its table; raise ConfigError with the path of what is wrong."""
    _check_name(path)
    if not isinstance(tree, dict):
        camera = {path.removeprefix("camera."): tree}
        raise ConfigError(explain(camera, dict[wire.Name, CameraConfig], "camera", toml=True))
    for kind, shape in (("lines", wire.Line), ("zones", wire.Zone)):
        parts = tree.get(kind, {})
        for name, part in parts.items() if isinstance(parts, dict) else ():
            _check_name(f"{path}.{kind}.{name}")
            if isinstance(part, dict):
                _typed(part, shape, f"{path}.{kind}.{name}")
    return _typed(tree, CameraConfig, path)


def _check_name(path: str) -> None:
    """Check the last part of a path, which a person chose."""
    try:
        msgspec.convert(re.split(r"^camera\.|\.(?:lines|zones)\.", path)[-1], wire.Name)
    except msgspec.ValidationError:
        raise ConfigError(f"{path}: a name has 1 to 48 letters, digits, spaces and _.-") from None


def _typed(tree: Any, shape: type[T], path: str) -> T:
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError:
        raise ConfigError(explain(tree, shape, path, toml=True, file=File)) from None
