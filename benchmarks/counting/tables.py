"""Figures -> tables, for the terminal and for the documentation.

Groups of recordings are sums of their recordings; ours is always the first row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.counting.bench import GAPS, NATIVE, OURS, Outcome
from benchmarks.counting.crossings import Score, wilson
from benchmarks.counting.metrics import Sums
from benchmarks.counting.sequences import FIXED, MOVING, TUNING
from benchmarks.counting.street import NOISES, RATES

CONDITIONS = (NATIVE, "10fps", "5fps", "2.5fps", GAPS)
FAST = ("TUD-Campus", "TUD-Stadtmitte", "ADL-Rundle-6", "MOT17-04", "MOT17-09")  # above 10 fps of their own


@dataclass(slots=True)
class Figures:
    """All that one run measured."""

    outcome: Outcome
    peers: tuple[str, ...]
    cost: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    growth: dict[str, tuple[int, float]] = field(default_factory=dict)  # tracks, MB
    seconds: float = 0.0

    @property
    def trackers(self) -> list[str]:
        """Return all trackers, ours first."""
        return [OURS, *(f"{peer}{part}" for peer in self.peers for part in ("", " tuned"))]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what it shows, its head and its rows."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Return it for documentation."""
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def plain(self) -> str:
        """Return it for a terminal."""
        wide = [max(len(row[i]) for row in (self.head, *self.rows)) for i in range(len(self.head))]
        lines = [
            "  ".join(cell.ljust(wide[0]) if i == 0 else cell.rjust(wide[i]) for i, cell in enumerate(row))
            for row in (self.head, *self.rows)
        ]
        return f"\n{self.title}\n" + "\n".join(lines)


def short(names: Iterable[str]) -> list[str]:
    """Return recordings' short names."""
    return [name.removeprefix("MOT15-") for name in names]


GROUPS = {
    "fixed cameras, held out": short(name for name in FIXED if name not in TUNING),
    "fixed cameras, tuned on": short(TUNING),
    "moving camera": short(MOVING),
}


def together(figures: Figures, names: Sequence[str], condition: str, tracker: str) -> Sums | None:
    """Return the sums over some recordings, or None where none of them has the condition."""
    keys = [(name, "own", condition, tracker) for name in names]
    found = [figures.outcome.identity[key] for key in keys if key in figures.outcome.identity]
    return sum(found, Sums()) if found else None


def counted(figures: Figures, what: str, condition: str, tracker: str, names: Sequence[str] = ()) -> Score:
    """Return the score over all places, or some."""
    keys = [key for key in figures.outcome.counts if key[1:] == (what, condition, tracker)]
    return sum((figures.outcome.counts[key] for key in keys if not names or key[0] in names), Score())


# ── tables ────────────────────────────────────────────────────────────────────────────────────────


def identity_tables(figures: Figures) -> list[Table]:
    """Return IDF1, MOTA, HOTA and switches of each group under each condition, then IDF1 per recording."""
    tables = []
    for group, names in GROUPS.items():
        rows = []
        for tracker in figures.trackers:
            sums = [together(figures, names, condition, tracker) for condition in CONDITIONS]
            rows.append([tracker, *(_agreement(each) for each in sums)])
        if any(cell != "-" for row in rows for cell in row[1:]):
            title = f"IDF1 / MOTA / HOTA / switches, {group} ({', '.join(names)})"
            tables.append(Table(title, ["tracker", *CONDITIONS], rows))
    return tables + per_recording(figures)


def per_recording(figures: Figures) -> list[Table]:
    """Return IDF1, MOTA, HOTA, switches of each recording under each condition."""
    tables = []
    for name in short((*FIXED, *MOVING)):
        rows = []
        for tracker in figures.trackers:
            found = [together(figures, [name], condition, tracker) for condition in CONDITIONS]
            rows.append([tracker, *(_agreement(each) for each in found)])
        if any(cell != "-" for row in rows for cell in row[1:]):
            part = "tuned on" if name in short(TUNING) else "moving" if name in short(MOVING) else "held out"
            title = f"{name} ({part}): IDF1 / MOTA / HOTA / switches"
            tables.append(Table(title, ["tracker", *CONDITIONS], rows))
    return tables


def _agreement(sums: Sums | None) -> str:
    if sums is None:
        return "-"
    found = sums.agreement()
    return f"{100 * found.idf1:.1f} / {100 * found.mota:.1f} / {100 * found.hota:.1f} / {found.switches}"


def crossing_tables(figures: Figures) -> list[Table]:
    """Return recall and precision on recordings, own boxes and perfect ones, and on the street."""
    held_out = GROUPS["fixed cameras, held out"]
    wanted = [
        ("recordings, their own detections, held out", "own", CONDITIONS, held_out),
        ("recordings, their own detections, all fixed cameras", "own", CONDITIONS, []),
        ("recordings, perfect boxes, all fixed cameras", "perfect", (NATIVE, "2.5fps"), []),
        *(
            (f"built-in street, {noise}", noise, tuple(f"{rate:g}fps" for rate in RATES), [])
            for noise in NOISES
        ),
    ]
    tables = []
    for title, what, conditions, names in wanted:
        rows = [
            [
                tracker,
                *(_share(counted(figures, what, condition, tracker, names)) for condition in conditions),
            ]
            for tracker in figures.trackers
        ]
        true = [counted(figures, what, condition, OURS, names).true for condition in conditions]
        if any(true):
            head = [f"{condition} ({count} true)" for condition, count in zip(conditions, true, strict=True)]
            tables.append(Table(f"Recall / precision in %, {title}", ["tracker", *head], rows))
            both = [
                [tracker, *(_both(counted(figures, what, each, tracker, names)) for each in conditions)]
                for tracker in figures.trackers
            ]
            tables.append(Table(f"F1 of crossings in %, {title}", ["tracker", *conditions], both))
    return tables


def _both(score: Score) -> str:
    return f"{score.f1:.1f}" if score.true else "-"


def _share(score: Score) -> str:
    if not score.true:
        return "-"
    low, high = wilson(score.hits, score.true)
    least, most = wilson(score.hits, score.told)
    return f"{score.recall:.1f} [{low:.0f}-{high:.0f}] / {score.precision:.1f} [{least:.0f}-{most:.0f}]"


def cost_tables(figures: Figures) -> list[Table]:
    """Return milliseconds an update and memory."""
    tables = []
    if figures.cost:
        counts = sorted({objects for _, objects in figures.cost})
        rows = [
            [name, *(f"{figures.cost[name, n][0]:.2f} ({figures.cost[name, n][1]:.2f})" for n in counts)]
            for name in dict.fromkeys(name for name, _ in figures.cost)
        ]
        title = "Milliseconds an update on one thread, the least round (the median round)"
        tables.append(Table(title, ["tracker", *(f"{n} objects" for n in counts)], rows))
    if figures.growth:
        rows = [[name, f"{tracks:,}", f"{grown:+.1f}"] for name, (tracks, grown) in figures.growth.items()]
        title = "Resident memory from the first tenth of so many tracks to their end"
        tables.append(Table(title, ["tracker", "tracks", "MB"], rows))
    return tables


def summary(figures: Figures) -> list[Table]:
    """Return ours beside whichever peer is best there, as delivered or tuned, under each condition."""
    held_out = GROUPS["fixed cameras, held out"]
    street = tuple(f"{rate:g}fps" for rate in RATES)

    def idf1(condition: str, tracker: str) -> float:
        sums = together(figures, held_out, condition, tracker)
        return 100 * sums.agreement().idf1 if sums else math.nan

    def crossings(what: str) -> Callable[[str, str], float]:
        def value(condition: str, tracker: str) -> float:
            score = counted(figures, what, condition, tracker)
            return score.f1 if score.true else math.nan

        return value

    wanted = [
        ("IDF1 in %, recordings of fixed cameras, held out", CONDITIONS, idf1),
        (
            "F1 of crossings in %, recordings of all fixed cameras, their own detections",
            CONDITIONS,
            crossings("own"),
        ),
        ("F1 of crossings in %, perfect boxes", (NATIVE, "2.5fps"), crossings("perfect")),
        *((f"F1 of crossings in %, street, {noise}", street, crossings(noise)) for noise in NOISES),
    ]
    tables = [_versus(figures, *each) for each in wanted]
    return [table for table in tables if set(table.rows[0][1:]) != {"-"}]


def _versus(
    figures: Figures, title: str, conditions: Sequence[str], value: Callable[[str, str], float]
) -> Table:
    """Return a table of two rows: ours, and the best peer with its name."""
    ours = ["ours"]
    best = ["best peer"]
    for condition in conditions:
        found = {tracker: value(condition, tracker) for tracker in figures.trackers}
        mine = found.pop(OURS)
        ours.append("-" if math.isnan(mine) else f"{mine:.1f}")
        name = max(found, key=lambda each: found[each], default="")
        best.append(f"{found[name]:.1f} ({name})" if name and not math.isnan(found[name]) else "-")
    return Table(title, ["", *conditions], [ours, best])


def every(figures: Figures) -> list[Table]:
    """Return all tables, in the order in which they are read."""
    return [*identity_tables(figures), *crossing_tables(figures), *cost_tables(figures)]
