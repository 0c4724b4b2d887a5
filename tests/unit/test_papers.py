"""The table of the papers' claims: what it says of a figure, and that no cell is empty."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is only in the `export` extra")

from benchmarks.papers import BEGIN, END, PAGE, first_paper, insert, markdown, second_paper, verdict
from export.faces import gather
from export.scores import Interval
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


def test_the_page_keeps_its_words() -> None:
    """Only what lies between the markers is written again."""
    page = insert(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert page == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert insert(page, "new") == page
    with pytest.raises(ValueError, match="no markers"):
        insert("no page", "new")
    assert BEGIN in Path(PAGE).read_text()
