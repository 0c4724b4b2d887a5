"""Everything that is asked of one model, in one object: for the terminal, for machines and for the report.

What always holds: every figure comes from the same run of `agent.see.infer.Detector` over the same pictures;
a checkpoint is first written as the file that would be deployed, and that file is judged.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.progress import watched
from agent.see.infer import Detector
from export.data.sample import Picture
from export.errors import DataError
from export.judge.evaluate import Score, Seen, Sized, confusion, judge, look, table
from export.judge.mask_metrics import BARE, MASK, by_size, find, gather, roc_points, tell, turn
from export.judge.metrics import Interval
from export.judge.reliability import EDGES, Told, reliability

INCORRECT = 2  # the file class of a mask that is worn incorrectly


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Hold what is asked of a mask model: all pictures together, by source, size and roll.

    `found` judges the finding alone, by size; `at_90` is recall and score where its precision is 0.9.
    """

    whole: dict[str, Any]
    by_source: dict[str, dict[str, Any]]
    by_size: dict[str, dict[str, Any]]
    by_roll: dict[str, dict[str, Any]]
    by_roll_and_size: dict[str, dict[str, dict[str, Any]]]
    incorrect: dict[str, Any] | None
    found: dict[str, Sized]
    at_90: tuple[float, float]
    roc: tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """Hold everything about one model; `seen` keeps the pictures for the report and is left out of JSON."""

    model: str
    sha256: str
    input_size: tuple[int, int]
    names: list[str]
    pictures: int
    scores: list[Score]
    confusion: dict[str, list[int]]
    reliability: dict[str, list[Told]]
    masks: Masks | None
    seen: list[Seen] = field(repr=False)
    second_size: tuple[int, int] | None = None


def assess(detector: Detector, pictures: Sequence[Picture], rolls: Sequence[float] = ()) -> Assessment:
    """Run a detector (made with confidence `LEAST`) over pictures, and turned ones; raises `DataError`."""
    if not pictures:
        raise DataError("no pictures to judge by: the data has none for this split")
    names = [detector.names[i] for i in range(len(detector.names))]
    if pictures[0].allowed.shape[1] != len(names):
        raise DataError(f"{detector.path}: knows {', '.join(names)}: not the classes of this recipe")
    seen = look(detector, watched(pictures, "pictures"))
    masks = _masks(detector, seen, names, rolls) if set(names) == {MASK, BARE} else None
    return Assessment(
        str(detector.path.name),
        detector.sha256,
        detector.input_size,
        names,
        len(seen),
        judge(seen, names),
        confusion(seen, names),
        reliability(seen, names),
        masks,
        seen,
        detector.second_size,
    )


def _turned(detector: Detector, seen: Sequence[Seen], degrees: float) -> Iterator[Seen]:
    """Look at all pictures turned, one at a time: only their boxes are kept."""
    for one in watched(seen, f"pictures turned by {degrees:g} degrees"):
        picture = turn(one.picture, degrees)
        yield Seen(dataclasses.replace(picture, image=picture.image[:0]), detector.detect(picture.image))


def _masks(detector: Detector, seen: list[Seen], names: list[str], rolls: Sequence[float]) -> Masks:
    whole = gather(seen, names)
    sources = sorted({one.picture.source for one in seen if len(one.picture.boxes)})
    turned = {"0": whole} | {
        f"{degrees:g}": gather(list(_turned(detector, seen, degrees)), names) for degrees in rolls if degrees
    }
    found, at_90 = find(seen, names)
    wrong = whole.where(whole.kind == INCORRECT)
    return Masks(
        tell(whole),
        {s: tell(gather([one for one in seen if one.picture.source == s], names)) for s in sources},
        by_size(whole),
        {degrees: tell(faces) for degrees, faces in turned.items()},
        {degrees: by_size(faces) for degrees, faces in turned.items()},
        tell(wrong) if len(wrong.masked) else None,
        found,
        at_90,
        roc_points(whole),
    )


def plain(value: Any) -> Any:
    """Turn figures into what JSON knows; an interval becomes [value, low, high], no number null."""
    if isinstance(value, Interval):
        return [plain(float(part)) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value) if f.name != "seen"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and value != value else value


def to_json(assessment: Assessment) -> str:
    """Write all figures for machines."""
    return json.dumps(plain(assessment), indent=1)


def _told(name: str, told: dict[str, Any]) -> str:
    faces = told["faces"]
    given = told["given found"]
    whole = told["end to end"]
    figures = [told["found"], given["mask right"], given["no mask right"]]
    figures += [whole[key] for key in ("TPR", "FPR", "precision", "recall", "AUC")]
    cells = "".join("      -" if f.value != f.value else f"{f.value:7.3f}" for f in figures)
    return f"{name:18}{faces['masked']:7}{faces['bare']:6}{cells}"


def worth(table: dict[str, list[Told]]) -> str:
    """Write what the scores of each class are worth: the share right of the boxes told, and how many."""
    lines = [
        f"{'right of boxes told at':22}"
        + "".join(f"{low:>12.1f}-{high:.1f}" for low, high in pairwise(EDGES))
    ]
    for name, told in table.items():
        cells = {one.low: f"{one.right.value:.2f} of {one.boxes}" for one in told}
        lines.append(f"{name:22}" + "".join(f"{cells.get(low, '-'):>16}" for low in EDGES[:-1]))
    return "\n".join(lines)


def text(assessment: Assessment) -> str:
    """Write the figures as tables for people."""
    lines = [table(assessment.scores), "", worth(assessment.reliability)]
    if masks := assessment.masks:
        heads = ("found", "mask", "none", "TPR", "FPR", "prec", "recall", "AUC")
        lines += ["", f"{'faces':18}{'masked':>7}{'bare':>6}" + "".join(f"{head:>7}" for head in heads)]
        lines.append(_told("all", masks.whole))
        lines += [_told(source, told) for source, told in masks.by_source.items()]
        lines += [_told(f"{size} px", told) for size, told in masks.by_size.items()]
        lines += [_told(f"rolled {roll}", told) for roll, told in masks.by_roll.items() if roll != "0"]
        if masks.incorrect:
            lines.append(_told("worn incorrectly", masks.incorrect))
        lines.append("mask, none: state right of the faces that were found; the rest: of all true faces")
        lines += ["", "recall of faces at precision 0.9, by size:"]
        lines.append(
            "  ".join(f"{size} {s.recall_at_90:.3f} ({s.truths})" for size, s in masks.found.items())
        )
    return "\n".join(lines)


def checkpoint_file(path: Path, folder: Path, version: str) -> tuple[Path, dict[str, Any]]:
    """Write a checkpoint as the .onnx file that would be deployed; return it and its recipe."""
    from export.onnx.to_onnx import export_average
    from export.train.checkpoint import load_checkpoint

    state = load_checkpoint(path)
    recipe = state["recipe"]
    target = folder / f"{recipe['name']}.onnx"
    export_average(state, target, version)
    return target, recipe
