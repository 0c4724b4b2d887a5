"""The models that come along with the agent, by the names that a config gives them."""

from __future__ import annotations

from pathlib import Path

from agent.wire.unknown import hint

MODELS = Path(__file__).parents[1] / "models"
_PREFIX = "gb-yolo-n-"


def packaged() -> dict[str, Path]:
    """Return name -> file of the packaged models, as `traffic`."""
    return {path.stem.removeprefix(_PREFIX): path for path in sorted(MODELS.glob(f"{_PREFIX}*.onnx"))}


def model_path(model: str) -> Path:
    """Return a model's file: the packaged model of that name, or a path."""
    return packaged().get(model, Path(model))


def near(path: Path) -> str:
    """Return `. Did you mean ...?` if a packaged model's name is near what was given for one."""
    return hint(str(path), packaged())
