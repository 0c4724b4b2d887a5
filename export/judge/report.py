"""One page that shows how good a model is: curves, confusion, sizes, sources and its worst mistakes.

What always holds: the page is one file that asks no other host for anything; all words of the data are
escaped; every colour has a second sign beside it (a dash or a word), for those who do not see it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from export.judge.assess import Assessment, Masks
from export.judge.evaluate import Pairs, Score, Seen, pair
from export.judge.metrics import DEFAULT, RECALLS, Interval, side

SHOWN = 24  # pictures of mistakes
THUMB = 360  # pixels
COLOURS = ("#0b63c4", "#c2410c", "#0f7a4d", "#7c3aed", "#a16207", "#be185d", "#0e7490", "#525252")
DASHES = ("", "7 3", "2 3", "9 3 2 3")
STYLE = """
:root{color-scheme:light dark;--ink:#16202b;--soft:#5b6875;--line:#d9dfe6;--paper:#fff;--card:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#9aa7b4;--line:#34404c;--paper:#12181f;--card:#1b242d}}
*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.25rem 4rem;max-width:76rem;background:var(--paper);
color:var(--ink);font:15px/1.5 system-ui,sans-serif}h1{margin:0;font-size:1.6rem}h2{margin:2.4rem 0 .6rem;
font-size:1.15rem}p{margin:.3rem 0;color:var(--soft);max-width:62rem}.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.3rem .55rem;text-align:right;
border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
th:first-child,td:first-child{text-align:left;padding-left:0}
th{font-weight:600;color:var(--soft)}small{color:var(--soft)}.row{display:flex;flex-wrap:wrap;gap:1.5rem}
figure{margin:0}figcaption{color:var(--soft);font-size:.85rem;max-width:22rem;overflow-wrap:anywhere}
td small{display:block;line-height:1.15}
svg{display:block;max-width:100%}
svg text{fill:var(--soft);font:12px system-ui,sans-serif}.grid line{stroke:var(--line)}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.2rem}
.mistakes svg{width:100%;height:auto;border-radius:6px;background:var(--card)}
.key span{display:inline-block;width:1.6rem;margin:0 .4rem 0 1rem;border-top:3px solid}"""
MISSED = ("#ff9d00", "")
INVENTED = ("#ff2fd0", "6 4")
WRONG = ("#19d3ff", "2 3")


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _cell(figure: Interval) -> str:
    if figure.value != figure.value:
        return "-"
    return f"{figure.value:.3f} <small>{figure.low:.2f}-{figure.high:.2f}</small>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{head}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _grid(width: int, height: int, across: str, up: str) -> str:
    """Draw the frame of a chart of 0..1 both ways; the plot lies 40 right of and 10 below the corner."""
    parts = ['<g class="grid">']
    for tick in range(6):
        x = 40 + width * tick / 5
        y = 10 + height * (1 - tick / 5)
        parts.append(f'<line x1="40" x2="{40 + width}" y1="{y}" y2="{y}"/>')
        parts.append(f'<line x1="{x}" x2="{x}" y1="10" y2="{10 + height}"/>')
        parts.append(f'<text x="34" y="{y + 4}" text-anchor="end">{tick / 5:.1f}</text>')
        parts.append(f'<text x="{x}" y="{height + 26}" text-anchor="middle">{tick / 5:.1f}</text>')
    parts.append(f'</g><text x="{40 + width / 2}" y="{height + 44}" text-anchor="middle">{across}</text>')
    parts.append(
        f'<text transform="translate(10 {10 + height / 2}) rotate(-90)" text-anchor="middle">{up}</text>'
    )
    return "".join(parts)


def chart(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], across: str, up: str) -> str:
    """Draw curves of 0..1 with a legend below, each with a colour and a dash of its own."""
    size = 280
    parts = [_grid(size, size, across, up)]
    for number, (words, xs, ys) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // 2 % len(DASHES)]
        points = " ".join(
            f"{40 + size * x:.1f},{10 + size * (1 - y):.1f}" for x, y in zip(xs, ys, strict=True)
        )
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}" fill="none"'
        at = size + 66 + 18 * number
        parts.append(f'<polyline points="{points}" {style}/><path d="M40 {at - 4}h26" {style}/>')
        parts.append(f'<text x="74" y="{at}">{escape(words)}</text>')
    box = f'width="{size + 60}" height="{size + 60 + 18 * len(lines)}"'
    return f'<svg {box} role="img" aria-label="{escape(up)}">{"".join(parts)}</svg>'


def _curves(scores: Sequence[Score]) -> str:
    charts = []
    for label in dict.fromkeys(score.label for score in scores):
        lines = [
            (f"{s.source}, AP50 {s.ap50:.3f}", RECALLS.tolist(), s.curve) for s in scores if s.label == label
        ]
        charts.append(
            f"<figure>{chart(lines, 'recall', 'precision')}<figcaption>{escape(label)}</figcaption></figure>"
        )
    return f'<div class="row">{"".join(charts)}</div>'


def _confusion(assessment: Assessment) -> str:
    def shade(count: int, total: int) -> str:
        share = count / max(total, 1)
        colour = f"color-mix(in srgb,#0b63c4 {60 * share:.0f}%,transparent)"
        return f'<div style="background:{colour};padding:0 .5rem">{count} <small>{share:.0%}</small></div>'

    heads = ["true class", *(escape(name) for name in assessment.names), "missed"]
    rows = []
    for label, counts in assessment.confusion.items():
        cells = [shade(count, sum(counts)) for count in counts]
        rows.append([escape(label), *([*cells[:-1], "-"] if label == "nothing there" else cells)])
    return _table(heads, rows)


def _sizes(scores: Sequence[Score]) -> str:
    rows = [
        [
            escape(score.source),
            escape(score.label),
            escape(name),
            str(s.truths),
            _cell(s.recall),
            _number(s.ap50),
            _number(s.ap),
            _number(s.recall_at_90),
        ]
        for score in scores
        for name, s in score.by_size.items()
    ]
    heads = ["source", "class", "pixels", "boxes", "recall", "AP50", "AP50-95", "recall at precision 0.9"]
    return _table(heads, rows)


def _summary(scores: Sequence[Score]) -> str:
    rows = []
    for s in scores:
        cells = [_cell(s.within[key]) for key in ("ap50", "ap", "precision", "recall")]
        rows.append([escape(s.source), escape(s.label), str(s.truths), *cells])
    return _table(["source", "class", "boxes", "AP50", "AP50-95", "precision", "recall"], rows)


def _worth(assessment: Assessment) -> str:
    """Draw the share right by score, beside the diagonal on which it is as told."""
    lines: list[tuple[str, Sequence[float], Sequence[float]]] = [("as told", (0.0, 1.0), (0.0, 1.0))]
    rows = []
    for name, told in assessment.reliability.items():
        lines.append((name, [one.mean for one in told], [one.right.value for one in told]))
        for one in told:
            scores = f"{one.low:.1f}-{one.high:.1f}"
            rows.append([escape(name), scores, str(one.boxes), _cell(one.right)])
    drawing = chart(lines, "score", "share right")
    caption = "<figcaption>The share that is right, by score</figcaption>"
    table = _table(["class", "score", "boxes", "right"], rows)
    return f'<div class="row"><figure>{drawing}{caption}</figure>{table}</div>'


def _told(parts: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, told in parts.items():
        given = told["given found"]
        whole = told["end to end"]
        figures = [told["found"], given["mask right"], given["no mask right"]]
        figures += [whole[key] for key in ("TPR", "FPR", "FNR", "precision", "recall", "AUC")]
        faces = f"{told['faces']['masked']} / {told['faces']['bare']}"
        rows.append([escape(name), faces, *map(_cell, figures)])
    heads = ["faces", "masked / bare", "found", "mask right", "no mask right"]
    return _table([*heads, "TPR", "FPR", "FNR", "precision", "recall", "AUC"], rows)


def _masks(masks: Masks) -> str:
    parts = {"all": masks.whole, **masks.by_source}
    parts |= {f"{size} px": told for size, told in masks.by_size.items()}
    parts |= {f"rolled by {roll}°": told for roll, told in masks.by_roll.items() if roll != "0"}
    if masks.incorrect:
        parts["worn incorrectly"] = masks.incorrect
    finding = [
        [escape(n), str(s.truths), _cell(s.recall), _number(s.recall_at_90)] for n, s in masks.found.items()
    ]
    curve = chart([("all faces", *masks.roc)], "false positive rate", "true positive rate")
    return (
        "<h2>Masks</h2><p>“Mask right” and “no mask right” are of the faces that were found; TPR, FPR, FNR, "
        "precision, recall and AUC are end to end, of all true faces, where a face that is not found is a "
        f"failure too. A mask worn incorrectly counts as none.</p>{_told(parts)}"
        '<h2>Faces found, whatever their state</h2><div class="row"><div>'
        + _table(["pixels", "faces", "recall", "recall at precision 0.9"], finding)
        + f"</div><figure>{curve}<figcaption>ROC, end to end</figcaption></figure></div>"
    )


def weight(seen: Seen, pairs: Pairs) -> float:
    """Say how bad the mistakes in a picture are: sure inventions, sure wrong classes, and large misses."""
    missed = np.minimum(side(seen.picture.boxes[pairs.missed]) / 32, 1).sum()
    return float(missed + pairs.found.confidence[~pairs.right].sum())


def _box(xyxy: Sequence[float], colour: str, dash: str, words: str, thick: float) -> str:
    left, top, right, bottom = xyxy
    place = f'x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"'
    line = f'fill="none" stroke="{colour}" stroke-width="{thick:.1f}" stroke-dasharray="{dash}"'
    return f"<rect {place} {line}><title>{escape(words)}</title></rect>"


def thumbnail(seen: Seen, pairs: Pairs, names: Sequence[str]) -> str:
    """Draw a picture, made small, with its mistakes over it."""
    picture = seen.picture
    height, width = picture.image.shape[:2]
    scale = min(1.0, THUMB / max(height, width))
    small = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 72])
    data = base64.b64encode(jpeg.tobytes()).decode()
    thick = max(width, height) / 180
    parts = [f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>']
    for row in pairs.missed:
        label = "|".join(np.asarray(names)[picture.allowed[row]])
        parts.append(_box(picture.boxes[row].tolist(), *MISSED, f"missed: {label}", thick))
    counts = [len(pairs.missed), 0, 0]
    for row in np.flatnonzero(~pairs.right):
        wrong = pairs.truth[row] >= 0
        counts[2 if wrong else 1] += 1
        said = f"{names[pairs.found.class_id[row]]} {pairs.found.confidence[row]:.2f}"
        words = f"{'wrong class' if wrong else 'invented'}: {said}"
        parts.append(_box(pairs.found.xyxy[row].tolist(), *(WRONG if wrong else INVENTED), words, thick))
    words = ", ".join(
        f"{n} {w}" for n, w in zip(counts, ("missed", "invented", "wrong class"), strict=True) if n
    )
    body = f'<svg viewBox="0 0 {width} {height}">{"".join(parts)}</svg>'
    caption = f"{escape(picture.name)} ({escape(picture.source)}): {words}"
    return f"<figure>{body}<figcaption>{caption}</figcaption></figure>"


def _mistakes(assessment: Assessment) -> str:
    judged = [(seen, pair(seen)) for seen in assessment.seen]
    ranked = sorted(judged, key=lambda both: -weight(*both))[:SHOWN]
    shown = [thumbnail(seen, pairs, assessment.names) for seen, pairs in ranked if weight(seen, pairs) > 0]
    styles = zip((MISSED, INVENTED, WRONG), ("solid", "dashed", "dotted"), strict=True)
    names = ("missed", "invented", "found, but of the wrong class")
    key = "".join(
        f'<span style="border-color:{colour};border-top-style:{style}"></span>{words}'
        for ((colour, _), style), words in zip(styles, names, strict=True)
    )
    return f'<h2>Worst mistakes</h2><p class="key">{key}</p><div class="mistakes">{"".join(shown)}</div>'


def page(assessment: Assessment) -> str:
    """Return the whole page as HTML."""
    height, width = assessment.input_size
    words = (
        f"{assessment.pictures} pictures, input {width}x{height}, sha256 {assessment.sha256[:12]}. "
        f"Precision, recall, confusion and mistakes at IoU 0.5 and score {DEFAULT}; small figures are 95 % "
        "intervals, drawn from the pictures."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(assessment.model)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(assessment.model)}</h1><p>{words}</p>"
        f"<h2>By source and class</h2>{_summary(assessment.scores)}"
        f"<h2>Precision and recall</h2>{_curves(assessment.scores)}"
        "<h2>What a score is worth</h2><p>Of the boxes told at a score, the share that is an object of its "
        "class, whatever the source. Above the diagonal more of them are right than the score says.</p>"
        f"{_worth(assessment)}"
        f"<h2>Confusion</h2>{_confusion(assessment)}"
        f"<h2>By size</h2><p>The side of a square as large as the box, in the pixels of its picture.</p>"
        f"{_sizes(assessment.scores)}"
        f"{_masks(assessment.masks) if assessment.masks else ''}{_mistakes(assessment)}</body></html>\n"
    )


def write_report(assessment: Assessment, folder: Path) -> Path:
    """Write the page into a folder, made where it is missing, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    path.write_text(page(assessment), encoding="utf-8")
    return path
