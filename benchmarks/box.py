"""`make bench-box`: what a box costs, this build beside version 0.2.0, in turns on the same machine.

CPU seconds of the whole camera loop (decoding, model, tracking, counting, spool on disk) over the same
videos, with what was counted; the agent's memory; its idle CPU; what the budget holds under load
(`benchmarks.budget`); looks with a region of interest. Ratios are this build's over 0.2.0's.

The videos: a street where nothing moves (half a minute of the lane clip's empty road, its noise in it), that
road with one car in 20 s, the shared road and lane clips as they are, the indoor clip as it is.

    GB_DATA=DATA python -m benchmarks.box [--rounds N] [PART ...]       parts: cpu memory idle budget region
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.budget import budget
from benchmarks.figures import leave
from benchmarks.videos import CLIPS, MATCH_SECONDS, PERSON, Clip, Result, matched
from deploy.stack import Stack, die_with_parent, free_port

ROOT = Path(__file__).parent.parent
COMMIT = "0d7ed46"  # version 0.2.0
ROAD, LANE, INDOOR = CLIPS
MEMORY_SECONDS = 20.0
SETTLE_SECONDS = 8.0
IDLE_SECONDS = 20.0
# Frames of the lane clip: its empty road forth and back, and its first car.
EMPTY = (
    "trim=start_frame=8:end_frame=48,setpts=PTS-STARTPTS,split[a{0}][b{0}];"
    "[b{0}]reverse[r{0}];[a{0}][r{0}]concat"
)
STILL = f"[0]{EMPTY.format('')},loop=9:80:0"
QUIET = (
    "[0]split[x][y];[x]trim=end_frame=120,setpts=PTS-STARTPTS[car];"
    f"[y]{EMPTY.format('2')},loop=1:80:0,trim=end_frame=130,setpts=PTS-STARTPTS[road];[car][road]concat,loop=1:250:0"
)


@dataclass(frozen=True, slots=True)
class Video:
    """A video, its line, and what people saw cross, where they looked."""

    path: Path
    line: tuple[tuple[float, float], tuple[float, float]]
    clip: Clip | None = None
    truth: list[tuple[float, str]] = field(default_factory=list)

    def result(self, crossings: Sequence[Sequence[Any]]) -> Result:
        """Match what was told with what people saw."""
        people = self.clip is not None and self.clip.people
        ways = {way for _, way in self.truth} or {"AB", "BA"}
        found = [(at, way) for at, way, label in crossings if (label == PERSON) is people and way in ways]
        return Result(len(self.truth), len(found), len(matched(self.truth, found, MATCH_SECONDS + 0.2)))


def made(name: str, graph: str, data: Path, folder: Path) -> Path:
    """Make a video out of the lane clip by a filter graph."""
    path = folder / f"{name}.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(data / LANE.file), "-filter_complex", graph]
    subprocess.run([*command, "-r", "12.5", "-c:v", "libx264", str(path)], check=True)
    return path


def videos(data: Path, folder: Path) -> dict[str, list[Video]]:
    """Return the videos of each figure."""
    car = LANE.seen["BA"][0] / LANE.fps
    of = {clip.file: Video(data / clip.file, clip.line, clip, clip.truth()) for clip in CLIPS}
    return {
        "still": [Video(made("still", STILL, data, folder), LANE.line)],
        "quiet": [
            Video(made("quiet", QUIET, data, folder), LANE.line, truth=[(car, "BA"), (car + 20.0, "BA")])
        ],
        "busy": [of[ROAD.file], of[LANE.file]],
        "indoor": [of[INDOOR.file]],
    }


@contextmanager
def older(folder: Path) -> Iterator[Path]:
    """Give a work tree of version 0.2.0."""
    place = folder / "v0.2.0"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(place), COMMIT], cwd=ROOT, check=True)
    try:
        yield place
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def turn(build: Path, video: Video, **keys: bool) -> dict[str, Any]:
    """Let a build watch a video; `keys` go into the camera's table."""
    command = [sys.executable, "-P", str(ROOT / "benchmarks" / "box_turn.py"), str(video.path)]
    done = subprocess.run(
        [*command, json.dumps(video.line), json.dumps(keys)],
        env={**os.environ, "PYTHONPATH": str(build)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def cpu(old: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Return CPU ratios, and what each build counted."""
    data = Path(os.environ.get("GB_DATA", ""), "videos")
    figures: dict[str, float] = {}
    for name, some in videos(data, folder).items():
        spent = {"old": 0.0, "new": 0.0}
        for video in some:
            for number in range(rounds):
                for build, place in (("old", old), ("new", ROOT)):
                    done = turn(place, video)
                    spent[build] += done["cpu"]
                    if number == 0:
                        print(_line(name, video, build, done), flush=True)
                        figures[f"{name}_{video.path.stem}_{build}_hits"] = video.result(
                            done["crossings"]
                        ).hits
        figures[f"{name}_cpu_ratio"] = spent["new"] / spent["old"]
        print(f"  {name}_cpu_ratio {figures[f'{name}_cpu_ratio']:.3f}", flush=True)
    return figures


def _line(name: str, video: Video, build: str, done: dict[str, Any]) -> str:
    result = video.result(done["crossings"])
    hour = 3600 * done["cpu"] / _seconds(video)
    return (
        f"  {name:<7} {video.path.stem:<34} {build}  {done['frames']:5} frames {done['looks']:5} looks"
        f"  {hour:7.1f} CPU s an hour  true {result.true} counted {result.told} right {result.hits}"
    )


def _seconds(video: Video) -> float:
    """Return the length of a video."""
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "format=duration",
        "-of",
        "csv=p=0",
        str(video.path),
    ]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def region(old: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Return looks, CPU and right counts of this build without and with a region of interest."""
    data = Path(os.environ.get("GB_DATA", ""), "videos")
    figures: dict[str, float] = {}
    for clip in CLIPS:
        video = Video(data / clip.file, clip.line, clip, clip.truth())
        for name, chosen in (("whole", False), ("region", True)):
            done = turn(ROOT, video, region=chosen)
            print(_line(name, video, "new", done), flush=True)
            stem = f"{name}_{video.path.stem}"
            figures[f"{stem}_looks"] = done["looks"]
            figures[f"{stem}_cpu_seconds"] = done["cpu"]
            figures[f"{stem}_hits"] = video.result(done["crossings"]).hits
    return figures


@contextmanager
def agent(build: Path, folder: Path, cameras: dict[str, str]) -> Iterator[psutil.Process]:
    """Run a build's agent with some cameras (name -> TOML) beside a real broker; give its process."""
    with Stack(folder / "stack", mongodb_uri="none") as stack:
        config = folder / "agent.toml"
        text = [f'node = "bench-1"\nstate_dir = "{folder}"\n[broker]\nurl = "{stack.mqtt_url}"']
        config.write_text("\n".join(text + [f"[camera.{name}]\n{toml}" for name, toml in cameras.items()]))
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "agent", "run", "--config", str(config)],
            env={**os.environ, "PYTHONPATH": str(build)},
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(20)


def resident(build: Path, cameras: dict[str, str]) -> float:
    """Return the resident megabytes of an agent that has run for a while."""
    with tempfile.TemporaryDirectory() as folder, agent(build, Path(folder), cameras) as process:
        time.sleep(MEMORY_SECONDS)
        return float(process.memory_info().rss / 1e6)


def memory(old: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Return the memory of both builds with a 720p file, with two, and with the built-in street."""
    data = Path(os.environ.get("GB_DATA", ""), "videos")
    film = folder / "720p.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(data / ROAD.file), "-vf", "scale=1280:720"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "veryfast", str(film)], check=True)
    one = f'source = "{film}"\nloop = true'
    street = 'source = "scene:?seed=7"'
    sets = {
        "memory_one_mb": {"cam0": one},
        "memory_two_mb": {"cam0": one, "cam1": f'{one}\nmodel = "mask"'},
        "memory_street_mb": {"cam0": street},
    }
    figures: dict[str, float] = {}
    for name, cameras in sets.items():
        figures[f"{name}_before"] = resident(old, cameras)
        figures[name] = resident(ROOT, cameras)
        print(f"  {name} {figures[name]:.1f}, 0.2.0 {figures[f'{name}_before']:.1f}", flush=True)
    return figures


def idle(old: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Return the percent of a core that an agent uses while its camera is absent."""
    camera = {"cam0": f'source = "rtsp://127.0.0.1:{free_port()}/none"'}
    figures = {}
    for name, build in (("idle_cpu_percent_before", old), ("idle_cpu_percent", ROOT)):
        with tempfile.TemporaryDirectory() as place, agent(build, Path(place), camera) as process:
            time.sleep(SETTLE_SECONDS)
            begun = process.cpu_times()
            time.sleep(IDLE_SECONDS)
            ended = process.cpu_times()
            if process.status() == psutil.STATUS_ZOMBIE:
                raise SystemExit("the agent has ended before it was measured")
        spent = ended.user + ended.system - begun.user - begun.system
        figures[name] = 100 * spent / IDLE_SECONDS
        print(f"  {name} {figures[name]:.2f}", flush=True)
    return figures


def kept(old: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Return what this build's budget holds under load; 0.2.0 has none."""
    return budget(Path(os.environ.get("GB_DATA", ""), "videos"))


PARTS: dict[str, Callable[[Path, Path, int], dict[str, float]]] = {
    "cpu": cpu,
    "memory": memory,
    "idle": idle,
    "budget": kept,
    "region": region,
}


def main() -> int:
    """Measure; with BENCH_JSON=FILE the figures go there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], help="what to measure; all if none is named"
    )
    parser.add_argument("--rounds", type=int, default=1, help="turns of each video (default: 1)")
    chosen = parser.parse_args()
    if not Path(os.environ.get("GB_DATA", ""), "videos").is_dir():
        print("set GB_DATA to the folder of development data", file=sys.stderr)
        return 2
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as text, older(Path(text)) as old:
        for part in chosen.parts or PARTS:
            print(f"{part} ...", flush=True)
            figures |= PARTS[part](old, Path(text), chosen.rounds)
    leave(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
