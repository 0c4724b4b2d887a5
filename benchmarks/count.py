"""`make bench-count`: how well we track and count, with other people's trackers beside us in one run.

Recordings need GB_DATA, the peers an index to install from; what is not there is said and left out. With
BENCH_JSON=FILE the figures also go there under flat names.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.counting import cost, report, tune
from benchmarks.counting.bench import OURS, everything
from benchmarks.counting.cost import speed
from benchmarks.counting.crossings import Score, count, match
from benchmarks.counting.metrics import clear_mot, hota, identity_f1
from benchmarks.counting.peers import PEERS, PeersError, available
from benchmarks.counting.sequences import Boxes, follow, read_boxes
from benchmarks.counting.street import FPS, LINES, NOISES, Noise, Street, seen, street
from benchmarks.counting.tables import Figures, every
from benchmarks.figures import leave

__all__ = [
    "FPS", "LINES", "NOISES", "Boxes", "Noise", "Score", "Street", "clear_mot", "count", "follow", "hota",
    "identity_f1", "main", "match", "read_boxes", "seen", "speed", "street",
]  # fmt: skip


def main() -> None:
    """Print the figures; write them where BENCH_JSON names a file and --docs a folder."""
    chosen = _arguments()
    data = Path(os.environ["GB_DATA"]) if os.environ.get("GB_DATA") else None
    if data is None or not (data / "tracking").is_dir():
        say("no recordings: set GB_DATA to the folder that holds tracking/; going on with the street alone")
        data = None
    peers = tuple(PEERS) if not chosen.alone and available(say) else ()
    try:
        if chosen.tune:
            if data is None or not peers:
                sys.exit("tuning needs the recordings and the peers")
            tune.tune(data, say)
            return
        figures = measure(chosen, data, peers)
    except PeersError as error:
        sys.exit(f"{error}; --alone measures ours without them")
    for table in every(figures):
        print(table.plain())
    leave(report.flat(figures))
    if chosen.docs:
        report.write(figures, chosen.docs)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=200, help="the street's first seed")
    parser.add_argument("--seeds", type=int, default=6, help="how many seeds")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each seed's street is watched")
    parser.add_argument("--tracks", type=int, default=100_000, help="how many tracks memory is watched over")
    parser.add_argument("--alone", action="store_true", help="ours only, without the peers")
    parser.add_argument("--tune", action="store_true", help="choose the peers' settings anew, then stop")
    parser.add_argument("--docs", type=Path, help="write the tables and drawings into this folder")
    return parser.parse_args()


def measure(chosen: argparse.Namespace, data: Path | None, peers: tuple[str, ...]) -> Figures:
    """Measure everything, with a bar for each part."""
    begun = time.monotonic()
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    figures = Figures(everything(data, seeds, chosen.seconds, peers, bar("tracking")), peers)
    figures.cost = cost.rounds(peers, 5, bar("cost"))
    figures.growth[OURS] = (chosen.tracks, cost.growth(chosen.tracks))
    few = min(chosen.tracks // 10, 10_000)
    for number, peer in enumerate(peers, 1):
        figures.growth[peer] = (few, cost.peers_growth(peer, few))
        bar("memory")(number, len(peers))
    figures.seconds = time.monotonic() - begun
    return figures


def say(message: str) -> None:
    """Tell the person at the terminal."""
    print(message, file=sys.stderr, flush=True)


def bar(name: str) -> Callable[[int, int], None]:
    """Return what draws a bar of how much of a part is done, with the time it took so far."""
    begun = time.monotonic()
    last = -1

    def show(done: int, total: int) -> None:
        nonlocal last
        tenth = 10 * done // max(total, 1)
        live = sys.stderr.isatty()
        if not live and tenth == last:
            return
        full = round(30 * done / max(total, 1))
        last = tenth
        line = f"{name:10}[{'#' * full}{'.' * (30 - full)}] {done}/{total}  {time.monotonic() - begun:4.0f} s"
        print(line, end="\r" if live and done < total else "\n", file=sys.stderr, flush=True)

    return show


if __name__ == "__main__":
    main()
