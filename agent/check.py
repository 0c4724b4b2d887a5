"""`gb-agent check`: try everything that a box needs, one line each."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent import inquiry, startup
from agent.config import CameraConfig, Config, ConfigError
from agent.deliver.spool_ballast import free_bytes, full, reserve
from agent.deliver.spool_lock import in_use
from agent.mqtt.client import BrokerError, connect
from agent.see import self_test, trial
from agent.see.infer import InferenceError, ModelError
from agent.see.probe import inspect
from agent.see.sources import SourceError
from agent.status import in_words


def check(config: Config, path: Path) -> bool:
    """Try everything that `run` needs and print a line each; return whether all is well.

    `path`: where the config was read from.
    """
    print(f"ok    config {path}: node {config.node}, {len(config.camera)} camera(s)")
    results = [_check_state_dir(config), asyncio.run(_check_broker(config))]
    for name, camera in config.camera.items():
        results += [check_model(name, camera), _check_camera(name, camera)]
    if _runs(config):
        print(
            "note  the agent has the config of its last start; sudo systemctl reload gb-agent takes this one"
        )
    return all(results)


def _runs(config: Config) -> bool:
    """Tell whether an agent works in this state folder; not if this user may not look."""
    try:
        return in_use(config.spool_path)
    except OSError:
        return False


def _say(good: bool, text: str) -> bool:
    print(f"{'ok   ' if good else 'FAIL '} {text}")
    return good


def _check_state_dir(config: Config) -> bool:
    folder = Path(config.state_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".check").write_bytes(bytes(4096))
        (folder / ".check").unlink()
        free = free_bytes(config.spool_path)
    except OSError as error:
        return _say(
            False,
            f"state_dir {folder}: {error.strerror}. Make it and let this user write there: "
            "till then events are kept in memory only",
        )
    if free <= reserve(config.spool.limit_mb << 20):
        return _say(False, f"state_dir {folder}: {full(config.spool_path)}")
    return _say(True, f"state_dir {folder}")


async def _check_broker(config: Config) -> bool:
    """Connect as this node, unless its agent runs: two connections of one node would throw each other off."""
    broker = startup.broker(config)
    if broker is None:
        return _say(True, "broker: none; this box works without a centre")
    try:
        answer = inquiry.ask(Path(config.state_dir))
        if answer is not None:
            standing = answer.connection
            return _say(standing.connected, f"broker: the agent is running, {in_words(standing)}")
        if in_use(config.spool_path):
            return _say(False, f"broker {broker}: an agent is running that does not say how it stands")
        async with connect(broker):
            return _say(True, f"broker {broker}")
    except OSError as error:
        return _say(False, f"state_dir {config.state_dir}: {error.strerror}")
    except (BrokerError, inquiry.SilentError) as error:
        return _say(False, f"broker {error}")


def check_model(name: str, camera: CameraConfig) -> bool:
    """Show a camera's model two pictures, and print what comes out; return whether it can be used."""
    try:
        detector = startup.load_model(name, camera)
        self_test.check(detector)
    except (startup.NodeError, ConfigError, ModelError, InferenceError) as error:
        return _say(False, f"{name} model {error}")
    outcome = trial.try_model(detector)
    text = f"{name} model {camera.model_path.name}: {outcome.told}"
    if detector.second_size:
        text += f", each picture in two sizes, {detector.inputs}"
    elif detector.mirrored:
        text += f", each picture in {detector.inputs}"
    if not outcome.good:
        return _say(False, text)
    print(f"{'ok   ' if outcome.sure else 'warn '} {text}; knows {', '.join(detector.names.values())}")
    if detector.warning:
        print(f"warn  {name} model {camera.model_path.name}: {detector.warning}")
    return True


def _check_camera(name: str, camera: CameraConfig) -> bool:
    try:
        found = inspect(camera.source, 10.0, camera.wish)
    except SourceError as error:
        return _say(False, f"{name} source {error}")
    note = f" ({found.note})" if found.note else ""
    return _say(True, f"{name} source: {found.width}x{found.height} at {found.fps:.1f} frames/s{note}")
