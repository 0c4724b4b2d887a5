"""The ladder of paper 2: what each of its steps adds, on the same held-out pictures in one run.

    GB_DATA=DATA [GB_PEERS=FOLDER] python -m benchmarks.ladder [--every N] [--steps N] [PART ...]

The parts: `looks` is the first look alone, with the finds of regions beside it, with both merged by the
rules, with scores that all looks agree on, and with the judge of enlarged faces, upright and with the
pictures turned; small detectors of others look at the same pictures. `judge` learns the judge: by steps, in
six folds, and texture beside it (`benchmarks.crops`); `missed` says what became of small faces
(`benchmarks.missed`). docs/papers.md gets what was measured, each table in
the place of the one before.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from agent.boxes import Detections, Uint8, nms
from agent.look.agree import agreed
from agent.look.judge import PACKAGED, Judge
from agent.look.merge import finds, joined, mend, merge
from agent.look.still import JUDGED, SecondLook, canvas_of, judged, kinds_of
from agent.progress import watched
from agent.see.infer import Detector
from agent.see.packaged import MODELS
from benchmarks.crops import learnt
from benchmarks.face_rivals import Aizoo, CenterFace, Rfb, Yunet
from benchmarks.look import MASKS, PAGE, held_out
from benchmarks.missed import missed
from benchmarks.page import markdown, renew
from benchmarks.rivals import Rival
from export.data.sample import Picture
from export.judge.evaluate import LEAST, Seen
from export.judge.mask_metrics import Faces, gather, tell, turn
from export.judge.metrics import SIZES

BEGIN = "<!-- ladder: python -m benchmarks.ladder -->"
END = "<!-- end of ladder -->"
ROLLS = (0.0, 30.0, 60.0)
STEPS = ("first look", "+ regions", "+ merge", "+ agreement", "+ judge")
PEERS: dict[str, tuple[str, Callable[[Path], Rival]]] = {
    "AIZOO-360": ("aizoo360.onnx", Aizoo),
    "RFB-640": ("RFB-640-masked_face-v2.onnx", Rfb),
    "YuNet-n": ("yunet_n_640_640.onnx", Yunet),
    "CenterFace": ("centerface.onnx", CenterFace),
}
STATELESS = ("YuNet-n", "CenterFace")  # find faces and do not say what they wear
SAME = 0.6  # overlap of two boxes that are one face, where suppression alone merges
NARROW = 0.6  # width by height: of 64 such faces that were looked at, about 36 are seen from the side
SEEN_WELL = 24.0  # pixels: of smaller faces the shape says little
HEADS = ("", "faces", "found", "mask right", "no mask right", "precision", "recall")

Rows = dict[str, list[Seen]]


def climbed(detector: Detector, judge: Judge, image: Uint8) -> dict[str, Detections]:
    """Return what each step of the ladder says of a picture (H,W,3); regions are all that there are."""
    picture = (image.shape[1], image.shape[0])
    canvas = canvas_of(detector)
    zoom = min(canvas[0] / picture[0], canvas[1] / picture[1])
    first = detector.detect(image)
    looked = SecondLook(detector).regions(image, finds(first, zoom))
    every = joined([finds(first, zoom), *(seen for _, seen in looked)]).found
    beside = every[nms(every.xyxy, every.confidence, every.class_id, SAME)]
    kinds = kinds_of(detector.names)
    both = merge(finds(first, zoom), mend(looked, picture), kinds, zoom)
    weighed = agreed(both, first, looked, kinds, picture, zoom)
    told = judged(judge, image, weighed, np.flatnonzero(weighed.confidence >= JUDGED))
    return dict(zip(STEPS, (first, beside, both, weighed, told), strict=True))


def looked_at(detector: Detector, judge: Judge, pictures: Sequence[Picture], degrees: float) -> Rows:
    """Look at pictures that are turned by degrees; return what each step, and each peer, saw of them."""
    folder = Path(os.environ.get("GB_PEERS", "-"))
    peers = {name: kind(folder / file) for name, (file, kind) in PEERS.items() if (folder / file).exists()}
    rows: Rows = {name: [] for name in (*STEPS, *peers)}
    for picture in watched(pictures, f"pictures turned by {degrees:g} degrees"):
        shown = turn(picture, degrees) if degrees else picture
        said = climbed(detector, judge, shown.image)
        said |= {name: peer.detect(shown.image) for name, peer in peers.items()}
        for name, found in said.items():
            rows[name].append(Seen(shown, found))
    return rows


def row(name: str, faces: Faces) -> tuple[str, ...]:
    """Write one line of the ladder."""
    told = tell(faces)
    given = [told["given found"][key] for key in ("mask right", "no mask right")]
    whole = [told["end to end"][key] for key in ("precision", "recall")]
    states = ["-"] * 4 if name in STATELESS else [str(figure) for figure in (*given, *whole)]
    return name, str(len(faces.masked)), str(told["found"]), *states


def looks(data: Path, every: int, _steps: int) -> Iterator[str]:
    """Tell what each step adds, by the faces' size and roll."""
    pictures, names = held_out("mask", data, 1)
    pictures = [picture for picture in pictures if picture.source in MASKS][::every]
    detector = Detector(MODELS / "gb-yolo-n-mask.onnx", LEAST)
    judge = Judge(PACKAGED, names)
    for degrees in ROLLS:
        rows = looked_at(detector, judge, pictures, degrees)
        faces = {name: gather(seen, names) for name, seen in rows.items()}
        title = f"turned by {degrees:g} degrees" if degrees else "upright"
        lines = [row(name, one) for name, one in faces.items()]
        yield f"### The ladder, {title}, {len(pictures)} pictures\n\n{markdown(HEADS, lines)}"
        if degrees:
            continue
        for size, low, high in SIZES:
            lines = [row(name, one.of_size(low, high)) for name, one in faces.items()]
            if lines[0][1] != "0":
                yield f"### The ladder, faces of {size} px\n\n{markdown(HEADS, lines)}"
        yield f"### The ladder, narrow faces\n\n{markdown(HEADS, narrow(faces))}"


def narrow(faces: dict[str, Faces]) -> list[tuple[str, ...]]:
    """Write the lines of the faces that are narrow, as a profile is; no labels say which are profiles."""
    return [
        row(name, one.where((one.shape < NARROW) & (one.size >= SEEN_WELL))) for name, one in faces.items()
    ]


def judge(data: Path, _every: int, steps: int) -> Iterator[str]:
    """Tell how the judge learns."""
    yield from learnt(data, steps)


def lost(data: Path, every: int, _steps: int) -> Iterator[str]:
    """Tell what became of small faces."""
    pictures, _ = held_out("mask", data, 1)
    pictures = [picture for picture in pictures if picture.source in MASKS][::every]
    yield missed(Detector(MODELS / "gb-yolo-n-mask.onnx", LEAST), pictures)


PARTS = {"looks": looks, "judge": judge, "missed": lost}


def main(words: list[str]) -> int:
    """Measure all parts, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--every", type=int, default=1, help="look at each so many-th picture")
    parser.add_argument(
        "--steps", type=int, default=2000, help="of the judge's training; a fold has a quarter"
    )
    arguments = parser.parse_args(words)
    unknown = sorted(set(arguments.parts) - set(PARTS))
    data = Path(os.environ.get("GB_DATA", ""))
    if unknown or arguments.every < 1 or arguments.steps < 8 or not (data / "masks" / "val").is_dir():
        wrong = f"no such part: {unknown[0]}" if unknown else "set GB_DATA to the folder of development data"
        print(wrong, file=sys.stderr)
        return 2
    cv2.setNumThreads(1)
    some = f"--every {arguments.every}"
    said = {"looks": some, "judge": f"--steps {arguments.steps}", "missed": some}
    for name in arguments.parts or PARTS:
        for text in PARTS[name](data, arguments.every, arguments.steps):
            section = f"{text}\nCommand: `python -m benchmarks.ladder {said[name]} {name}`.\n"
            print(section, flush=True)
            renew(PAGE, section, BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
