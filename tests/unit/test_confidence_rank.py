"""How sure a camera's detections are, by rank."""

from __future__ import annotations

import numpy as np
import pytest

from agent.track.confidence_rank import ConfidenceRanks


@pytest.mark.parametrize("power", [0.2, 1.0, 4.0])
def test_only_the_order_of_confidences_counts(power: float) -> None:
    """A detector that is always sure and one that never is give the same ranks, to a few hundredths."""
    levels = ConfidenceRanks()
    random = np.random.default_rng(0)
    for _ in range(200):
        levels.note(random.uniform(0.1, 0.99, 10) ** power)
    shares = np.array([0.25, 0.5, 0.75])
    ranks = levels.note((0.1 + 0.89 * shares) ** power)
    assert ranks == pytest.approx(shares, abs=0.06)


def test_equal_ones_are_in_the_middle() -> None:
    """Where all are as sure, everyone has half of the others behind."""
    levels = ConfidenceRanks()
    for _ in range(200):
        ranks = levels.note(np.full(5, 0.6))
    assert ranks == pytest.approx(np.full(5, 0.5), abs=0.02)


def test_what_was_long_ago_is_forgotten() -> None:
    """When the light goes and all become less sure, the surest of them are sure again."""
    levels = ConfidenceRanks()
    random = np.random.default_rng(1)
    for low, high in ((0.7, 0.99), (0.3, 0.5)):
        for _ in range(1000):
            levels.note(random.uniform(low, high, 10))
    assert levels.note(np.array([0.48]))[0] > 0.85


def test_an_empty_frame_teaches_nothing() -> None:
    """No detections, no ranks, and what was learned stays."""
    levels = ConfidenceRanks()
    levels.note(np.array([0.2, 0.4, 0.9]))
    before = levels.note(np.zeros(0))
    assert before.shape == (0,)
    assert levels.note(np.array([0.4]))[0] == pytest.approx(0.42, abs=0.05)
