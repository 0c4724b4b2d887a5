"""Figures -> the sentences of docs/counting.md that stand on them: where and when, and what does not flatter.

What always holds: each number is of the run at hand, and a sentence whose figures were not measured (no
recordings, no peers) is left out.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.counting.bench import NATIVE, OURS
from benchmarks.counting.tables import CONDITIONS, GROUPS, Figures, counted, together


def processor() -> str:
    """Return the processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1].strip() if found else platform.machine()


def origin(figures: Figures) -> str:
    """Return when, on what and in which time the figures were made."""
    day = datetime.date.today().isoformat()
    beside = "" if figures.peers else ", without the peers"
    return (
        f"Made by `make bench-count` on {day}, {processor()}, {os.cpu_count()} cores, "
        f"in {figures.seconds / 60:.0f} minutes{beside}."
    )


def against(figures: Figures) -> str:
    """Return what does not flatter in a run, as a list."""
    sentences = (*_ahead(figures), *_recordings(figures), *_perfect(figures), *_street(figures))
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _ahead(figures: Figures) -> Iterator[str]:
    """Where a peer has the higher identity on fixed cameras held out."""
    names = GROUPS["fixed cameras, held out"]
    behind = []
    for condition in CONDITIONS:
        ours = _idf1(figures, names, condition, OURS)
        found = {each: _idf1(figures, names, condition, each) for each in figures.trackers if each != OURS}
        best = max(found, key=lambda each: found[each], default=OURS)
        if found and found[best] > ours:
            behind.append(f"{condition} ({best} {found[best]:.1f}, ours {ours:.1f})")
    if behind:
        yield f"On the fixed cameras that are held out a peer is ahead in IDF1 at {', '.join(behind)}."


def _idf1(figures: Figures, names: list[str], condition: str, tracker: str) -> float:
    sums = together(figures, names, condition, tracker)
    return 100 * sums.agreement().idf1 if sums else 0.0


def _recordings(figures: Figures) -> Iterator[str]:
    """What is told wrongly and missed with the recordings' own boxes; totals beside the truth."""
    ours = counted(figures, "own", NATIVE, OURS)
    if not ours.true:
        return
    said = (
        f"With the recordings' own boxes, at the native rate, {100 - ours.precision:.0f} % of what ours "
        f"tells is wrong, and it misses {100 - ours.recall:.0f} % of what is true"
    )
    others = [counted(figures, "own", NATIVE, each) for each in figures.trackers if each != OURS]
    if others:
        wrong = sorted(100 - each.precision for each in others)
        missed = sorted(100 - each.recall for each in others)
        said += (
            f"; the others tell {wrong[0]:.0f} to {wrong[-1]:.0f} % wrongly and miss {missed[0]:.0f} to "
            f"{missed[-1]:.0f} %"
        )
    yield f"{said}."
    scores = {condition: counted(figures, "own", condition, OURS) for condition in CONDITIONS}
    shares = [f"{each.told / each.true:.2f} ({name})" for name, each in scores.items() if each.true]
    yield f"Of each true crossing of these ours tells {', '.join(shares)}."


def _perfect(figures: Figures) -> Iterator[str]:
    """What is wrong with perfect boxes: that is the tracker alone."""
    scores = {condition: counted(figures, "perfect", condition, OURS) for condition in (NATIVE, "2.5fps")}
    told = [
        f"{each.recall:.1f} / {each.precision:.1f} ({name})" for name, each in scores.items() if each.true
    ]
    if told:
        yield f"With perfect boxes recall and precision in % are {', '.join(told)}."


def _street(figures: Figures) -> Iterator[str]:
    """What is missed on the built-in street."""
    wanted = (("gaps", "2.5fps"), ("gaps", "5fps"), ("shaken", "2.5fps"))
    scores = {place: counted(figures, *place, OURS) for place in wanted}
    missed = [
        f"{100 - each.recall:.1f} % ({noise}, {rate})" for (noise, rate), each in scores.items() if each.true
    ]
    if missed:
        yield f"On the street ours misses {', '.join(missed)} of the crossings."
