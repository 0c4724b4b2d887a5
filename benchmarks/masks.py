"""The share of masks that the agent tells, beside the labels' share; and masks told where nobody wears one.

The pictures of one source of the held-out set are a slide show before one camera with the packaged model and
default settings; the running totals of objects are what the page shows. Then a film of six people who pass
one by one close to the camera, without masks: what the model tells as masks in all of its frames, and what
the agent counts in it.
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
from benchmarks.videos import played

SOURCE = "andrewmvd"
BARE = "intel_one-by-one-person-detection.mp4"  # nobody in it wears a mask
MASKED = 0  # the model's class
SURE = (0.25, 0.4)  # scores: a camera's least, and one that is believed


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
        return counted(folder)


def counted(source: str) -> Counter[str]:
    """Return the agent's objects by label at the end of a source."""
    camera = CameraConfig(source=source, model="mask", pace="fast")
    totals = Totals()
    detector = Detector(camera.model_path, confidence=min(WEAK, camera.confidence))
    looker = Pipeline("cam0", camera, detector, camera.settings(), totals)
    with looker.camera:
        while looker.camera.state != "ended":
            looker.step()
    looker.close()
    return Counter(totals.objects)


def masks_seen(film: Path) -> tuple[int, list[int]]:
    """Return a film's frames, and the boxes told as masks in them from each of the scores SURE on."""
    detector = Detector(CameraConfig(source=str(film), model="mask").model_path, confidence=SURE[0])
    frames = 0
    scores: list[float] = []
    for frame in played(str(film)):
        frames += 1
        found = detector.detect(frame.image)
        scores += found.confidence[found.class_id == MASKED].tolist()
    return frames, [sum(score >= least for score in scores) for least in SURE]


def share(faces: Counter[str]) -> float:
    """Return the share of masks among those whose state is known."""
    return faces["with_mask"] / max(faces["with_mask"] + faces["without_mask"], 1)


def main() -> int:
    """Print both shares, and what is told where no mask is worn."""
    data = Path(os.environ.get("GB_DATA", ""))
    folder = data / "masks" / "val"
    if not folder.is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    pictures = chosen(folder)
    true = labelled(folder, pictures)
    seen = told(pictures)
    print(f"{len(pictures)} pictures of {SOURCE}")
    print(f"labels: {dict(true)}, share of masks {share(true):.3f}")
    print(f"agent:  {dict(seen)}, share of masks {share(seen):.3f}, {sum(seen.values())} faces told")
    film = data / "videos" / BARE
    if film.exists():
        frames, masks = masks_seen(film)
        words = ", ".join(f"{number} from {least:g}" for number, least in zip(masks, SURE, strict=True))
        print(
            f"{BARE}, no mask worn: masks told in {frames} frames {words}; agent: {dict(counted(str(film)))}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
