"""The bench itself: which lines, what matches, how sure, and a short run of it all."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from agent import wire
from benchmarks.counting import peers, sequences, street, tune
from benchmarks.counting.bench import OURS, Outcome, follow, scene, task
from benchmarks.counting.cost import passers, walk
from benchmarks.counting.crossings import (
    Score,
    count,
    count_told,
    lasting,
    lines_for,
    match,
    passes,
    true_crossings,
    wilson,
)
from benchmarks.counting.draw import chart
from benchmarks.counting.prose import against
from benchmarks.counting.report import renewed, slug
from benchmarks.counting.sequences import Boxes, Sequence
from benchmarks.counting.tables import Figures, Table

ROOT = Path(__file__).parents[2]
SIZE = (200, 100)


def walker(way: list[float], number: int = 3) -> Boxes:
    """One person 10 wide and 20 high whose feet are at some x, one frame each, on y = 50."""
    return {
        frame: (np.array([number]), np.array([[x - 5, 30, x + 5, 50]], np.float32))
        for frame, x in enumerate(way, 1)
    }


def test_lines_are_chosen_by_one_rule() -> None:
    """Three uprights, a level and a slant through the median height of the feet."""
    lines = lines_for(walker([10, 20, 30]), SIZE)
    assert list(lines) == ["upright0.3", "upright0.5", "upright0.7", "level", "slant"]
    assert lines["level"].points == [(0.0, 0.5), (1.0, 0.5)]
    assert lines["slant"].points == [(0.0, 0.35), (1.0, 0.65)]


def test_true_crossings_are_of_the_feet_and_in_time() -> None:
    """Who walks to the right passes the three uprights once each, when the feet are there."""
    truth = walker(list(range(20, 190, 2)))
    found = true_crossings(truth, 10.0, SIZE, lines_for(truth, SIZE))
    assert [(round(at, 2), way) for at, way in found["upright0.5"]] == [(4.0, "AB")]
    assert [len(found[f"upright{x}"]) for x in (0.3, 0.5, 0.7)] == [1, 1, 1]


def test_swaying_on_a_line_is_no_crossing() -> None:
    """What is undone within a second does not count as true; what is undone later counts both ways."""
    assert lasting([(1.0, "AB"), (1.4, "BA")]) == []
    assert lasting([(1.0, "AB"), (1.4, "BA"), (1.6, "AB")]) == [(1.6, "AB")]
    assert len(lasting([(1.0, "AB"), (4.0, "BA")])) == 2
    upright = wire.Line(points=[(0.5, 1.0), (0.5, 0.0)])
    assert passes(np.array([(0, 0.4, 0.5), (1, 0.6, 0.5)]), upright, 0.006, 1.0) == [(0.5, "AB")]


def test_matching_is_one_to_one_in_time_and_direction() -> None:
    """One told crossing answers one true one, of its own direction, within the slack; sums never help."""
    true = [(1.0, "AB"), (1.2, "AB"), (5.0, "BA")]
    assert match(true, [(1.1, "AB")], 0.5) == 1
    assert match(true, [(1.1, "AB"), (1.3, "AB"), (5.1, "AB")], 0.5) == 2
    assert match(true, [(9.0, "AB"), (9.2, "AB"), (9.4, "BA")], 0.5) == 0
    assert match([(0.0, "AB"), (0.4, "AB")], [(0.4, "AB"), (0.8, "AB")], 0.5) == 2


def test_intervals_are_wilsons() -> None:
    """The interval of 8 of 10 is the published one, and it is never empty at the ends."""
    assert wilson(8, 10) == pytest.approx((49.02, 94.33), abs=0.01)
    assert wilson(0, 10) == pytest.approx((0.0, 27.75), abs=0.01)
    assert wilson(10, 10) == pytest.approx((72.25, 100.0), abs=0.01)
    assert wilson(0, 0) == (0, 100)


@pytest.mark.parametrize(
    ("length", "fps", "rate", "frames"),
    [
        (10, 10, 10, list(range(1, 11))),
        (10, 10, 5, [1, 3, 5, 7, 9]),
        (12, 25, 10, [1, 3, 6, 9, 11]),
        (14, 7, 5, [1, 2, 4, 5, 7, 8, 9, 11, 12, 14]),
        (5, 7, 10, [1, 2, 3, 4, 5]),
    ],
)
def test_ticks_are_chosen_by_time(length: int, fps: float, rate: float, frames: list[int]) -> None:
    """A camera of a lower rate gives the frames nearest to its own ticks, each with its own time."""
    assert sequences.ticks(length, fps, rate).tolist() == frames


def recording(place: Path, fps: int, length: int) -> Sequence:
    """Write a recording of one object that goes to the right, a pixel a frame."""
    folder = place / "MOT15-Made"
    folder.mkdir()
    (folder / "seqinfo.ini").write_text(f"frameRate={fps}\nseqLength={length}\nimWidth=200\nimHeight=100\n")
    rows = "\n".join(f"{frame},1,{frame},10,20,40,1,-1,-1,-1" for frame in range(1, length + 1))
    (folder / "gt.txt").write_text(rows)
    (folder / "det.txt").write_text(rows)
    return Sequence(folder)


def test_gaps_hide_a_fifth_of_the_time(tmp_path: Path) -> None:
    """Half a second in two and a half is missed; those ticks count neither as truth nor as told."""
    made = recording(tmp_path, 10, 100)
    stream = made.stream(made.fps, gaps=True)
    assert stream.missed.mean() == pytest.approx(0.2)
    assert sum(len(found) for found in stream.found) == 80
    assert len(stream.seen(made.truth)) == 80
    assert made.rates() == [10.0, 5.0, 2.5]
    assert len(list(stream)) == 80


def test_the_phases_of_a_lower_rate_are_different_frames_of_one_recording(tmp_path: Path) -> None:
    """At a third of its rate the three phases are all frames, each once; gaps fall elsewhere in each."""
    made = recording(tmp_path, 30, 300)
    frames = np.concatenate([stream.frames for stream in made.streams(10.0)])
    assert sorted(frames.tolist()) == list(range(1, 301))
    assert len(made.streams(30.0)) == 1
    gaps = np.array([stream.missed for stream in made.streams(30.0, gaps=True)])
    assert gaps.mean(axis=1) == pytest.approx(0.2, abs=0.01)
    assert not gaps.all(axis=0).any()


def test_peers_and_ours_count_alike() -> None:
    """What our tracker tells, counted as a peer's is, gives the crossings of the usual way."""
    place = street.street(3, 12.0)
    stream = street.stream(place, 10.0, street.NOISES["shaken"])
    usual = count(stream, place.size)
    told = count_told(stream, follow(stream))
    one = Score()
    two = Score()
    one.add(place, usual, 10.0)
    two.add(place, told, 10.0)
    assert one == two
    assert one.true > 0


def test_a_task_gives_sums_of_every_condition() -> None:
    """One seed of the street gives a score for each noise and rate, ours alone where no peer is asked."""
    outcome = task("seed 3", list(scene(3, 4.0)), [])
    assert len(outcome.counts) == len(street.NOISES) * len(street.RATES)
    assert {key[3] for key in outcome.counts} == {OURS}


def test_every_grid_is_small_and_begins_with_the_defaults() -> None:
    """No peer gets more than twelve settings, and the first is as delivered."""
    assert {peer.removesuffix(peers.TIMED) for peer in peers.PEERS} == set(tune._AXES)
    for peer in peers.PEERS:
        assert len(tune.grid(peer)) == 12
        assert tune.grid(peer)[0] == {}


def test_the_tuned_table_is_of_the_grid() -> None:
    """Every stored choice is one of the peer's grid, for every condition."""
    table = tune.tuned()
    for what, condition in tune.conditions():
        for peer, settings in table[what][condition].items():
            assert settings in tune.grid(peer)


def test_settings_come_back_from_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written as a table is read as it was."""
    chosen = {"tracks": {"2.5fps": {"norfair": {"matched": True, "seconds": 2.0}, "trackers SORT": {}}}}
    monkeypatch.setattr(tune, "TABLE", tmp_path / "tuned.toml")
    tune.TABLE.write_text(tune._toml(chosen))
    assert tune.tuned() == chosen


def test_peers_live_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where they cannot be installed one line says so and nothing is raised."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    said: list[str] = []
    assert not peers.available(said.append)
    assert said[-1].startswith("no peers: ")
    assert "\n" not in said[-1]
    assert peers.home() == tmp_path / "file" / "gb-fleet" / "peers"


def test_inputs_of_the_cost_are_as_many_as_they_say() -> None:
    """Two hundred objects walk at once; a thousand tracks are twenty times fifty, seen three times each."""
    assert {len(found) for found in walk(200).found} == {200}
    assert sum(len(found) for found in passers(1000).found) == 3000


def test_a_chart_is_one_drawing_with_every_name() -> None:
    """The drawing is well formed, names each line, and labels do not lie on each other."""
    lines = {"ours": [90.0, 95.0], "a & b": [50.0, 95.0], "c": [20.0, 94.0]}
    drawing = ElementTree.fromstring(chart("F1 in %", ["2.5 fps", "native"], lines))
    texts = {each.text: float(each.attrib["y"]) for each in drawing.iter() if each.tag.endswith("text")}
    assert set(lines) <= set(texts)
    places = sorted(texts[name] for name in lines)
    assert min(np.diff(places)) >= 15.9


def test_tables_read_on_paper_and_on_a_terminal() -> None:
    """The same table has the same cells either way; names become flat."""
    table = Table("T", ["tracker", "10fps"], [["ours", "1.0"]])
    assert table.markdown().splitlines()[2:] == ["| tracker | 10fps |", "| --- | ---: |", "| ours | 1.0 |"]
    assert table.plain().split() == ["T", "tracker", "10fps", "ours", "1.0"]
    assert slug("own", "2.5fps", "trackers OC-SORT tuned") == "own_2.5fps_trackers_oc_sort_tuned"


def test_what_does_not_flatter_is_told_of_the_run_itself() -> None:
    """Sentences stand on the figures of the run; what was not measured, and what flatters, has none."""
    counts = {
        ("PETS09-S2L1", "own", "native", OURS): Score(80, 100, 90),
        ("PETS09-S2L1", "own", "native", "norfair"): Score(90, 100, 150),
        ("PETS09-S2L1", "own", "native", "norfair tuned"): Score(85, 100, 100),
        ("street", "gaps", "2.5fps", OURS): Score(45, 50, 50),
    }
    assert against(Figures(Outcome({}, counts), ("norfair",))).splitlines() == [
        "- With the recordings' own boxes, at the native rate, 11 % of what ours tells is wrong, "
        "and it misses 20 % of what is true; the others tell 15 to 40 % wrongly and miss 10 to 15 %.",
        "- Of each true crossing of these ours tells 0.90 (native).",
        "- On the street ours misses 10.0 % (gaps, 2.5fps) of the crossings.",
    ]
    assert against(Figures(Outcome({}, {}), ())) == ""


def test_a_part_of_a_page_that_nobody_makes_is_no_part() -> None:
    """A misspelt mark is an error, not a part that stays old for ever."""
    page = "<!-- figures: tabels, written by make bench-count -->\nold\n<!-- end of figures -->"
    with pytest.raises(KeyError, match="tabels"):
        renewed(page, Figures(Outcome({}, {}), ()))


def test_the_bench_runs_alone(tmp_path: Path) -> None:
    """A few seconds of the street, without recordings and peers, give tables, figures and documents."""
    target = tmp_path / "figures.json"
    page = tmp_path / "counting.md"
    page.write_text((ROOT / "docs" / "counting.md").read_text())
    command = [sys.executable, "-m", "benchmarks.count", "--alone", "--seeds=1", "--seconds=6"]
    command += ["--tracks=500", f"--docs={tmp_path}"]
    environment = {"BENCH_JSON": str(target), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(target.read_text())
    assert figures["count_exact_10fps_recall"] == figures["recall_exact_10fps_ours"]
    assert figures["ms_50_objects_ours"] > 0
    assert "built-in street, gaps" in done.stdout
    assert "## Cost" in (tmp_path / "counting-figures.md").read_text()
    made = f"Made by `make bench-count` on {datetime.date.today()}"
    assert made in (tmp_path / "counting-figures.md").read_text()
    assert made in page.read_text()
    assert "2026-11-21" not in page.read_text()
    assert "- On the street ours misses " in page.read_text()
    assert "## Earlier versions" in page.read_text()
    for name in ("counting-idf1.svg", "counting-tracks.svg", "counting-street.svg"):
        ElementTree.parse(tmp_path / name)
