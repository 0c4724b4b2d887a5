"""What a benchmark leaves where BENCH_JSON names a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.figures import leave


def test_figures_go_where_bench_json_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run replaces what stood there; a part stands beside it. Without the name, nothing."""
    target = tmp_path / "figures.json"
    monkeypatch.delenv("BENCH_JSON", raising=False)
    leave({"a": 1})
    assert not target.exists()
    monkeypatch.setenv("BENCH_JSON", str(target))
    leave({"a": 1})
    leave({"a": 2, "b": 3}, beside=True)
    leave({"c": 4}, beside=True)
    assert json.loads(target.read_text()) == {"a": 2, "b": 3, "c": 4}
    leave({"d": 5})
    assert json.loads(target.read_text()) == {"d": 5}
