"""The bar of long work."""

from __future__ import annotations

import io

import pytest

from agent import progress
from agent.progress import Bar, drawn, watched


class Terminal(io.StringIO):
    """What is written to somebody who watches."""

    def isatty(self) -> bool:
        """Say that it is a terminal."""
        return True


@pytest.mark.parametrize(
    ("share", "line"),
    [
        (0.0, f"[{'.' * 24}]  0.0%  a"),
        (0.5, f"[{'#' * 12}{'.' * 12}] 50.0%  a"),
        (1.0, f"[{'#' * 24}] 100.0%  a"),
        (1.7, f"[{'#' * 24}] 100.0%  a"),
    ],
)
def test_a_share_is_drawn(share: float, line: str) -> None:
    """None, half, all; never more than all."""
    assert drawn(share, "a") == line


def test_a_terminal_sees_one_line_and_a_file_nothing_or_each() -> None:
    """On a terminal the line is drawn over and taken away; elsewhere nothing is written, or a log."""
    terminal = Terminal()
    bar = Bar(2, terminal)
    bar.step("one")
    bar.step("two")
    bar.close()
    assert terminal.getvalue() == f"\r\033[K{drawn(0, 'one')}\r\033[K{drawn(0.5, 'two')}\r\033[K"
    quiet = io.StringIO()
    Bar(2, quiet).step("one")
    assert quiet.getvalue() == ""
    log = io.StringIO()
    Bar(stream=log, log=True).show(0.25, "a")
    assert log.getvalue() == f"{drawn(0.25, 'a')}\n"


def test_watched_items_are_all_yielded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item comes once, in order; the line counts them."""
    monkeypatch.setattr(progress, "DRAW_SECONDS", -1.0)
    terminal = Terminal()
    items = watched(["a", "b", "c"], "pictures", terminal)
    next(items)
    assert list(items) == ["b", "c"]
    assert "2/3 pictures" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\033[K")
