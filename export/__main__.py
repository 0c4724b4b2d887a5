"""The command `gb-export`: from labelled pictures to one .onnx file.

Exit codes: 0 done or stopped as asked, 1 failed, 2 wrong arguments or data that cannot be read.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agent.see.infer import Detector, ModelError
from export.data.labelling import add_commands, words_of
from export.data.pseudo_labels import packaged
from export.data.recipe import HELD, load_recipe, read_recipe
from export.data.recipe_schema import check_trainable
from export.data.sample import JUDGED, Picture
from export.data.user_dataset import READERS, own_recipe
from export.errors import DataError, TrainError, UsageError
from export.judge.assess import assess, checkpoint_file, text, to_json
from export.judge.compare import finish_own
from export.judge.evaluate import LEAST, detector_for
from export.judge.twice import Twice

VERSION = version("gb-fleet")
GUIDE = """\
Your own labelled pictures, from any tool, to a model and a page that shows how good it is:

  gb-export train --data FOLDER              learn what its labels name; stops at Ctrl-C, goes on when called
                                             again; ends with a report, and says how to write the model

  gb-export train --data FOLDER --weights traffic
                                             the same, begun with what a model that comes along knows: better
                                             with few pictures; its licence then holds for yours too

FOLDER holds labels of YOLO (with data.yaml or classes.txt), COCO, Pascal VOC or Labelme; which, is found out.
What lies in folders called train and val stays so; else pictures that look alike stay on one side.

No labels yet? On the box of a camera, by its owner; nothing leaves the machine:

  gb-export collect SOURCE --out FOLDER      pick frames worth labelling
  gb-export propose FOLDER --teachers traffic,other.onnx --classes person,car --to labelme
                                             let models draw drafts, for a person to correct in Labelme, CVAT
                                             (coco) or Label Studio; then train --data

The models of this project:

  gb-export train traffic --data DATA        learn a recipe: export/recipes/*.toml, or one of your own
  gb-export onnx traffic --out my.onnx       write the newest checkpoint as one file
  gb-export evaluate my.onnx                 average precision by class, source and size, with intervals
  gb-export evaluate my.onnx --report page   the same as a page with curves and the worst mistakes
  gb-export quantize my.onnx traffic         an int8 copy, faster on CPUs with VNNI
  gb-export judge mask --out judge.onnx      the judge of enlarged faces, for the second look

DATA holds the folders that a recipe names; it may come from the environment variable GB_DATA.
"""


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


def _data(arguments: argparse.Namespace) -> Path:
    folder = arguments.data or os.environ.get("GB_DATA")
    if not folder:
        raise UsageError("no data: give its folder by --data, or set GB_DATA")
    return Path(folder)


def _pictures(arguments: argparse.Namespace, split: str) -> tuple[dict[str, Any], list[Picture]]:
    recipe = load_recipe(arguments.recipe)
    return recipe, read_recipe(recipe, _data(arguments), split)


def _every(pictures: list[Picture], limit: int | None) -> list[Picture]:
    """Return at most `limit` pictures, evenly over all."""
    step = max(1, -(-len(pictures) // limit)) if limit else 1
    return pictures[::step]


def _need_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise UsageError("PyTorch is not installed: pip install 'gb-fleet[export]'")


def _train(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.train.train import Plan, cache_folder, train

    own = not arguments.recipe
    recipe = own_recipe(_data(arguments), arguments.format) if own else load_recipe(arguments.recipe)
    check_trainable(recipe, arguments.recipe or str(_data(arguments)))
    folder = arguments.folder or cache_folder(recipe)
    if arguments.fresh:
        (folder / "last.pt").unlink(missing_ok=True)
    weights = packaged(arguments.weights) if arguments.weights else None
    plan = Plan(arguments.images, arguments.minutes, arguments.learning_rate, weights, arguments.threads)
    checkpoint = train(recipe, _data(arguments), plan, folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # training only noted it
    if own:
        finish_own(recipe, _data(arguments), checkpoint, weights)


def _calibrate(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.onnx.calibrate import calibrate
    from export.train.train import cache_folder

    recipe = load_recipe(arguments.recipe)
    checkpoint = arguments.checkpoint or cache_folder(recipe) / "last.pt"
    out = arguments.out or checkpoint.with_name("calibrated.pt")
    shift = calibrate(checkpoint, read_recipe(recipe, _data(arguments), HELD), out)
    print(f"logit x {shift.scale:.3f} {shift.bias:+.3f}")
    print(f"{out}: next, gb-export onnx {arguments.recipe} --checkpoint {out}")


def _onnx(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.model.zoo import make_model
    from export.onnx.to_onnx import describe, export
    from export.train.train import cache_folder, load_checkpoint

    recipe = load_recipe(arguments.recipe)
    size = arguments.size or tuple(recipe["input"])
    state = load_checkpoint(arguments.checkpoint or cache_folder(recipe) / "last.pt")
    model = make_model(state["recipe"])
    model.load_state_dict(state["average"])
    out = arguments.out or Path(f"{recipe['name']}.onnx")
    metadata = describe(state["recipe"], size, state["done"] * state["recipe"]["batch"], VERSION)
    pixels, score = export(model, out, size, metadata)
    print(
        f"{out}: {out.stat().st_size:,} bytes; differs from PyTorch by {pixels:.1g} pixels, {score:.1g} score"
    )


def _evaluate(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model: Path = arguments.model
        if model.suffix == ".pt":
            _need_torch()
            model, _ = checkpoint_file(model, Path(folder), VERSION)
        twice = arguments.look or arguments.judge
        detector = Twice(model, LEAST, arguments.judge) if twice else detector_for(model)
        recipe = load_recipe(arguments.recipe) if arguments.recipe else _recipe_of(detector)
        pictures = read_recipe(recipe, _data(arguments), arguments.split, JUDGED)
        pictures = _every(_of_sources(pictures, arguments.sources), arguments.limit)
        assessment = assess(detector, pictures, arguments.roll)
    print(to_json(assessment) if arguments.json else text(assessment))
    if arguments.report:
        from export.judge.report import write_report

        print(f"report: {write_report(assessment, arguments.report)}", file=sys.stderr)


def _of_sources(pictures: list[Picture], chosen: list[str]) -> list[Picture]:
    """Return the pictures of some sources, all without a choice."""
    known = sorted({picture.source for picture in pictures})
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise UsageError(f"--sources: no pictures of {unknown[0]!r}; there are {', '.join(known)}")
    return [picture for picture in pictures if not chosen or picture.source in chosen]


def _recipe_of(detector: Detector) -> dict[str, Any]:
    """Return the recipe that a file was made from."""
    try:
        recipe: dict[str, Any] = json.loads(detector.metadata.get("recipe", ""))
    except ValueError:
        raise UsageError(f"{detector.path}: does not say its recipe; name it after the model") from None
    return recipe


def _judge(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.crops.command import run

    run(arguments, _data(arguments), VERSION)


def _quantize(arguments: argparse.Namespace) -> None:
    from export.onnx.quantize import quantize

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
    train.add_argument(
        "recipe", nargs="?", help="traffic, mask, a path; without one, what the labels in --data name"
    )
    train.add_argument("--format", choices=READERS, help="form of your labels (default: found out)")
    train.add_argument("--images", type=int, help="how many pictures to look at (default: the recipe's)")
    train.add_argument("--minutes", type=float, help="how long to learn, instead of --images")
    train.add_argument("--learning-rate", type=float, help="peak learning rate (default: the recipe's)")
    train.add_argument(
        "--weights",
        metavar="NAME",
        help="begin with what these know: traffic, mask, a float .onnx of `gb-export onnx`, or a checkpoint; "
        "classes go by their names",
    )
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

    evaluate = command("evaluate", _evaluate, "how good a model is, run as the agent runs it, with intervals")
    evaluate.add_argument("model", type=Path, help="an .onnx file, or a checkpoint (.pt)")
    evaluate.add_argument(
        "recipe", nargs="?", help="says which pictures and classes (default: the model's own)"
    )
    evaluate.add_argument("--split", choices=("val", "train"), default="val", help="default: val")
    evaluate.add_argument("--limit", type=_count, metavar="N", help="at most N pictures, evenly over all")
    evaluate.add_argument(
        "--sources", type=words_of, default=[], metavar="A,B", help="judge by pictures of these sources alone"
    )
    evaluate.add_argument(
        "--roll", type=_degrees, default=[], metavar="0,30,60", help="masks: turn the pictures by degrees too"
    )
    evaluate.add_argument("--look", action="store_true", help="with the second look, its time not limited")
    evaluate.add_argument("--judge", type=Path, metavar="FILE", help="and with this judge of enlarged faces")
    evaluate.add_argument("--report", type=Path, metavar="FOLDER", help="write a page with pictures there")
    evaluate.add_argument("--json", action="store_true", help="figures for machines")

    words = "learn the judge of enlarged faces (mask, no mask), in minutes, and write its .onnx file"
    judge = command("judge", _judge, words)
    judge.add_argument("recipe", nargs="?", default="mask", help="whose pictures (default: mask)")
    judge.add_argument("--steps", type=_count, default=1000, help="how long to learn (default: 1000)")
    judge.add_argument("--seed", type=int, default=7, help="default: 7")
    judge.add_argument("--out", type=Path, default=Path("judge.onnx"), help="default: judge.onnx here")

    quantize = command("quantize", _quantize, "write an int8 copy of a model (U8S8, float stem)")
    quantize.add_argument("model", type=Path, help="an .onnx file")
    quantize.add_argument("recipe", help="says which pictures to calibrate on")
    quantize.add_argument("--pictures", type=int, default=300, help="how many (default 300)")
    quantize.add_argument("--out", type=Path, help="default: MODEL.int8.onnx")
    quantize.add_argument(
        "--reduce-range", action="store_true", help="7-bit weights, for CPUs with AVX2 or AVX-512 but no VNNI"
    )

    words = "make scores mean something: of boxes told at 0.5 half are right, on pictures held back"
    calibrate = command("calibrate", _calibrate, words)
    calibrate.add_argument("recipe", help="the recipe that was trained, with `held_back`")
    calibrate.add_argument("--checkpoint", type=Path, help="default: the newest in the user's cache folder")
    calibrate.add_argument("--out", type=Path, help="default: calibrated.pt beside it")

    add_commands(command)
    for sub in (train, evaluate, judge, quantize, calibrate):
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
        print("\ngb-export: stopped", file=sys.stderr)
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
