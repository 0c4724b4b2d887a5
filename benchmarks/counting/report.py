"""Figures -> what people read: flat names for JSON, tables for terminal and documentation, drawings.

A figure's flat name is its place in words, as `idf1_native_ours` or `recall_own_2.5fps_trackers_sort_tuned`.
"""

from __future__ import annotations

import datetime
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.counting.bench import GAPS, NATIVE, OURS, Outcome
from benchmarks.counting.crossings import Score, wilson
from benchmarks.counting.draw import chart
from benchmarks.counting.metrics import Sums
from benchmarks.counting.peers import PEERS
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


# ── files ─────────────────────────────────────────────────────────────────────────────────────────


def flat(figures: Figures) -> dict[str, float]:
    """Return every figure under one flat name."""
    told: dict[str, float] = {}
    for (place, _, condition, tracker), sums in figures.outcome.identity.items():
        found, name = sums.agreement(), slug(place, condition, tracker)
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


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1].strip() if found else platform.machine()


def write(figures: Figures, folder: Path) -> None:
    """Write the tables and the drawings that docs/counting.md shows."""
    day = datetime.date.today().isoformat()
    head = [
        "# Figures of counting",
        "",
        f"Made by `make bench-count` on {day}, {processor()}, in {figures.seconds / 60:.0f} minutes. "
        "[counting.md](counting.md) says how each is measured and what to think of it.",
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
