from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_twenty_random_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Agent, boxes, broker, aggregators, database killed with -9: committed = stored + declared lost."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", "--cycles=20", "--seed=11", "--folder", str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.rpartition("BENCH_JSON")[2])["chaos"]
    assert figures["cycles"] == 20
    assert figures["committed"] == figures["stored"] + figures["lost"] > 100
