"""Columns and paths: rows come and go, what is kept of a path is true, and nothing grows for ever."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.count.object_table import ObjectTable, carry
from agent.count.paths import PATH_BUFFER, PATH_LEAST, PATH_RECENT, START, Paths
from agent.count.vote import Vote

ROOT = Path(__file__).parents[2]
COLUMNS = list(ObjectTable.__annotations__)


def met_at(objects: ObjectTable, numbers: list[int]) -> np.ndarray:
    """Take rows for some track ids, seen first at 5 s in the middle of a square frame."""
    box = np.tile([0.4, 0.4, 0.6, 0.6], (len(numbers), 1))
    return objects.meet(np.array(numbers), np.full(len(numbers), 5.0), box, (1.0, 1.0), 5000)


def test_rows_come_and_go() -> None:
    """Free rows are given first; more are made when there are none; what is given back is as it was."""
    objects = ObjectTable()
    blank = {name: getattr(objects, name)[0].copy() for name in COLUMNS}
    one = met_at(objects, list(range(1, 11)))
    two = met_at(objects, list(range(11, 21)))
    assert len(objects) == 2 * START
    assert not set(one.tolist()) & set(two.tolist())
    objects.clear(one)
    for name, value in blank.items():
        np.testing.assert_array_equal(getattr(objects, name)[one], np.broadcast_to(value, (10, *value.shape)))
    assert met_at(objects, [21]).tolist() == [0]


def test_free_rows_are_never_due() -> None:
    """Nothing that looks at all rows finds a free one late, untold or uncounted."""
    objects = ObjectTable()
    vote = Vote({0: "car"})
    assert not (1e9 - objects.seen > 10).any()
    assert not (1e9 - objects.part >= 60).any()
    assert not (~objects.counted).any()
    assert len(vote.due(objects, 1e9, 1.0)) == 0


def written(node: ast.AST) -> list[ast.expr]:
    """Return what a statement assigns to, without the index."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else targets
    return [target.value if isinstance(target, ast.Subscript) else target for target in targets]


def test_every_column_has_one_writer() -> None:
    """Only their own module writes the columns of objects; so do votes, lines and zones with theirs."""
    for path in sorted((ROOT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == "_rows" and path.stem != "analyse":
                assert ast.unparse(node.value) == "self", (path.name, ast.unparse(node))
            for target in written(node):
                if isinstance(target, ast.Attribute) and ast.unparse(target.value).endswith("objects"):
                    assert target.attr not in COLUMNS, (path.name, ast.unparse(target))


def walk(rate: float, seconds: float, seed: int = 3) -> np.ndarray:
    """Return a path (M,3) of [t, x, y] that wanders."""
    random = np.random.default_rng(seed)
    times = np.arange(round(rate * seconds)) / rate
    steps = random.normal(0, 0.02 / rate, (len(times), 2)) + 0.1 / rate * np.stack(
        [np.sin(times / 7), np.cos(times / 5)], axis=1
    )
    return np.column_stack([times, 0.5 + np.cumsum(steps, axis=0)])


@pytest.mark.parametrize("rate", [5.0, 30.0, 100.0])
def test_a_long_path_stays_true(rate: float) -> None:
    """However many points were seen, what is kept tells each place to the finest tolerance."""
    paths = Paths(aspect=1.0)
    rows = np.array([0])
    way = walk(rate, 60.0)
    paths.start(rows)
    for t, x, y in way.tolist():
        paths.add(rows, t, np.array([[x, y]]))
    kept = paths.part(0)
    assert len(kept) < PATH_BUFFER
    assert kept[0].tolist() == pytest.approx(way[0].tolist())
    assert kept[-1].tolist() == pytest.approx(way[-1].tolist())
    off = [np.interp(way[:, 0], kept[:, 0], kept[:, axis]) - way[:, axis] for axis in (1, 2)]
    assert np.hypot(*off).max() <= 2.5 * PATH_LEAST
    late = way[:, 0] >= way[-1, 0] - PATH_RECENT
    assert len(paths.recent(0, way[-1, 0] - PATH_RECENT)) == np.count_nonzero(late)


def test_parts_join_and_the_last_seconds_stay() -> None:
    """A cut begins the next part with the last point; the seconds before are still there for speeds."""
    paths = Paths()
    rows = np.array([2])
    way = walk(10.0, 12.0)
    paths.start(rows)
    for t, x, y in way[:80].tolist():
        paths.add(rows, t, np.array([[x, y]]))
    end = paths.part(2)[-1]
    paths.cut(2)
    assert paths.part(2).tolist() == [end.tolist()]
    for t, x, y in way[80:].tolist():
        paths.add(rows, t, np.array([[x, y]]))
    assert paths.part(2)[0].tolist() == end.tolist()
    assert len(paths.part(2)) == 41
    assert len(paths.recent(2, way[79, 0] - 2.0)) >= 60


def test_rows_beyond_the_first_have_paths_too() -> None:
    """Buffers grow with the rows, and what was there stays."""
    paths = Paths()
    paths.start(np.array([1]))
    paths.add(np.array([1]), 0.0, np.array([[0.1, 0.2]]))
    far = np.array([START, 3 * START])
    paths.start(far)
    paths.add(far, [1.0, 2.0], np.array([[0.3, 0.4], [0.5, 0.6]]))
    assert paths.part(1)[0].tolist() == pytest.approx([0, 0.1, 0.2])
    assert paths.part(3 * START)[0].tolist() == pytest.approx([2, 0.5, 0.6])


def test_columns_are_carried_by_what_they_stand_for() -> None:
    """What is the same before and after an edit keeps its column, wherever it now stands."""
    old = np.array([[1, 2, 3]])
    assert carry(old, ["a", "b", "c"], ["c", "x", "a"], -1).tolist() == [[3, -1, 1]]


def met(paths: Paths, seen: list[int], sure: float, frames: int, rate: float = 10.0) -> None:
    """Let row 0 be seen in some of the frames, from 1, and be looked for in all of them."""
    paths.start(np.array([0]))
    for frame in seen:
        paths.add(np.array([0]), frame / rate, np.array([[0.5, frame / frames]]), [sure], frame)


@pytest.mark.parametrize(
    ("seen", "surely"),
    [
        (range(1, 41), 0.6),  # always
        (range(1, 41, 2), 0.3),  # every second time
        ([*range(1, 15), *range(26, 41)], 0.39),  # with a gap of a second, and a second to both sides of it
        (range(1, 21), 0.3),  # lost there: half of the two seconds
        (range(19, 41), 0.6),  # new there
    ],
)
def test_how_surely_it_was_seen_around_a_moment(seen: Sequence[int], surely: float) -> None:
    """The mean confidence over the frames around a moment; those that did not find it count as none."""
    paths = Paths()
    met(paths, list(seen), 0.6, 40)
    assert paths.seen(0, 2.05, 1.0, 4.0, 40) == pytest.approx(surely, abs=0.03)


def test_how_surely_it_was_seen_survives_a_cut() -> None:
    """A part that begins anew takes nothing along of how surely the object was seen before."""
    paths = Paths()
    met(paths, list(range(1, 401, 2)), 0.6, 400)
    paths.cut(0)
    assert paths.seen(0, 39.0, 1.0, 40.0, 400) == pytest.approx(0.3, abs=0.03)
    assert paths.seen(0, 37.2, 1.0, 40.0, 400) == pytest.approx(0.3, abs=0.03)


def test_how_surely_it_was_seen_survives_a_full_buffer() -> None:
    """However often the path is told with fewer points, no sight is forgotten in the mean."""
    paths = Paths()
    met(paths, list(range(1, 4001, 2)), 0.8, 4000)
    for at in (100.0, 300.0, 395.0):
        assert paths.seen(0, at, 1.0, 400.0, 4000) == pytest.approx(0.4, abs=0.03)
