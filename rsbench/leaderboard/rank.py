"""Ranks: neighbours that a paired test cannot tell apart share one."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.metrics.intervals import holm
from rsbench.metrics.resample import paired_bootstrap

LEVEL: Final = 0.05
UNRANKED_BUT_SHOWN: Final = "no predictions at hand"


def rank(table: Table) -> None:
    """Sort the rows of *table* by the mean of the primary metric and set their ranks.

    Each ranked row is compared with the one above it by a paired bootstrap on the same test samples; Holm's correction
    is over these comparisons.  A row that cannot be told from the one above shares its rank.
    """
    sign = -1 if table.higher_is_better else 1
    table.rows.sort(key=lambda r: (sign * r.mean, r.system, r.recipe))
    ranked = [r for r in table.rows if not r.control and all(f == UNRANKED_BUT_SHOWN for f in r.flags)]
    pairs = list(pairwise(ranked))
    comparable = [(a, b) for a, b in pairs if _comparable(a, b)]
    p_values = [paired_bootstrap(table.metric, a.samples, b.samples, a.clusters).p for a, b in comparable]  # type: ignore[arg-type]
    separated = {id(b) for (_, b), p in zip(comparable, holm(p_values), strict=True) if p < LEVEL}
    current = 1
    for place, row in enumerate(ranked, start=1):
        if id(row) in separated:
            current = place
        row.rank = current


def _comparable(a: Row, b: Row) -> bool:
    return a.samples is not None and b.samples is not None and a.samples.shape == b.samples.shape
