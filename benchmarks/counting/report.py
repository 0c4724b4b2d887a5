"""Figures -> what people read: flat names for JSON, documentation, drawings.

A figure's flat name is its place in words, as `idf1_mot17_04_native_ours` or
`recall_own_2.5fps_trackers_sort_tuned`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.counting.bench import NATIVE, OURS
from benchmarks.counting.draw import chart
from benchmarks.counting.peers import PEERS
from benchmarks.counting.prose import against, origin
from benchmarks.counting.street import NOISES, RATES
from benchmarks.counting.tables import (
    FAST,
    Figures,
    cost_tables,
    counted,
    crossing_tables,
    identity_tables,
    summary,
    together,
)

MARKS = re.compile(r"(<!-- figures: (\w+), .*?-->\n).*?(<!-- end of figures -->)", re.DOTALL)


def flat(figures: Figures) -> dict[str, float]:
    """Return every figure under one flat name."""
    told: dict[str, float] = {}
    for (place, _, condition, tracker), sums in figures.outcome.identity.items():
        found = sums.agreement()
        name = slug(place, condition, tracker)
        told |= {f"idf1_{name}": found.idf1, f"mota_{name}": found.mota, f"hota_{name}": found.hota}
        told[f"switches_{name}"] = found.switches
    for what, condition, tracker in dict.fromkeys(key[1:] for key in figures.outcome.counts):
        score = counted(figures, what, condition, tracker)
        if tracker == OURS and what in NOISES:
            name = f"count_{what}_{condition}"
            told |= {f"{name}_recall": score.recall, f"{name}_precision": score.precision}
        name = slug(what, condition, tracker)
        told |= {f"recall_{name}": score.recall, f"precision_{name}": score.precision}
        told[f"crossings_{name}"] = score.true
    for (tracker, objects), (least, _) in figures.cost.items():
        told[f"ms_{objects}_objects_{slug(tracker)}"] = least
        if tracker == "ours with counting":
            told[f"count_ms_{objects}_objects"] = least
    for tracker, (tracks, grown) in figures.growth.items():
        told[f"mb_{tracks}_tracks_{slug(tracker)}"] = grown
    return told


def slug(*words: str) -> str:
    """Return words as one flat name."""
    return re.sub(r"[^a-z0-9.]+", "_", " ".join(words).lower())


def write(figures: Figures, folder: Path) -> None:
    """Write the tables and the drawings that docs/counting.md shows."""
    head = [
        "# Figures of counting",
        "",
        f"{origin(figures)} [counting.md](counting.md) says how each is measured and what to think of it.",
        "",
    ]
    parts = (
        ("Identity", identity_tables(figures)),
        ("Crossings", crossing_tables(figures)),
        ("Cost", cost_tables(figures)),
    )
    text = head + [f"## {name}\n\n" + "\n".join(t.markdown() for t in tables) for name, tables in parts]
    (folder / "counting-figures.md").write_text("\n".join(text))
    for name, drawing in drawings(figures).items():
        (folder / name).write_text(drawing)
    page = folder / "counting.md"
    if page.is_file():
        page.write_text(renewed(page.read_text(), figures))


def renewed(page: str, figures: Figures) -> str:
    """Return a page whose marked parts are of this run; raise KeyError for a part that nobody makes."""
    tables = (*summary(figures), *cost_tables(figures))
    parts = {
        "tables": "\n".join([f"{origin(figures)}\n", *(table.markdown() for table in tables)]),
        "against": f"{against(figures)}\n",
    }
    return MARKS.sub(lambda found: f"{found[1]}\n{parts[found[2]]}\n{found[3]}", page)


def drawings(figures: Figures) -> dict[str, str]:
    """Return the drawings by file name: each tracker's better variant, ours first."""
    rates = ("2.5fps", "5fps", "10fps", NATIVE)

    def idf1(tracker: str, condition: str) -> float:
        sums = together(figures, FAST, condition, tracker)
        return 100 * sums.agreement().idf1 if sums else 0.0

    def tracks(tracker: str, condition: str) -> float:
        return counted(figures, "own", condition, tracker, FAST).f1

    def street(tracker: str, condition: str) -> float:
        return counted(figures, "gaps", condition, tracker).recall

    return {
        "counting-idf1.svg": _drawing("IDF1 in %, five recordings", figures, rates, idf1),
        "counting-tracks.svg": _drawing("F1 of crossings in %, five recordings", figures, rates, tracks),
        "counting-street.svg": _drawing(
            "Recall of crossings in %, street with gaps",
            figures,
            tuple(f"{rate:g}fps" for rate in reversed(RATES)),
            street,
        ),
    }


def _drawing(
    title: str, figures: Figures, conditions: Sequence[str], value: Callable[[str, str], float]
) -> str:
    lines: Mapping[str, list[float]] = {
        name: [value(name if name == OURS else f"{name} tuned", condition) for condition in conditions]
        for name in (OURS, *(peer for peer in PEERS if peer in figures.peers))
    }
    return chart(title, [condition.replace("fps", " fps") for condition in conditions], lines)
