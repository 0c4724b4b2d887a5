"""The dashboard's own unit tests, run by Node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "aggregator" / "web"


def test_dashboard_arithmetic() -> None:
    """Geometry, sums, formats, and the parsers of both streams hold in the bundled TypeScript."""
    node = shutil.which("node")
    if node is None or not (WEB / "node_modules").is_dir():
        pytest.skip("no Node, or the dashboard's packages are not installed: `make setup`")
    done = subprocess.run([node, "test.mjs"], cwd=WEB, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
