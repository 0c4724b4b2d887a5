"""What the second look adds on streets: on stills, to a camera, and beside the small detectors of others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from agent.boxes import Detections
from agent.progress import watched
from benchmarks.page import markdown
from benchmarks.peers import STREET, Question, answer, groups, rivals, truths
from benchmarks.rivals import Rival
from export.data.sample import Picture
from export.judge.evaluate import Seen

TOP = Question("vehicles from above", ("car", "bus", "truck"), ("topview",))
QUESTIONS = (TOP, *(question for question in STREET if "roadside" not in question.words))


def peers() -> dict[str, Rival]:
    """Return the detectors of others that lie in GB_PEERS, by name."""
    folder = os.environ.get("GB_PEERS")
    known = rivals(Path(folder) if folder else None, "traffic")
    return {name: rival for name, rival in known if isinstance(rival, Rival)}


def beside(data: Path, looks: dict[str, list[Seen]], names: Sequence[str]) -> str:
    """Write AP50 of several looks at the same pictures, and of others at these, as a table."""
    pictures: list[Picture] = [one.picture for one in next(iter(looks.values()))]
    seen: dict[str, list[Detections]] = {name: [one.found for one in said] for name, said in looks.items()}
    for name, rival in peers().items():
        seen[name] = [rival.detect(picture.image) for picture in watched(pictures, f"pictures, {name}")]
    group = groups(data)
    rows = []
    for question in QUESTIONS:
        total = truths(pictures, question, names)
        if not total:
            continue
        figures = [str(answer(pictures, found, question, names, group)) for found in seen.values()]
        rows.append((question.words, str(total), *figures))
    return markdown(("AP50 (95 %)", "boxes", *seen), rows)
