"""The share of masks that the agent tells, beside the share that the labels hold.

The pictures of one source of the held-out set are a slide show before one camera with the packaged model and
default settings; the running totals of objects are what the page shows.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from agent.config import CameraConfig
from agent.count.analyst import Totals
from agent.pipeline import Pipeline
from agent.see.infer import Detector
from agent.startup import WEAK

SOURCE = "andrewmvd"


def chosen(folder: Path) -> list[Path]:
    """Return the held-out pictures of the source."""
    with (folder.parent / "sources.csv").open() as table:
        names = {
            Path(row["file"]).stem
            for row in csv.DictReader(table)
            if row["source"] == SOURCE and row["split"] == "val"
        }
    return sorted(path for path in (folder / "images").iterdir() if path.stem in names)


def labelled(folder: Path, pictures: list[Path]) -> Counter[str]:
    """Return how many faces the labels hold; a mask worn incorrectly is none."""
    faces: Counter[str] = Counter()
    for picture in pictures:
        for row in (folder / "labels" / f"{picture.stem}.txt").read_text().splitlines():
            faces["with_mask" if row.split()[0] == "0" else "without_mask"] += 1
    return faces


def told(pictures: list[Path]) -> Counter[str]:
    """Return the agent's objects by label after a slide show of the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:05}{picture.suffix}").symlink_to(picture)
        camera = CameraConfig(source=folder, model="mask", pace="fast")
        totals = Totals()
        detector = Detector(camera.model_path, confidence=min(WEAK, camera.confidence))
        looker = Pipeline("cam0", camera, detector, camera.settings(), totals)
        with looker.camera:
            while looker.camera.state != "ended":
                looker.step()
        looker.close()
    return Counter(totals.objects)


def share(faces: Counter[str]) -> float:
    """Return the share of masks among those whose state is known."""
    return faces["with_mask"] / max(faces["with_mask"] + faces["without_mask"], 1)


def main() -> int:
    """Print both shares."""
    folder = Path(os.environ.get("GB_DATA", ""), "masks", "val")
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    pictures = chosen(folder)
    true = labelled(folder, pictures)
    seen = told(pictures)
    print(f"{len(pictures)} pictures of {SOURCE}")
    print(f"labels: {dict(true)}, share of masks {share(true):.3f}")
    print(f"agent:  {dict(seen)}, share of masks {share(seen):.3f}, {sum(seen.values())} faces told")
    return 0


if __name__ == "__main__":
    sys.exit(main())
