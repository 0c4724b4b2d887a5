"""The figures of tracking against somebody else's: MOTA, IDF1 and HOTA of the same tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.counting.metrics import Sums, clear_mot, hota, identity_f1, sums
from benchmarks.counting.sequences import Boxes, read_boxes

BODY = np.array([40, 80])


def walked(seed: int, objects: int = 12, frames: int = 60) -> tuple[Boxes, Boxes]:
    """Return objects on straight ways, and tracks of them: shaken, with misses, false ones and switches."""
    random = np.random.default_rng(seed)
    place = random.uniform(0, 400, (objects, 2))
    speed = random.normal(0, 4, (objects, 2))
    ids = np.arange(objects)
    truth = Boxes()
    told = Boxes()
    for frame in range(1, frames + 1):
        place = place + speed
        boxes = np.concatenate([place, place + BODY], axis=1).astype(np.float32)
        if frame % 10 == 0:
            one, two = random.choice(objects, 2, replace=False)
            ids[one], ids[two] = ids[two], ids[one]
        if frame % 25 == 0:
            ids[frame // 25] += 100
        seen = random.random(objects) < 0.85
        shaken = (boxes + random.normal(0, 6, boxes.shape)).astype(np.float32)
        false = random.uniform(0, 400, (2, 2))
        ghosts = np.concatenate([false, false + BODY], axis=1).astype(np.float32)
        truth[frame] = (np.arange(objects), boxes)
        told[frame] = (np.append(ids[seen], [900, 901]), np.concatenate([shaken[seen], ghosts]))
    return truth, told


# By the metrics of roboflow's trackers 2.6.1 on the same overlaps: IDF1, MOTA, HOTA, switches.
THEIRS = {
    1: (0.634483, 0.622222, 0.435922, 16),
    2: (0.573985, 0.613889, 0.402, 21),
    3: (0.616552, 0.611111, 0.433988, 14),
}
PUBLISHED = {  # of the fixtures and the benchmark's own example results, by the same metrics
    "ADL-Rundle-6": (0.36292, 0.26233, 0.2834, 53),
    "ETH-Bahnhof": (0.54224, 0.35716, 0.39912, 17),
    "KITTI-17": (0.55835, 0.40849, 0.37508, 6),
    "PETS09-S2L1": (0.66615, 0.82887, 0.5163, 31),
    "TUD-Campus": (0.55766, 0.52646, 0.3914, 7),
    "TUD-Stadtmitte": (0.64462, 0.56401, 0.39785, 7),
}


@pytest.mark.parametrize("seed", THEIRS)
def test_figures_agree_with_another_implementation(seed: int) -> None:
    """IDF1, MOTA, HOTA and switches of made tracks are what another implementation says."""
    found = sums(*walked(seed)).agreement()
    theirs = THEIRS[seed]
    assert (found.idf1, found.mota, found.hota) == pytest.approx(theirs[:3], abs=2e-6)
    assert found.switches == theirs[3]


@pytest.mark.parametrize("name", PUBLISHED)
def test_figures_agree_on_published_results(data: Path, name: str) -> None:
    """The same on the benchmark's example results for real sequences."""
    folder = data / "tracking"
    truth = read_boxes(folder / f"MOT15-{name}" / "gt.txt")
    told = read_boxes(folder / "metric_fixtures" / "devkit_MOT15_results" / f"{name}.txt", only_marked=False)
    found = sums(truth, told).agreement()
    theirs = PUBLISHED[name]
    assert (found.idf1, found.mota, found.hota) == pytest.approx(theirs[:3], abs=1e-5)
    assert found.switches == theirs[3]


def test_the_truth_agrees_with_itself() -> None:
    """Perfect tracks score one everywhere, under other numbers too."""
    truth, _ = walked(1)
    told = {frame: (numbers + 7, boxes) for frame, (numbers, boxes) in truth.items()}
    assert (clear_mot(truth, told), identity_f1(truth, told), hota(truth, told)) == (1, 1, pytest.approx(1))


def test_nothing_told_scores_nothing() -> None:
    """Without tracks all three are zero, and so are they without anything at all but MOTA."""
    truth, _ = walked(1)
    assert (clear_mot(truth, {}), identity_f1(truth, {}), hota(truth, {})) == (0, 0, 0)
    assert sums({}, {}).agreement().idf1 == 0


def test_sums_of_two_sequences_add_up() -> None:
    """Figures of several sequences come from their sums: twice the same sequence changes no ratio."""
    one = sums(*walked(1))
    both = (one + one + Sums()).agreement()
    assert (both.idf1, both.mota, both.hota) == pytest.approx(
        (one.agreement().idf1, one.agreement().mota, one.agreement().hota)
    )
    assert both.switches == 2 * one.switches
