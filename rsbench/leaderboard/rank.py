"""Ranks: neighbours that a paired test cannot tell apart share one."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.metrics.intervals import holm
from rsbench.metrics.resample import paired_bootstrap

LEVEL: Final = 0.05
# Controls that see too little to solve the task: what is not above one has not solved it either.  Those that can be
# computed in a moment are gates of each run already.
FLOORS: Final = ("question-only",)
UNRANKED_BUT_SHOWN: Final = "no predictions at hand"


def rank(table: Table) -> None:
    """Sort the rows of *table* by the mean of the primary metric and set their ranks.

    Each ranked row is compared with the one above it by a paired bootstrap on the same test samples; Holm's correction
    is over these comparisons.  A row that cannot be told from the one above shares its rank.
    """
    sign = -1 if table.higher_is_better else 1
    _flag_below_floors(table, sign)
    table.rows.sort(key=lambda r: (sign * r.mean, r.system, r.recipe))
    ranked = [r for r in table.rows if not r.control and all(f == UNRANKED_BUT_SHOWN for f in r.flags)]
    pairs = list(pairwise(ranked))
    comparable = [(a, b) for a, b in pairs if _comparable(a, b)]
    p_values = [paired_bootstrap(table.metric, a.samples, b.samples, a.clusters).p for a, b in comparable]  # type: ignore[arg-type]
    for (_, row), p in zip(comparable, holm(p_values), strict=True):
        row.p_above = p
    current = 1
    for place, row in enumerate(ranked, start=1):
        if row.p_above is not None and row.p_above < LEVEL:
            current = place
        row.rank = current


def _flag_below_floors(table: Table, sign: int) -> None:
    """Note the rows that are not above a control which sees too little."""
    floors = [row for row in table.rows if row.control and row.system.partition(" (")[0] in FLOORS]
    for row in table.rows:
        for floor in floors:
            if not row.control and sign * row.mean >= sign * floor.mean:
                row.flags.append(f"not above {floor.system}: {row.mean:.4f} against {floor.mean:.4f}")


def _comparable(a: Row, b: Row) -> bool:
    return a.samples is not None and b.samples is not None and a.samples.shape == b.samples.shape
