"""Percentiles and medians are NumPy's, and do not load what NumPy's own do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import agent
from agent.percentile import medians, percentile


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (68, 80), (17, 10)])
def test_the_quick_percentile_is_numpys(shape: tuple[int, int]) -> None:
    """On tiles of any size and both kinds of numbers it is `numpy.percentile`, to the last digits."""
    values = np.random.default_rng(3).uniform(0, 255, shape)
    for kind in (np.uint8, np.float32):
        for percent in (0, 5, 25, 95, 98, 100):
            expected = np.percentile(values.astype(kind), percent)
            assert percentile(values.astype(kind), percent) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_the_medians_of_columns_are_numpys(count: int) -> None:
    """Of an odd number of rows and of an even one."""
    rows = np.random.default_rng(count).normal(size=(count, 24)).astype(np.float32)
    assert medians(list(rows)) == pytest.approx(np.median(rows, axis=0), rel=1e-6)


def test_no_masked_arrays_come_along() -> None:
    """A process that has used both has not loaded `numpy.ma`."""
    script = (
        "import sys; from agent.percentile import medians, percentile;"
        "percentile([1.0, 2.0], 95), medians([[1.0], [2.0]]); print('numpy.ma' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_part_of_the_agent_calls_what_loads_them() -> None:
    """Nowhere in the agent stand NumPy's own median, percentile, quantile, or its bare `unique`."""
    loads = re.compile(r"np\.(?:nan)?(?:median|percentile|quantile)\(|np\.unique\((?!.*return_)|np\.ma\b")
    modules = sorted(Path(agent.__file__).parent.rglob("*.py"))
    found = [
        f"{module.name}: {line.strip()}"
        for module in modules
        for line in module.read_text().splitlines()
        if loads.search(line)
    ]
    assert found == []
