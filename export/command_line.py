"""The words of `gb-export`: its commands, their options, and the guide below them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from export.data.labelling import add_commands, words_of
from export.data.user_dataset import READERS

Run = Callable[[argparse.Namespace], Any]
Command = Callable[[str, Run, str], argparse.ArgumentParser]

GUIDE = """\
Your own labelled pictures, from any tool, to a model and a page that shows how good it is:

  gb-export train --data FOLDER              train a detector of the classes in its labels; Ctrl-C stops it,
                                             the same command goes on; ends with a report and with the
                                             command that writes the model's file

  gb-export train --data FOLDER --weights traffic
                                             the same, from the weights of a packaged model: better with few
                                             pictures; its licence then holds for yours too

FOLDER holds labels of YOLO (with data.yaml or classes.txt), COCO, Pascal VOC or Labelme; the format is
detected. Folders called train and val are used for training and validation as they are; without them the
pictures are split, and pictures that look alike stay on one side.

No labels yet? On the box of a camera, by its owner; nothing leaves the machine:

  gb-export collect SOURCE --out FOLDER      pick frames worth labelling
  gb-export propose FOLDER --teachers traffic,other.onnx --classes person,car --to labelme
                                             draft labels with existing models, for a person to correct in
                                             Labelme, CVAT (coco) or Label Studio; then train --data

The models of this project. A recipe is a TOML file that says on which pictures a model is trained, for which
classes, and how:

  gb-export train traffic --data DATA        train by a recipe: export/recipes/*.toml, or one of your own
  gb-export onnx traffic --out my.onnx       write the newest checkpoint as one file
  gb-export evaluate my.onnx                 average precision by class, source and size, with intervals
  gb-export evaluate my.onnx --report page   the same as a page with curves and the worst mistakes
  gb-export quantize my.onnx traffic         an int8 copy, faster on CPUs with VNNI
  gb-export judge mask --out judge.onnx      train the judge: a model that says whether an enlarged face wears
                                             a mask (docs/look.md)

DATA holds the folders that a recipe names; it may come from the environment variable GB_DATA.
"""


def parser(runs: Mapping[str, Run], doc: str) -> argparse.ArgumentParser:
    """Return the parser of the whole command.

    `runs`: what each command does, by its name; `doc`: what the whole is for.
    """
    plain = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("gb-export", description=doc, epilog=GUIDE, formatter_class=plain)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Run, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    _add_train(command, runs["train"])
    _add_onnx(command, runs["onnx"])
    _add_evaluate(command, runs["evaluate"])
    _add_judge(command, runs["judge"])
    _add_quantize(command, runs["quantize"])
    _add_calibrate(command, runs["calibrate"])
    add_commands(command)
    return top


def _add_data(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--data", type=Path, help="folder of the data (default: GB_DATA)")


def _add_train(command: Command, run: Run) -> None:
    train = command(
        "train", run, "train a model; Ctrl-C stops, the same command goes on from the last checkpoint"
    )
    train.add_argument(
        "recipe",
        nargs="?",
        help="traffic, mask, or the path of a recipe; without one, the classes of the labels in --data",
    )
    train.add_argument("--format", choices=READERS, help="format of your labels (default: detected)")
    train.add_argument(
        "--images", type=int, help="how many pictures to train on, repeats included (default: the recipe's)"
    )
    train.add_argument("--minutes", type=float, help="how long to train, instead of --images")
    train.add_argument("--learning-rate", type=float, help="peak learning rate (default: the recipe's)")
    train.add_argument(
        "--weights",
        metavar="NAME",
        help="start from these weights: traffic, mask, a float .onnx of `gb-export onnx`, or a checkpoint; "
        "classes are matched by name",
    )
    train.add_argument("--fresh", action="store_true", help="start anew: delete the last checkpoint")
    train.add_argument(
        "--folder", type=Path, help="where checkpoints are kept (default: in the user's cache)"
    )
    train.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="threads (default: all cores)"
    )
    _add_data(train)


def _add_onnx(command: Command, run: Run) -> None:
    onnx = command("onnx", run, "write a checkpoint as one .onnx file, compared with PyTorch")
    onnx.add_argument("recipe", help="the recipe of the training")
    onnx.add_argument("--checkpoint", type=Path, help="default: the newest in the user's cache folder")
    onnx.add_argument("--size", type=_size, help="input as HEIGHTxWIDTH (default: the recipe's)")
    onnx.add_argument(
        "--second-size",
        type=_size,
        metavar="SIZE",
        help="multi-scale inference: look at each picture in this smaller size too, HEIGHTxWIDTH, and pair "
        "what both see (default: the recipe's; none where --size is given)",
    )
    onnx.add_argument(
        "--mirrored",
        action="store_true",
        help="test-time augmentation: look at each picture's mirror image too, and take the mean, at twice "
        "the time (default: the recipe's)",
    )
    onnx.add_argument("--out", type=Path, help="default: NAME.onnx here")


def _add_evaluate(command: Command, run: Run) -> None:
    evaluate = command(
        "evaluate", run, "average precision of a model, run as the agent runs it, with confidence intervals"
    )
    evaluate.add_argument("model", type=Path, help="an .onnx file, or a checkpoint (.pt)")
    evaluate.add_argument(
        "recipe",
        nargs="?",
        help="whose pictures and classes (default: the recipe that the model was trained by)",
    )
    evaluate.add_argument(
        "--split",
        choices=("val", "train"),
        default="val",
        help="validation or training pictures (default: val)",
    )
    evaluate.add_argument("--limit", type=_count, metavar="N", help="at most N pictures, evenly over all")
    evaluate.add_argument(
        "--sources", type=words_of, default=[], metavar="A,B", help="only pictures of these sources"
    )
    evaluate.add_argument(
        "--roll",
        type=_degrees,
        default=[],
        metavar="0,30,60",
        help="for models of masks: also with the pictures turned by so many degrees",
    )
    evaluate.add_argument(
        "--look", action="store_true", help="with the second look (docs/look.md), its time not limited"
    )
    evaluate.add_argument(
        "--judge", type=Path, metavar="FILE", help="with the second look and this judge of enlarged faces"
    )
    evaluate.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="write an HTML report with curves and the worst mistakes into this folder",
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    _add_data(evaluate)


def _add_judge(command: Command, run: Run) -> None:
    words = "train the judge of enlarged faces (mask, no mask), in minutes, and write its .onnx file"
    judge = command("judge", run, words)
    judge.add_argument(
        "recipe", nargs="?", default="mask", help="the recipe whose pictures are used (default: mask)"
    )
    judge.add_argument("--steps", type=_count, default=1000, help="training steps (default: 1000)")
    judge.add_argument("--seed", type=int, default=7, help="of the random numbers (default: 7)")
    judge.add_argument("--out", type=Path, default=Path("judge.onnx"), help="default: judge.onnx here")
    _add_data(judge)


def _add_quantize(command: Command, run: Run) -> None:
    quantize = command(
        "quantize",
        run,
        "write an int8 copy of a model (8-bit activations and weights; its first layer stays float)",
    )
    quantize.add_argument("model", type=Path, help="an .onnx file")
    quantize.add_argument("recipe", help="the recipe whose pictures set the value ranges")
    quantize.add_argument("--pictures", type=int, default=300, help="how many of them (default: 300)")
    quantize.add_argument("--out", type=Path, help="default: MODEL.int8.onnx")
    quantize.add_argument(
        "--reduce-range", action="store_true", help="7-bit weights, for CPUs with AVX2 or AVX-512 but no VNNI"
    )
    _add_data(quantize)


def _add_calibrate(command: Command, run: Run) -> None:
    words = "calibrate scores on held-back pictures, so that half of the boxes with score 0.5 are right"
    calibrate = command("calibrate", run, words)
    calibrate.add_argument("recipe", help="the recipe of the training; it must have set `held_back`")
    calibrate.add_argument("--checkpoint", type=Path, help="default: the newest in the user's cache folder")
    calibrate.add_argument("--out", type=Path, help="default: calibrated.pt beside it")
    _add_data(calibrate)


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not (cross and height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError("a size is HEIGHTxWIDTH, as 384x640")
    size = int(height), int(width)
    if 0 in size or size[0] % 32 or size[1] % 32:
        raise argparse.ArgumentTypeError("height and width must be multiples of 32")
    return size


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return int(text)


def _degrees(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("degrees are numbers with commas between, as 0,30,60") from None
