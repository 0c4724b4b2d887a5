"""What `gb-agent bench` measures and advises."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent import bench, cpu_quota
from agent.bench_report import advise, table
from agent.config import CameraConfig, Config
from agent.see import packaged
from agent.see.packaged import MODELS


def row(
    model: str, precision: str, rates: list[float], *, right: bool = True, size: str = "640x640"
) -> dict[str, Any]:
    rate = {str(count): rate for count, rate in zip((1, 2, 4), rates, strict=False)}
    kind = {"task": "mask", "input": size, "precision": precision, "right": right}
    return {"model": model, "frames_per_second": rate, **kind}


def test_int8_is_advised_where_it_pays_and_is_right() -> None:
    """int8 must be clearly faster and compute rightly; else the float model is the better one."""
    whole = row("mask", "float", [40.0, 80.0])
    quick = row("mask-int8", "int8", [60.0, 110.0])
    wrong = row("mask-int8", "int8", [60.0, 110.0], right=False)
    level = row("mask-int8", "int8", [41.0, 82.0])
    for order in (1, -1):
        assert [each["model"] for each in advise([whole, quick][::order])] == ["mask-int8"]
        assert [each["model"] for each in advise([whole, wrong][::order])] == ["mask"]
        assert [each["model"] for each in advise([whole, level][::order])] == ["mask"]
    other = row("mask-free", "float", [41.0, 82.0])
    for order in (1, -1):
        assert [each["model"] for each in advise([whole, other][::order])] == ["mask"]
    assert advise([whole, quick])[0]["cameras"] == 8
    assert advise([wrong]) == []


def test_each_input_has_its_own_advice() -> None:
    """A model of another input is for other views: it is neither advised instead nor pushed aside."""
    wide = row("mask", "float", [80.0], size="384x640")
    square = row("mask-square", "float", [40.0])
    advice = advise([square, wide])
    assert {each["model"]: each["input"] for each in advice} == {"mask": "384x640", "mask-square": "640x640"}
    figures = {"cores": 1, "picture": "1x1", "decode_ms": 1.0, "spool_ms": 1.0, "models": []}
    last = list(table(figures | {"advice": advice}))[-2:]
    assert [line.partition(":")[0] for line in last] == ["mask 384x640", "mask 640x640"]


def test_no_more_workers_than_help() -> None:
    """Where a second worker brings nothing, one is advised."""
    assert advise([row("mask", "float", [80.0, 81.0])])[0]["workers"] == 1
    assert advise([row("mask", "float", [40.0, 78.0, 79.0])])[0]["workers"] == 2


def test_a_slow_box_is_told_so() -> None:
    """Below ten frames a second there is no camera to promise."""
    advice = advise([row("mask", "float", [3.0])])
    figures = {
        "cores": 1,
        "picture": "1x1",
        "decode_ms": 1.0,
        "spool_ms": 1.0,
        "models": [],
        "advice": advice,
    }
    assert "too slow for a camera at 10 frames/s (3.0 with" in list(table(figures))[-1]


def test_a_small_box_is_measured_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each stage has a figure, each number of threads and workers too; a broken model is told."""
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(MODELS / "gb-yolo-n-traffic.onnx", models)
    monkeypatch.setattr(packaged, "MODELS", models)
    monkeypatch.setattr(cpu_quota, "usable", lambda: 1)
    camera = CameraConfig(source="0", model="none.onnx")
    config = Config(node="gate-1", state_dir=str(tmp_path), camera={"cam0": camera})
    assert bench.bench(config, 12, as_json=True) == 1
    figures = json.loads(capsys.readouterr().out)
    good, bad = figures["models"]
    assert figures["decode_ms"] > 0
    assert figures["spool_ms"] > 0
    assert all(good[f"{name}_ms"] > 0 for name in ("letterbox", "track", "analyse"))
    assert list(good["infer_ms"]) == list(good["frames_per_second"]) == ["1"]
    assert good["right"] is True
    assert "no such model file" in bad["error"]
    assert [each["task"] for each in figures["advice"]] == ["traffic"]
    text = "\n".join(table(figures))
    assert "with model =" in text
    assert "no such model file" in text
    assert not [path for path in tmp_path.iterdir() if path != models]
