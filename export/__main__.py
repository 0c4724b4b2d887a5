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
from export.command_line import parser
from export.data.pseudo_labels import packaged
from export.data.recipe import HELD, load_recipe, read_recipe
from export.data.recipe_schema import check_trainable
from export.data.sample import JUDGED, Picture
from export.data.user_dataset import own_recipe
from export.errors import DataError, TrainError, UsageError
from export.judge.assess import assess, checkpoint_file, text, to_json
from export.judge.compare import finish_own
from export.judge.evaluate import LEAST, detector_for
from export.judge.twice import Twice

VERSION = version("gb-fleet")


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
    from export.train.checkpoint import cache_folder
    from export.train.train import Plan, train

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
    from export.train.checkpoint import cache_folder

    recipe = load_recipe(arguments.recipe)
    checkpoint = arguments.checkpoint or cache_folder(recipe) / "last.pt"
    out = arguments.out or checkpoint.with_name("calibrated.pt")
    shift = calibrate(checkpoint, read_recipe(recipe, _data(arguments), HELD), out)
    print(f"logit x {shift.scale:.3f} {shift.bias:+.3f}")
    print(f"{out}: next, gb-export onnx {arguments.recipe} --checkpoint {out}")


def _onnx(arguments: argparse.Namespace) -> None:
    _need_torch()
    from export.onnx.to_onnx import export_average
    from export.train.checkpoint import cache_folder, load_checkpoint

    recipe = load_recipe(arguments.recipe)
    looks = ("input", "second_input", "mirrored", "kinds")
    said: dict[str, Any] = {key: recipe[key] for key in looks if key in recipe}
    if arguments.size:
        said |= {"input": arguments.size, "second_input": []}
    if arguments.second_size:
        said["second_input"] = arguments.second_size
    if arguments.mirrored:
        said["mirrored"] = True
    state = load_checkpoint(arguments.checkpoint or cache_folder(recipe) / "last.pt")
    out = arguments.out or Path(f"{recipe['name']}.onnx")
    pixels, score = export_average(state, out, VERSION, said)
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


COMMANDS = {
    "train": _train,
    "onnx": _onnx,
    "evaluate": _evaluate,
    "judge": _judge,
    "quantize": _quantize,
    "calibrate": _calibrate,
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser(COMMANDS, __doc__ or "").parse_args(words)
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
