"""Ranks: neighbours that a paired test cannot tell apart share one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.reading import NOT_AT_HAND
from rsbench.metrics.intervals import holm
from rsbench.metrics.joint import joint_scores
from rsbench.metrics.paired import percentile_interval, two_sided

LEVEL: Final = 0.05
# Controls that see too little to solve the task: what is not above one has not solved it either.  Those that can be
# computed in a moment are gates of each run already.
FLOORS: Final = ("question-only",)


def rank(table: Table) -> None:
    """Sort the rows of *table* by the mean of the primary metric and set their intervals and ranks.

    All rows are resampled together.  Each ranked row is compared with the one above it by a paired bootstrap on the
    same test samples; Holm's correction is over these comparisons.  A row that cannot be told from the one above shares
    its rank.
    """
    sign = -1 if table.higher_is_better else 1
    _flag_below_floors(table, sign)
    table.rows.sort(key=lambda r: (sign * r.mean, r.system, r.recipe))
    ranked = [r for r in table.rows if not r.control and all(f == NOT_AT_HAND for f in r.flags)]
    compared = _resample(table, ranked)
    for (row, _), p in zip(compared, holm([p for _, p in compared]), strict=True):
        row.p_above = p
    current = 1
    for place, row in enumerate(ranked, start=1):
        if row.p_above is not None and row.p_above < LEVEL:
            current = place
        row.rank = current


def _resample(table: Table, ranked: Sequence[Row]) -> list[tuple[Row, float]]:
    """Set the intervals that no record holds; return ranked rows with the p-value against the one above."""
    found: list[tuple[Row, float]] = []
    place = {id(row): i for i, row in enumerate(ranked)}
    last: tuple[Row, np.ndarray] | None = None
    for row, scores in _scores(table):
        row.interval = row.interval or percentile_interval(scores)
        i = place.get(id(row))
        if i is None:
            continue
        if last is not None and last[0] is ranked[i - 1]:
            found.append((row, two_sided(last[1] - scores)))
        last = row, scores
    return found


def _scores(table: Table) -> Iterator[tuple[Row, np.ndarray]]:
    """Yield rows whose predictions are at hand, in the table's order, with jointly resampled scores."""
    groups: dict[tuple[int, ...], list[tuple[Row, np.ndarray]]] = {}
    for row in table.rows:
        if row.samples is not None:
            groups.setdefault(row.samples.shape, []).append((row, row.samples))
    for group in groups.values():  # one, but for predictions from elsewhere that lack samples
        rows = [row for row, _ in group]
        yield from zip(rows, joint_scores(table.metric, [s for _, s in group], rows[0].clusters), strict=True)


def _flag_below_floors(table: Table, sign: int) -> None:
    """Note the rows that are not above a control which sees too little."""
    floors = [row for row in table.rows if row.control and row.system.partition(" (")[0] in FLOORS]
    for row in table.rows:
        for floor in floors:
            if not row.control and sign * row.mean >= sign * floor.mean:
                row.flags.append(f"not above {floor.system}: {row.mean:.4f} against {floor.mean:.4f}")
