"""Which track and which detection belong together: the cheapest assignment, exact.

What always holds: no other choice of pairs, each row and each column used once at most, costs less in sum,
where a row without a column costs `miss`. The same input gives the same pairs.

Only few pairs can be at all, so they come as a list. A pair that nobody else wants is taken as it is; what is
left is solved by shortest augmenting paths (Jonker and Volgenant 1987).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

_NEVER = 1e9  # the cost of a pair that must not be


def near(place: Float, reach: Float, others: Float) -> tuple[Int, Int]:
    """Return all pairs (rows, columns) of `place` (N,) and `others` (M,) not further apart than `reach` (N,).

    Few of them are not worth the search: then simply all pairs are returned.
    """
    count = len(place)
    width = len(others)
    if count * width <= 1024:
        return np.arange(count).repeat(width), np.arange(count * width) % max(width, 1)
    order = others.argsort(kind="stable")
    ranked = others[order]
    low = ranked.searchsorted(place - reach)
    high = ranked.searchsorted(place + reach, "right")
    many = high - low
    end = many.cumsum()
    rows = np.arange(count).repeat(many)
    return rows, order[np.arange(len(rows)) + (low - end + many).repeat(many)]


def match(rows: Int, columns: Int, cost: Float, shape: tuple[int, int], miss: float) -> tuple[Int, Int]:
    """Return the pairs of the cheapest assignment among listed pairs (P,) of a matrix `shape`."""
    good = (cost < miss).nonzero()[0]
    rows = rows[good]
    columns = columns[good]
    cost = cost[good]
    alone = (
        np.bincount(rows, minlength=shape[0])[rows] + np.bincount(columns, minlength=shape[1])[columns] == 2
    )
    if alone.all():
        return rows, columns
    rest = (~alone).nonzero()[0]
    some, row = np.unique(rows[rest], return_inverse=True)
    those, column = np.unique(columns[rest], return_inverse=True)
    part = np.full((len(some), len(those)), _NEVER)
    part[row, column] = cost[rest]
    one, two = assign(part, miss)
    return np.concatenate([rows[alone], some[one]]), np.concatenate([columns[alone], those[two]])


def assign(cost: Float, miss: float) -> tuple[Int, Int]:
    """Return the pairs (rows, columns) of the cheapest assignment of `cost` (N,M), where a row without a
    column costs `miss`.

    Each row starts with its cheapest column (feasible duals); only rows that were beaten to it search on, by
    the shortest augmenting path. Each row also has a column of its own that stands for "none".
    """
    count, width = cost.shape
    wide = np.full((count, width + count), _NEVER)
    wide[:, :width] = np.where(cost < miss, cost, _NEVER)
    wide[np.arange(count), width + np.arange(count)] = miss
    price = np.zeros(width + count)
    column = wide.argmin(axis=1)
    owner = np.full(width + count, -1, np.int64)
    owner[column[::-1]] = np.arange(count)[::-1]
    taken = owner[column] == np.arange(count)
    column[~taken] = -1
    base = wide.min(axis=1)
    for row in np.flatnonzero(~taken):
        _augment(wide, int(row), column, owner, base, price)
    rows = np.flatnonzero(column < width)
    return rows, column[rows]


def _augment(wide: Float, row: int, column: Int, owner: Int, base: Float, price: Float) -> None:
    """Find a column for `row` along the shortest path of swaps; all arrays are changed in place."""
    far = wide[row] - base[row] - price  # reduced costs, >= 0
    before = np.full(len(far), row)
    done = np.zeros(len(far), np.bool_)
    while True:
        nearest = int(np.where(done, np.inf, far).argmin())
        if owner[nearest] < 0:
            break
        done[nearest] = True
        via = owner[nearest]
        through = far[nearest] + wide[via] - base[via] - price
        better = ~done & (through < far)
        far[better] = through[better]
        before[better] = via
    reached = far[nearest]
    price[done] += far[done] - reached
    base[row] += reached
    base[owner[done]] += reached - far[done]
    while True:
        via = int(before[nearest])
        owner[nearest] = via
        nearest, column[via] = int(column[via]), nearest
        if via == row:
            return
