"""What a box opens before it runs: its connection settings, its models, its spool.

What always holds: whatever cannot be used is a NodeError or a ConfigError with its remedy, before anything is
started.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from agent.command import Refused, check_labels
from agent.config import CameraConfig, Config, ConfigError
from agent.count.totals import Totals
from agent.deliver.spool import Spool, SpoolError, SpoolWorker
from agent.look.judge import open_judge
from agent.mqtt.settings import BrokerSettings
from agent.see.infer import Detector, ModelError
from agent.see.model_checks import Known, meet

_LOG = logging.getLogger(__name__)

WEAK = 0.1  # the tracker goes on with boxes as weak as this; none begins with them


class NodeError(Exception):
    """What keeps a box from starting; the text says why and what to do."""


def broker(config: Config) -> BrokerSettings | None:
    """Return the connection settings of a config that was loaded, None for a box without a centre."""
    settings = config.broker
    if settings is None:
        return None
    parsed = BrokerSettings.parse(
        settings.url,
        username=settings.username,
        password_file=settings.password_file,
        ca_file=settings.ca_file,
        client_id=config.node,
    )
    return parsed if parsed.username else msgspec.structs.replace(parsed, username=config.node)


def load_models(config: Config) -> dict[str, Detector]:
    """Return camera -> detector; raise NodeError or ConfigError."""
    return {name: load_model(name, camera) for name, camera in config.camera.items()}


def open_detector(camera: CameraConfig, confidence: float, threads: int) -> Detector:
    """Open a camera's model as its config says; raise ModelError."""
    return Detector(camera.model_path, confidence, threads, camera.names, camera.layout, camera.preprocess)


def load_model(name: str, camera: CameraConfig) -> Detector:
    """Return a camera's detector; raise NodeError, or ConfigError if it does not know a label."""
    try:
        confidence = min(WEAK, camera.confidence)
        detector = open_detector(camera, confidence, camera.threads)
        open_judge(camera.judge, list(detector.names.values()))
        check_labels(name, camera.settings(), list(detector.names.values()))
    except ModelError as error:
        raise NodeError(str(error)) from None
    except Refused as refusal:
        raise ConfigError(f"labels of {refusal}") from None
    return detector


def meet_models(config: Config, detectors: dict[str, Detector]) -> None:
    """Check stored answers and tell licences, each once on this box; raise NodeError for a wrong answer."""
    known = Known(Path(config.state_dir) / "models.json")
    try:
        for detector in detectors.values():
            meet(detector, known)
    except ModelError as error:
        raise NodeError(str(error)) from None


def open_spool(config: Config) -> Spool:
    """Open the spool, a new epoch; raise NodeError."""
    try:
        return Spool.open(config.spool_path, config.spool.limit_mb << 20)
    except SpoolError as error:
        raise NodeError(str(error)) from None


async def totals_of(spool: SpoolWorker, camera: str) -> Totals:
    """Return a camera's running totals as they were."""
    try:
        return Totals.restore(await spool.recall(f"totals {camera}"))
    except msgspec.DecodeError as error:
        _LOG.warning("%s: its totals cannot be read and start again: %s", camera, error)
        return Totals()
