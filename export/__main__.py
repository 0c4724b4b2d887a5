"""The command `gb-export`: from labelled pictures to one .onnx file.

Exit codes: 0 done or stopped as asked, 1 failed, 2 wrong arguments or data that cannot be read.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.infer import ModelError
from export.data import load_recipe, read_recipe
from export.errors import DataError, TrainError
from export.picture import Picture

VERSION = "0.1.0"
GUIDE = """\
The road from pictures to a model:

  gb-export train traffic --data DATA        learn; stops at Ctrl-C and goes on when called again
  gb-export onnx traffic --out my.onnx       write the newest checkpoint as one file
  gb-export evaluate my.onnx traffic         average precision per class and source
  gb-export quantize my.onnx traffic         an int8 copy, faster on CPUs with VNNI

A recipe says what is learned from what: export/recipes/*.toml. Copy one to teach your own classes.
DATA holds folders in YOLO layout; it may come from the environment variable GB_DATA.
"""


class UsageError(Exception):
    """Say in one line what is wrong with the arguments."""


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not (cross and height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError("a size is HEIGHTxWIDTH, as 384x640")
    size = int(height), int(width)
    if 0 in size or size[0] % 32 or size[1] % 32:
        raise argparse.ArgumentTypeError("height and width must be multiples of 32")
    return size


def _data(arguments: argparse.Namespace) -> Path:
    folder = arguments.data or os.environ.get("GB_DATA")
    if not folder:
        raise UsageError("no data: give its folder by --data, or set GB_DATA")
    return Path(folder)


def _pictures(arguments: argparse.Namespace, split: str) -> tuple[dict[str, Any], list[Picture]]:
    recipe = load_recipe(arguments.recipe)
    return recipe, read_recipe(recipe, _data(arguments), split)


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise UsageError("PyTorch is not installed: pip install 'gb-fleet[export]'")


def _train(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.train import Plan, cache_folder, train

    recipe = load_recipe(arguments.recipe)
    folder = arguments.folder or cache_folder(recipe)
    if arguments.fresh:
        (folder / "last.pt").unlink(missing_ok=True)
    plan = Plan(
        arguments.images, arguments.minutes, arguments.learning_rate, arguments.weights, arguments.threads
    )
    train(recipe, _data(arguments), plan, folder)


def _onnx(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.to_onnx import describe, export
    from export.train import cache_folder, load_checkpoint
    from export.zoo import make_model

    recipe = load_recipe(arguments.recipe)
    size = arguments.size or tuple(recipe["input"])
    state = load_checkpoint(arguments.checkpoint or cache_folder(recipe) / "last.pt")
    model = make_model(state["recipe"])
    model.load_state_dict(state["average"])
    out = arguments.out or Path(f"{recipe['name']}.onnx")
    metadata = describe(recipe, size, state["done"] * recipe["batch"], VERSION)
    pixels, score = export(model, out, size, metadata)
    print(
        f"{out}: {out.stat().st_size:,} bytes; differs from PyTorch by {pixels:.1g} pixels, {score:.1g} score"
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    from export.evaluate import detector_for, evaluate, table

    detector = detector_for(arguments.model)
    _, pictures = _pictures(arguments, "val")
    scores = evaluate(detector, pictures)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(score) for score in scores], indent=1))
    else:
        print(table(scores))


def _quantize(arguments: argparse.Namespace) -> None:
    from export.quantize import quantize

    recipe, pictures = _pictures(arguments, "train")
    step = max(1, len(pictures) // arguments.pictures)
    out = arguments.out or arguments.model.with_suffix(".int8.onnx")
    chosen = pictures[::step][: arguments.pictures]
    quantize(arguments.model, out, chosen, reduce_range=arguments.reduce_range)
    print(f"{out}: {out.stat().st_size:,} bytes, calibrated on {recipe['task']} pictures")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    plain = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser("gb-export", description=__doc__, epilog=GUIDE, formatter_class=plain)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: Any, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=words, description=words)
        sub.set_defaults(run=run)
        return sub

    train = command("train", _train, "learn a recipe; resumable, checkpoints lie in the user's cache folder")
    train.add_argument("recipe", help="traffic, mask, or the path of a recipe")
    train.add_argument("--images", type=int, help="how many pictures to look at (default: the recipe's)")
    train.add_argument("--minutes", type=float, help="how long to learn, instead of --images")
    train.add_argument("--learning-rate", type=float, help="peak learning rate (default: the recipe's)")
    train.add_argument("--weights", type=Path, metavar="CHECKPOINT", help="start from these weights")
    train.add_argument("--fresh", action="store_true", help="forget the last checkpoint")
    train.add_argument("--folder", type=Path, help="where checkpoints lie (default: in the user's cache)")
    train.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="threads (default: all cores)"
    )

    onnx = command("onnx", _onnx, "write a checkpoint as one .onnx file, compared with PyTorch")
    onnx.add_argument("recipe", help="the recipe that was trained")
    onnx.add_argument("--checkpoint", type=Path, help="default: the newest in the user's cache folder")
    onnx.add_argument("--size", type=_size, help="input as HEIGHTxWIDTH (default: the recipe's)")
    onnx.add_argument("--out", type=Path, help="default: NAME.onnx here")

    evaluate = command(
        "evaluate", _evaluate, "average precision per class and source, as the agent would run it"
    )
    evaluate.add_argument("model", type=Path, help="an .onnx file")
    evaluate.add_argument("recipe", help="says which pictures and classes")
    evaluate.add_argument("--json", action="store_true", help="figures for machines")

    quantize = command("quantize", _quantize, "write an int8 copy of a model (U8S8, float stem)")
    quantize.add_argument("model", type=Path, help="an .onnx file")
    quantize.add_argument("recipe", help="says which pictures to calibrate on")
    quantize.add_argument("--pictures", type=int, default=300, help="how many (default 300)")
    quantize.add_argument("--out", type=Path, help="default: MODEL.int8.onnx")
    quantize.add_argument(
        "--reduce-range", action="store_true", help="7-bit weights, for CPUs with AVX2 or AVX-512 but no VNNI"
    )

    for sub in (train, evaluate, quantize):
        sub.add_argument("--data", type=Path, help="folder of the data (default: GB_DATA)")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(words)
    try:
        arguments.run(arguments)
    except (UsageError, DataError, ModelError) as error:
        print(f"gb-export: {error}", file=sys.stderr)
        return 2
    except TrainError as error:
        print(f"gb-export: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
