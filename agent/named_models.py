"""Models by name: what a centre may choose for a camera, of what this box has.

A name stands for the owner's own model of the camera, a packaged one, or a file `models/NAME.onnx` in the
state folder, where the box's owner has put it. Never for a path.

What always holds: a model is opened, its stored answer checked and its judge of faces tried before a document
that names it is taken; what cannot be used is refused with the reason, and what runs goes on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from agent import startup, wire
from agent.command import Refused
from agent.config import CameraConfig, Config, ConfigError
from agent.see.infer import Detector
from agent.see.packaged import packaged

FOLDER = "models"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class NamedModels:
    """The models of one box. `owners`: camera -> what its owner has configured.

    Opening takes seconds and is done on other threads: a camera may be gone by then.
    """

    def __init__(self, config: Config, owners: Mapping[str, Detector]) -> None:
        self._config = config
        self._owners = dict(owners)
        self._opened: dict[tuple[str, str], Detector] = {}
        self._refused: dict[tuple[str, str], str] = {}

    def prepare(self, payload: bytes) -> None:
        """Open what a document names, for `labels` to have it at hand; takes seconds. What is wrong waits."""
        self._refused.clear()
        try:
            document = wire.decode_document(payload)
        except wire.WireError:
            return  # whoever takes the document says so
        self.open_all(document)

    def open_all(self, document: wire.Document) -> None:
        """Open what a document names and this box has; takes seconds."""
        named = [(name, camera.model) for name, camera in document.cameras.items() if camera.model]
        for camera, model in named:
            if camera in self._owners and (camera, model) not in self._opened:
                self._open(camera, model)

    def owned(self) -> dict[str, list[str]]:
        """Return camera -> what its owner's model can tell."""
        return {name: list(detector.names.values()) for name, detector in self._owners.items()}

    def renew(self, config: Config, camera: str, detector: Detector | None) -> None:
        """Take what is configured now; `detector`: the camera's own, None: there is no such camera."""
        self._config = config
        self._opened = {key: one for key, one in list(self._opened.items()) if key[0] != camera}
        self._owners.pop(camera, None)
        if detector is not None:
            self._owners[camera] = detector

    def keep(self, document: wire.Document) -> None:
        """Forget what a document that runs does not name: models take memory."""
        named = {(name, camera.model) for name, camera in document.cameras.items()}
        self._opened = {key: detector for key, detector in list(self._opened.items()) if key in named}

    def labels(self, camera: str, model: str) -> list[str]:
        """Return what a model can tell; raise Refused if this box cannot use it at this camera."""
        key = (camera, model)
        if key not in self._opened and key not in self._refused:
            self._open(camera, model)
        if key in self._refused:
            raise Refused(f"{camera}, model: {self._refused[key]}")
        return list(self._opened[key].names.values())

    def detector(self, camera: str, model: str) -> Detector:
        """Return what looks at a camera: the model of that name, or its owner's where none can be used."""
        return self._opened.get((camera, model), self._owners[camera])

    def borrow(self, camera: str, model: str) -> Detector:
        """Return a model of the box for a while; raise Refused if it cannot be used at this camera."""
        if (camera, model) in self._opened:
            return self._opened[camera, model]
        try:
            return self._load(camera, model)
        except (startup.NodeError, ConfigError) as error:
            raise Refused(f"{camera}, model: {error}") from None

    def _open(self, camera: str, model: str) -> None:
        try:
            self._opened[camera, model] = self._load(camera, model)
        except (Refused, startup.NodeError, ConfigError) as error:
            self._refused[camera, model] = str(error)

    def _load(self, camera: str, model: str) -> Detector:
        """Open a model; raise Refused, NodeError or ConfigError."""
        own = self._config.camera.get(camera)
        owned = self._owners.get(camera)
        if own is None or owned is None:
            raise Refused(f"this box has no camera {camera!r} now")
        if model in (own.model, own.model_path.stem):
            return owned
        detector = startup.load_model(camera, _for_model(own, self._path(model)))
        startup.meet_models(self._config, {camera: detector})
        return detector

    def _path(self, model: str) -> Path:
        if not _NAME.fullmatch(model):
            raise Refused(f"{model[:40]!r} is no name of a model; only the box's owner gives a path")
        places = self._places()
        if model not in places:
            raise Refused(f"this box has no model {model!r}; it has {', '.join(sorted(places))}")
        return places[model]

    def _places(self) -> dict[str, Path]:
        """Return name -> file of all models that this box has."""
        folder = Path(self._config.state_dir) / FOLDER
        return packaged() | {path.stem: path for path in sorted(folder.glob("*.onnx"))}


def _for_model(own: CameraConfig, path: Path) -> CameraConfig:
    """Return a camera's config with another model, without what its owner says of theirs."""
    return msgspec.structs.replace(
        own, model=str(path), names=[], layout="", preprocess=None, labels=[], lines={}, zones={}
    )
