"""The table of the papers' claims: what it says of a figure, and that no cell is empty."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from benchmarks import cards, equal, free
from benchmarks.page import insert, markdown, renew
from benchmarks.papers import (
    BEGIN,
    END,
    FROM,
    NEAR,
    PAGE,
    first_paper,
    from_size,
    second_paper,
    verdict,
    what_small_ones_cost,
)
from export.judge.mask_metrics import gather
from export.judge.metrics import Interval, side
from tests.unit.test_export_report import NAMES, assessment

VERDICTS = ("reproduced", "exceeded", "not reached", "cannot be compared")


def test_a_verdict_is_the_interval_s() -> None:
    """Better, round it, worse; and the other way round for what should be small."""
    ours = Interval(0.9, 0.85, 0.95)
    assert [verdict(ours, theirs).split(",")[0] for theirs in (80, 90, 97)] == [
        "exceeded",
        "reproduced",
        "not reached",
    ]
    assert verdict(Interval(0.02, 0.01, 0.03), 4.7, less=True).startswith("exceeded")
    assert verdict(Interval(0.2, 0.1, 0.3), 4.7, less=True).startswith("not reached")


def test_every_claim_has_a_verdict() -> None:
    """Each row has five cells, none empty, and one of four verdicts or what the ratio is of."""
    whole = assessment()
    figures = {"cpu": "a CPU", "640x640": {"n / YOLOv5n as published": 2.5}}
    rows = [*first_paper(whole, figures), *second_paper(whole, gather(whole.seen, NAMES))]
    assert len(rows) > 30
    for row in rows:
        assert len(row) == 5
        assert all(row)
        assert row[4].startswith(VERDICTS), row
    speed = {row[0]: row[2] for row in rows if row[0].startswith("speed against")}
    assert list(speed.values()) == ["not measured yet", "2.50 x"]
    assert all(line.count("|") == 6 for line in markdown(("a",) * 5, rows).splitlines())


def test_from_a_size_on_smaller_faces_count_for_nothing() -> None:
    """Neither as a face that is missing nor, where a box lies on them, as an invention; the others stay."""
    whole = assessment()
    sizes = np.concatenate([side(one.picture.boxes[one.picture.allowed.any(1)]) for one in whole.seen])
    least = float(np.median(sizes))
    rows = list(what_small_ones_cost(whole))
    assert rows
    assert all(len(row) == 2 + len(FROM) for row in rows)
    large = from_size(whole.seen, least)
    kept = np.concatenate([side(one.picture.boxes[one.picture.allowed.any(1)]) for one in large])
    np.testing.assert_array_equal(np.sort(kept), np.sort(sizes[sizes >= least]))
    assert [len(one.picture.boxes) for one in large] == [len(one.picture.boxes) for one in whole.seen]
    assert all((side(one.found.xyxy) >= NEAR * least).all() for one in large)
    assert [len(one.found) for one in from_size(whole.seen, 0)] == [len(one.found) for one in whole.seen]


def test_a_section_takes_the_place_of_the_one_under_its_heading(tmp_path: Path) -> None:
    """The others stay as they are; one of a new heading comes last, and what is outside is not touched."""
    path = tmp_path / "page.md"
    path.write_text("### out\n<begin>\n\n### a\n\n1\n\n### b\n\n2\n\n<end>\n### a\n")
    renew(path, "### a\n\n3\n", "<begin>", "<end>")
    renew(path, "### c\n\n4\n", "<begin>", "<end>")
    assert path.read_text() == (
        "### out\n<begin>\n\n### a\n\n3\n\n### b\n\n2\n\n### c\n\n4\n\n<end>\n### a\n"
    )
    once = path.read_text()
    renew(path, "### c\n\n4\n", "<begin>", "<end>")
    assert path.read_text() == once


def test_the_page_keeps_its_words() -> None:
    """Only what lies between the markers is written again."""
    page = insert(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new", BEGIN, END)
    assert page == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert insert(page, "new", BEGIN, END) == page
    with pytest.raises(ValueError, match="no markers"):
        insert("no page", "new", BEGIN, END)


@pytest.mark.parametrize(
    ("page", "begin", "end"),
    [
        (PAGE, BEGIN, END),
        (PAGE, equal.BEGIN, equal.END),
        (cards.PAGE, cards.BEGIN, cards.END),
        (free.PAGE, free.BEGIN, free.END),
    ],
)
def test_the_pages_have_their_markers(page: Path, begin: str, end: str) -> None:
    """Each command finds the place in the page that it writes."""
    assert insert(page.read_text(), "new", begin, end).count("\nnew\n") == 1


def test_the_free_model_stands_beside_the_packaged_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both tables have every cell filled, and say how long the free model was trained."""
    whole = assessment()
    written = free.text(whole, whole, 60_000)
    assert written.startswith("Its last training saw 60,000 pictures. On the 1 pictures")
    tables = [line for line in written.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 4}
    monkeypatch.delenv("GB_DATA", raising=False)
    assert free.main() == 2


def trained(network: str, seed: int, ap50: float, spread: float = 0.01) -> equal.Trained:
    """Return a training of one AP50 for every class, with some spread over the redrawn pictures."""
    keys = [(source, label) for source in ("aizoo", "andrewmvd", "ditface") for label in NAMES]
    redrawn = ap50 + spread * np.linspace(-1, 1, 200)
    return equal.Trained(
        network, seed, 20_000, 577_351, dict.fromkeys(keys, ap50), dict.fromkeys(keys, redrawn)
    )


def test_a_difference_is_of_the_same_pictures() -> None:
    """Two networks that rise and fall together differ by a sure amount, though each is unsure."""
    ours = trained("n", 11, 0.62, 0.1)
    theirs = trained("yolov5n", 11, 0.60, 0.1)
    value, low, high = ours.ahead(theirs)
    assert (value, low, high) == pytest.approx((0.02, 0.02, 0.02))
    assert ours.mean().high - ours.mean().low > 0.15
    row = dict(zip(("network", "seed"), next(equal.rows([theirs, ours]))[:2], strict=True))
    assert row == {"network": "`n`", "seed": "11"}


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        ([0.02], "`n`: one seed alone shows nothing"),
        ([0.02, 0.03], "`n`: ahead of YOLOv5n-shaped, same head with each of 2 seeds"),
        ([-0.02, -0.03], "behind"),
        ([0.0, 0.0], "leave open which is ahead"),
        ([0.02, -0.02], "do not agree"),
    ],
)
def test_a_difference_has_to_come_again(ahead: list[float], words: str) -> None:
    """What is said of the networks needs every seed."""
    both = [
        each
        for seed, more in enumerate(ahead, 11)
        for each in (trained("n", seed, 0.6 + more, 0.02), trained("yolov5n", seed, 0.6, 0.01))
    ]
    assert words in equal.verdict(both)
    written = equal.text(both)
    assert written.startswith("20,000 training pictures each")
    assert len({line.count("|") for line in written.splitlines() if line.startswith("|")}) == 1


def test_a_training_under_way_is_left_out(tmp_path: Path) -> None:
    """Only checkpoints that have seen all their pictures are compared."""
    torch = pytest.importorskip("torch")
    for name, done in (("n-11", 10), ("n-12", 9), ("paper-11", 10), ("n-old", 10)):
        (tmp_path / f"equal-{name}").mkdir()
        state = {"done": done, "recipe": {"batch": 24, "images": 240}}
        torch.save(state, tmp_path / f"equal-{name}" / "last.pt")
    (tmp_path / "equal-soft-n-11").mkdir()
    soft = {"done": 3, "recipe": {"batch": 24, "images": 240}, "soft": True}
    torch.save(soft, tmp_path / "equal-soft-n-11" / "last.pt")
    found = [(network, seed) for _, network, seed in equal.checkpoints(tmp_path)]
    assert found == [("n", 11), ("paper", 11)]
