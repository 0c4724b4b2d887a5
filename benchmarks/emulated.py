"""Whether the packaged models answer rightly on a processor that is not in this machine, by emulation.

`qemu-x86_64 -cpu Haswell` has AVX2 and no VNNI: there, sums of int8 products may saturate. Each model is
asked for its stored answer (`agent.see.self_test`) in a process of its own; one that computes wrongly is
refused in the line that a box would print. Needs Debian's `qemu-user`; about half a minute a model.

    python -m benchmarks.emulated [--cpu Haswell] [MODEL.onnx ...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from agent.see.packaged import MODELS

ROOT = Path(__file__).parent.parent
EMULATOR = "qemu-x86_64"
WRONG = 3  # the exit code for a model that is refused
ASK = f"""
import sys
from agent.see import self_test
from agent.see.infer import Detector, ModelError
try:
    detector = Detector(sys.argv[1], 0.1)
    self_test.check(detector)
except ModelError as error:
    print(error)
    sys.exit({WRONG})
print("gives its stored answer" if self_test.KEY in detector.metadata else "has no stored answer")
"""


def asked(model: Path, cpu: str) -> tuple[bool, str]:
    """Ask a model on an emulated processor; return whether it answers rightly, and in words.

    Raises RuntimeError where the emulation itself ends in an error.
    """
    done = subprocess.run(
        [EMULATOR, "-cpu", cpu, sys.executable, "-c", ASK, str(model)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, WRONG):
        raise RuntimeError(f"{model.name}: the emulation ended with {done.returncode}: {done.stderr[-300:]}")
    return done.returncode == 0, done.stdout.strip()


def main() -> int:
    """Ask each model; 1 where one is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "models", nargs="*", type=Path, metavar="MODEL.onnx", help="all packaged ones if none"
    )
    parser.add_argument("--cpu", default="Haswell", help="as qemu names it (default: %(default)s)")
    chosen = parser.parse_args()
    if shutil.which(EMULATOR) is None:
        print(f"no {EMULATOR}: sudo apt-get install qemu-user", file=sys.stderr)
        return 2
    right = True
    for model in chosen.models or sorted(MODELS.glob("gb-yolo-*.onnx")):
        good, said = asked(model, chosen.cpu)
        right &= good
        print(f"{'ok  ' if good else 'FAIL'}  {chosen.cpu}  {model.name}  {said}", flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
