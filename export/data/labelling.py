"""The commands that turn a camera of one's own into labelled pictures: `collect` and `propose`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from export.data.collect import collect, private_folder, save, watch
from export.data.drafts import WRITERS
from export.data.propose import LEAST, draft, open_teacher, write_table
from export.errors import UsageError

Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]


def words_of(text: str) -> list[str]:
    """Split a list as the command line has it: words with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _collect(arguments: argparse.Namespace) -> None:
    if not (arguments.every > 0 and arguments.minutes > 0 and arguments.count > 0):
        raise UsageError("--every, --minutes and --count must be above 0")
    model = open_teacher(arguments.model)
    folder = private_folder(arguments.out)
    frames = watch(arguments.source, arguments.minutes)
    written = save(collect(frames, model, arguments.count, arguments.every), folder)
    print(f"{folder}: {len(written)} frames, which only their owner can read; nothing was sent anywhere")
    print(f"next:   gb-export propose {folder} --teachers traffic --classes person,car --to labelme")


def _propose(arguments: argparse.Namespace) -> None:
    if bool(arguments.out) == bool(arguments.to):
        raise UsageError("say either --out FILE.csv, to train with, or --to TOOL, for a person to correct")
    names = words_of(arguments.names)
    teachers = [open_teacher(name, names) for name in words_of(arguments.teachers)]
    classes = words_of(arguments.classes)
    if not (teachers and classes):
        raise UsageError("give at least one model by --teachers and one class by --classes")
    drafted = draft(arguments.folder, teachers, classes)
    if arguments.out:
        agreed, doubted = write_table(drafted, classes, arguments.out)
        print(f"{arguments.out}: {agreed} boxes on which models agree, {doubted} left out of the training")
        if len(teachers) == 1:
            print("a single model agrees with no other, so all its boxes are left out; name a second one")
        return
    WRITERS[arguments.to](drafted, classes, arguments.folder)
    print(f"{arguments.folder}: drafts for {arguments.to}; correct them, then gb-export train --data FOLDER")


def add_commands(command: Command) -> None:
    """Add `collect` and `propose` to the parser of the whole command."""
    words = "pick frames worth labelling from a camera or video of this box; nothing leaves the machine"
    one = command("collect", _collect, words)
    one.add_argument("source", help="as in agent.toml: the number of a camera, a file, an address")
    one.add_argument("--out", type=Path, required=True, help="a new folder; only its owner can read it")
    one.add_argument(
        "--model", default="traffic", help="frames of which it is unsure are preferred (default: traffic)"
    )
    one.add_argument("--count", type=int, default=200, help="at most so many frames (default: 200)")
    one.add_argument(
        "--every", type=float, default=1.0, help="seconds between two frames that are considered (default: 1)"
    )
    one.add_argument("--minutes", type=float, default=60.0, help="how long to read a camera (default: 60)")

    words = "draft labels with existing models, to train with or for a person to correct"
    two = command("propose", _propose, words)
    two.add_argument("folder", type=Path, help="the folder of pictures")
    two.add_argument(
        "--teachers", required=True, metavar="A,B", help="the models: names of packaged ones, or .onnx files"
    )
    two.add_argument("--names", default="", metavar="A,B", help="class names, for an .onnx file without them")
    two.add_argument(
        "--classes", required=True, metavar="A,B", help="classes to propose, in the labels' order"
    )
    two.add_argument(
        "--out", type=Path, help=f"a table to train with; what scores under {LEAST} is background"
    )
    two.add_argument("--to", choices=WRITERS, help="draft labels for this tool; coco is for CVAT")
