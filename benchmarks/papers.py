"""Each figure of the two papers beside ours, written into docs/papers.md between its two markers.

    GB_DATA=DATA python -m benchmarks.papers

BENCH_JSON=FILE, written by `make bench-model`, fills the cells of speed; without it, or where a cell was
never measured, the cell says so. Nothing is typed by hand: a figure that is not measured is not there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.progress import watched
from agent.see.infer import Detector
from benchmarks.page import markdown, rewrite
from export.data.recipe import load_recipe, read_recipe
from export.data.sample import JUDGED
from export.judge.assess import Assessment, assess
from export.judge.evaluate import Score, Seen, detector_for, judge, look
from export.judge.mask_metrics import Faces, gather, tell
from export.judge.metrics import Interval, draw, ratio, side
from export.model.network import Convolution, Ghost
from export.model.zoo import FAMILY, cost

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "papers.md"
MODELS = ROOT / "agent" / "models"
BEGIN = "<!-- figures: python -m benchmarks.papers -->"
END = "<!-- end of figures -->"
EVALUATE = "E"  # as the line above the tables says
SPEED = "S"
PAPERS = "P"
TIGHT = ("aizoo", "andrewmvd")  # sources whose boxes are round faces; `ditface` boxes whole heads
FROM = (0, 8, 12, 16, 24, 32)  # pixels
NEAR = 0.7  # of a least size: boxes under it are left out too
ROAD = ("car", "motorcycle", "bus", "truck")


def percent(figure: Interval) -> str:
    """Write a share with its interval in percent."""
    return f"{100 * figure.value:.1f} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def verdict(figure: Interval, theirs: float, *, less: bool = False) -> str:
    """Say how an interval lies to a paper's percentage; the pictures are never the paper's."""
    low = figure.low
    high = figure.high
    wanted = theirs / 100
    if less:
        low, high, wanted = -high, -low, -wanted
    words = "exceeded" if low > wanted else "reproduced" if high >= wanted else "not reached"
    return f"{words}, on other pictures"


def small(faces: Faces) -> tuple[Interval, Interval]:
    """Return the share of some faces that is found, and of what is found there the share that is a face."""
    drawn = draw(faces.pictures)
    found = faces.said >= 0
    hits = np.bincount(faces.owner[found], minlength=faces.pictures)
    everything = np.bincount(faces.owner, minlength=faces.pictures)
    wrong = np.bincount(faces.invented_owner, minlength=faces.pictures)
    return ratio(hits, everything, drawn), ratio(hits, hits + wrong, drawn)


def speeds(figures: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """Yield the rows of what the first paper says of speed."""
    named = f"one thread of {figures['cpu']}" if figures else "one thread of a CPU"
    for words, name in (("the literal network", "paper"), ("`n`, built for CPUs", "n")):
        value = figures.get("640x640", {}).get(f"{name} / YOLOv5n as published")
        ours = f"{value:.2f} x" if value else "not measured yet"
        said = "cannot be compared yet" if not value else "exceeded" if value > 1.196 else "not reached"
        why = f"{said}: ratio on {named}; the paper's is on a GPU that it does not name"
        yield f"speed against YOLOv5, {words}", "1.196 x", ours, SPEED, why
    took = figures.get("package", {}).get("gb-yolo-n-mask detect ms")
    rate = f"{1000 / took:.0f} frames/s" if took else "not measured yet"
    yield "speed", "128 frames/s", rate, SPEED, "cannot be compared: another machine, a GPU"


def sizes_of_networks() -> Iterable[tuple[str, ...]]:
    """Yield the rows of what the first paper says of size: counted, not timed."""
    first = cost(FAMILY["yolov5n-published"], 2)
    for words, name in (("the literal network", "paper"), ("`n`, built for CPUs", "n")):
        share = f"{cost(FAMILY[name], 2).parameters / first.parameters:.2f} of YOLOv5n's learned numbers"
        yield f"less storage than YOLOv5, {words}", "said, no figure", share, PAPERS, "reproduced"
    layers = Convolution(64, 64, 3), Ghost(64, 64, 3)
    dense, ghost = (sum(p.numel() for p in layer.parameters() if p.ndim == 4) for layer in layers)
    why = "reproduced: what one 3x3 module with s = 2 learns"
    yield (
        "Ghost saves sc/(s+c-1), eq. 1, at c = 64",
        f"{128 / 65:.2f} x",
        f"{dense / ghost:.2f} x",
        PAPERS,
        why,
    )


def first_paper(assessment: Assessment, figures: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    """Yield the rows of paper 1: claim, theirs, ours, command, verdict."""
    assert assessment.masks
    given = assessment.masks.whole["given found"]
    whole = assessment.masks.whole["end to end"]
    for words, key, theirs in (("mask", "mask right", 97.08), ("no mask", "no mask right", 97.85)):
        ours = percent(given[key])
        yield f"accuracy, {words}, of found faces", f"{theirs}", ours, EVALUATE, verdict(given[key], theirs)
        key = f"{words} found and right"
        because = "cannot be compared: the paper does not count faces that are not found"
        yield f"accuracy, {words}, of all true faces", f"{theirs}", percent(whole[key]), EVALUATE, because
    both = "cannot be compared: the paper gives no figure of both states together"
    yield "eq. 5 over both states, of found faces", "-", percent(given["accuracy, eq. 5"]), EVALUATE, both
    yield "eq. 5 over both states, of all true faces", "-", percent(whole["accuracy, eq. 5"]), EVALUATE, both
    quoted = "cannot be compared: quoted; neither its pictures nor its machine are ours"
    for name, mask, none, rate in (
        ("YOLOv4", 95.12, 95.12, 74),
        ("YOLOv5", 96.62, 97.87, 107),
        ("Faster R-CNN", 95.78, 95.31, 71),
        ("SSD", 95.98, 96.63, 96),
    ):
        yield f"{name}: mask, no mask, frames/s", f"{mask}, {none}, {rate}", "-", "-", quoted
    yield from speeds(figures)
    yield from sizes_of_networks()
    fused = "cannot be compared: the weights of a finished file are folded away, so they cost nothing"
    yield "fusion by eq. 4 is 30 % faster than by eq. 3", "1.3 x", "-", SPEED, fused


def second_paper(assessment: Assessment, faces: Faces) -> Iterable[tuple[str, ...]]:
    """Yield the rows of paper 2."""
    assert assessment.masks
    whole = assessment.masks.whole["end to end"]
    given = assessment.masks.whole["given found"]
    for key, theirs, less in (
        ("TPR", 95.6, False),
        ("FPR", 4.7, True),
        ("FNR", 4.7, True),
        ("precision", 95.5, False),
        ("recall", 57.5, False),
        ("AUC", 91.0, False),
    ):
        ours = whole[key]
        said = verdict(ours, theirs, less=less)
        if key in ("TPR", "FNR"):
            said += "; the paper's TPR cannot stand beside its recall of 57.5; of found faces, see below"
        if key == "AUC":
            said += "; the paper's curve is of training pictures"
        yield f"whole pipeline, {key}, end to end", f"{theirs}", percent(ours), EVALUATE, said
    of_found = given["mask right"]
    yield "TPR, of found faces", "95.6", percent(of_found), EVALUATE, verdict(of_found, 95.6)
    large = faces.of_size(32, 1e9)
    little = faces.of_size(0, 32)
    why = "; the paper does not say how many pixels are small, here it is under 32"
    found, _ = small(large)
    yield "large faces found (R-CNN)", "97.5", percent(found), EVALUATE, verdict(found, 97.5) + why
    found, right = small(little)
    yield "small faces found (R-CNN)", "33", percent(found), EVALUATE, verdict(found, 33) + why
    yield "small faces, recall (DS-Face)", "68.9", percent(found), EVALUATE, verdict(found, 68.9) + why
    yield "small faces, precision (DS-Face)", "88.6", percent(right), EVALUATE, verdict(right, 88.6) + why
    for degrees, told in assessment.masks.by_roll.items():
        ours = f"found {percent(told['found'])}, recall {percent(told['end to end']['recall'])}"
        why = "cannot be compared: the paper names orientation as its point and gives no figure"
        yield f"faces rolled by {degrees} degrees", "-", ours, EVALUATE, why
    steps = "cannot be compared: steps of another network on pictures that it does not name"
    yield "precision and recall after 10,000 to 75,000 steps", "80.0 to 93.2, 72.4 to 91.3", "-", "-", steps
    yield (
        "CNN alone, precision",
        "90.3",
        percent(given["accuracy, eq. 5"]),
        EVALUATE,
        ("cannot be compared: single crops there, whole pictures here; ours is eq. 5 of found faces"),
    )
    yield "texture of worn masks (GLCM and KNN)", "no method, no result", "-", "-", "cannot be compared"


def figures_of(scores: Iterable[Score]) -> Iterable[tuple[str, ...]]:
    """Yield a row for each source and class."""
    for s in scores:
        ap50, ap, precision, recall = (str(s.within[key]) for key in ("ap50", "ap", "precision", "recall"))
        yield s.source, s.label.replace("|", " or "), str(s.truths), ap50, ap, precision, recall


def finding(assessment: Assessment) -> Iterable[tuple[str, ...]]:
    """Yield a row for each size of face: found, recall at precision 0.9, and the state of what is found."""
    assert assessment.masks
    for name, s in assessment.masks.found.items():
        told = assessment.masks.by_size[name]
        states = [str(told["given found"][key]) for key in ("mask right", "no mask right")]
        yield f"{name} px", str(s.truths), str(s.recall), f"{s.recall_at_90:.3f}", *states


def from_size(seen: Sequence[Seen], least: float) -> list[Seen]:
    """Return what was seen without faces under a size, pixels: they are hidden, boxes well under it gone."""

    def large(one: Seen) -> Seen:
        allowed = one.picture.allowed & (side(one.picture.boxes) >= least)[:, None]
        found = one.found[side(one.found.xyxy) >= NEAR * least]
        return one._replace(picture=replace(one.picture, allowed=allowed), found=found)

    return [large(one) for one in seen]


def what_small_ones_cost(assessment: Assessment) -> Iterable[tuple[str, ...]]:
    """Yield a row for each source and class: AP50 of faces from each size on, and how many those are."""
    judged = [judge(from_size(assessment.seen, least), assessment.names) for least in FROM]
    for scores in zip(*judged, strict=True):
        yield scores[0].source, scores[0].label, *(f"{s.ap50:.3f} of {s.truths}" for s in scores)


def traffic(data: Path, name: str) -> list[Score]:
    """Score a packaged traffic model: views from above, and all of `vehicles` that label the road classes."""
    detector = detector_for(MODELS / name)
    recipe = load_recipe("traffic")
    recipe["source"] = [s for s in recipe["source"] if s.get("folder", "").startswith("vehicles")]
    names = recipe["names"]
    seen = look(detector, watched(read_recipe(recipe, data, "val", JUDGED), "pictures"))
    wanted = [names.index(name) for name in ROAD]
    whole = [
        one._replace(picture=replace(one.picture, source="vehicles"))
        for one in seen
        if one.picture.source != "topview" and not one.picture.unlabelled[wanted].any()
    ]
    merged = [score for score in judge(whole, names) if score.label in ROAD]
    return [*judge([one for one in seen if one.picture.source == "topview"], names), *merged]


def road(data: Path, name: str, words: str) -> str:
    """Measure a packaged traffic model and write its part."""
    scores = traffic(data, name)
    mean = np.mean([score.ap50 for score in scores if score.label in ROAD])
    columns = ("source", "class", "boxes", "AP50", "AP50-95", "precision", "recall")
    return (
        f"\n### Traffic, `{name}`, {words}\n\n{markdown(columns, figures_of(scores))}"
        f"\nMean AP50 of {', '.join(ROAD)} on `vehicles/val`: {mean:.3f}.\n"
    )


def _incorrect(assessment: Assessment) -> str:
    told = assessment.masks.incorrect if assessment.masks else None
    if not told:
        return ""
    right = told["given found"]["no mask right"]
    faces = told["faces"]["bare"]
    return f"Of {faces} masks worn incorrectly, those that are found are called no mask: {right}.\n"


def tables(data: Path, path: Path, figures: dict[str, Any]) -> str:
    """Measure, and write everything that lies between the markers."""
    recipe = load_recipe("mask")
    detector: Detector = detector_for(path)
    every = read_recipe(recipe, data, "val", JUDGED)
    assessment = assess(detector, [picture for picture in every if picture.source in TIGHT], (30, 60))
    others = look(detector, [picture for picture in every if picture.source not in TIGHT])
    scores = [*assessment.scores, *judge(others, assessment.names)]
    faces = gather(assessment.seen, assessment.names)
    claims = ("claim", "paper, %", "ours, % (95 %)", "command", "verdict")
    columns = ("source", "class", "boxes", "AP50", "AP50-95", "precision", "recall")
    sizes = ("size", "faces", "found at score 0.25", "recall at precision 0.9", "mask right", "no mask right")
    costs = ("source", "class", *(f"from {least} px" if least else "all" for least in FROM))
    large = tell(faces.where(faces.size >= 32))["given found"]
    return (
        f"Mask model: `{path.name}`, sha256 `{assessment.sha256[:12]}`, {assessment.pictures} pictures of "
        f"{' and '.join(TIGHT)} in `masks/val`. Commands: E is `gb-export evaluate "
        f"agent/models/gb-yolo-n-mask.onnx --roll 0,30,60 --sources {','.join(TIGHT)}`, "
        "S is `make bench-model`, P is `python -m benchmarks.papers`.\n\n"
        f"### Paper 1, the node\n\n{markdown(claims, first_paper(assessment, figures))}"
        f"\n### Paper 2, masks on faces of all sizes\n\n{markdown(claims, second_paper(assessment, faces))}"
        f"\n### Masks by source\n\n{markdown(columns, figures_of(scores))}"
        f"\n### Faces by size, first look alone\n\n{markdown(sizes, finding(assessment))}"
        f"\nOf found faces of 32 px and more the state is right for {large['mask right']} masked, "
        f"{large['no mask right']} bare.\n"
        + _incorrect(assessment)
        + "\nWhat the smallest faces cost, AP50 of faces from a size on (boxes under 0.7 of it are left out "
        + f"too):\n\n{markdown(costs, what_small_ones_cost(assessment))}"
        + road(data, "gb-yolo-n-traffic.onnx", "384x640 and 224x384, the usual one")
        + road(data, "gb-yolo-n-traffic-square.onnx", "640x640 and 416x416, for views from above")
    )


def main() -> int:
    """Measure and write the page."""
    folder = Path(os.environ.get("GB_DATA", ""), "masks", "val")
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    bench = os.environ.get("BENCH_JSON", "")
    figures = json.loads(Path(bench).read_text()) if bench else {}
    text = tables(folder.parent.parent, MODELS / "gb-yolo-n-mask.onnx", figures)
    rewrite(PAGE, text, BEGIN, END)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
