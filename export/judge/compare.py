"""What a training on one's own pictures brought: the new model beside one that comes along.

What always holds: both are judged on the same pictures, none of which the training saw; classes go by their
names, and one that the other model does not know is said to be unknown to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from agent.boxes import Detections, Uint8
from agent.see.infer import Detector
from export.data.pseudo_labels import MODELS
from export.data.recipe import read_recipe
from export.data.sample import JUDGED, Picture
from export.data.user_dataset import to_toml
from export.judge.assess import Assessment, assess, checkpoint_file, text
from export.judge.evaluate import Score, Seen, detector_for, judge

COME_ALONG = ("traffic", "mask")


class Renamed:
    """A detector whose classes are numbered as other names have them; what they lack is left out."""

    def __init__(self, detector: Detector, names: Sequence[str]) -> None:
        self._detector = detector
        rows = [names.index(name) if name in names else -1 for _, name in sorted(detector.names.items())]
        self._rows = np.asarray(rows, np.int64)

    def detect(self, image: Uint8) -> Detections:
        """Return what it sees, in those names' numbers."""
        found = self._detector.detect(image)
        label = self._rows[found.class_id]
        known = found[label >= 0]
        return Detections(known.xyxy, known.confidence, label[label >= 0])


def rival(names: Sequence[str], weights: Path | None) -> Detector | None:
    """Return the model to compare with: the file that was begun with, else one that shares most classes."""
    if weights is not None and weights.suffix == ".onnx":
        return detector_for(weights)
    known = [detector_for(MODELS / f"gb-yolo-n-{name}.onnx") for name in COME_ALONG]
    shared = [len(set(names) & set(detector.names.values())) for detector in known]
    best = int(np.argmax(shared))
    return known[best] if shared[best] else None


def beside(assessment: Assessment, other: Detector, pictures: Sequence[Picture]) -> str:
    """Write the new model's figures beside those of another, class by class."""
    renamed = Renamed(other, assessment.names)
    theirs = judge([Seen(p, renamed.detect(p.image)) for p in pictures], assessment.names)
    known = set(other.names.values())
    heads = f"{'class':20} {'boxes':>6}  {'AP50 (95 %), yours':24} {'recall':>6}  {other.path.stem}"
    lines = [f"beside {other.path.name}, on the same {len(pictures)} pictures:", heads]
    for mine, old in zip(assessment.scores, theirs, strict=True):
        lines.append(_row(mine, old, known=mine.label in known))
    return "\n".join(lines)


def _row(mine: Score, old: Score, *, known: bool) -> str:
    said = f"{old.within['ap50']!s:24} {old.recall:6.3f}" if known else "does not know it"
    return f"{mine.label:20} {mine.truths:6}  {mine.within['ap50']!s:24} {mine.recall:6.3f}  {said}"


def finish_own(recipe: dict[str, Any], data: Path, checkpoint: Path, weights: Path | None) -> None:
    """Write the recipe and the report beside the checkpoint of a user's own data, and say what comes next."""
    from export.judge.report import write_report

    written = checkpoint.with_name("recipe.toml")
    written.write_text(to_toml(recipe), encoding="utf-8")
    pictures = read_recipe(recipe, data, "val", JUDGED)
    with tempfile.TemporaryDirectory() as folder:
        model, _ = checkpoint_file(checkpoint, Path(folder), version("gb-fleet"))
        assessment = assess(detector_for(model), pictures)
    print(text(assessment))
    other = rival(assessment.names, weights)
    if other is None:
        print("\nno packaged model has one of these classes, so there is none to compare with")
    else:
        compared = beside(assessment, other, pictures)
        print(f"\n{compared}")
        checkpoint.with_name("compared.txt").write_text(f"{compared}\n", encoding="utf-8")
    print(f"report: {write_report(assessment, checkpoint.parent)}")
    print(f"next:   gb-export onnx {written} --checkpoint {checkpoint}")
