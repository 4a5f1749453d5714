"""Tasks trained together against the same tasks trained alone: paired differences on the same test samples."""

from __future__ import annotations

from dataclasses import dataclass

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.metrics.two_level import difference


@dataclass(frozen=True)
class Comparison:
    """One task of a family and its twin.

    Attributes:
        together, alone: means of the primary metric over seeds.
        low, high: 95 % of the difference, together less alone, over test samples and seeds; NaN, as p, where it is not
            known.
    """

    system: str
    together: float
    alone: float
    low: float
    high: float
    p: float


def compare(table: Table) -> list[Comparison]:
    """Return the families of a table whose task was also trained alone, in as many rounds by the same recipe."""
    alone = {row.kin: row for row in table.rows if row.company == 1}
    pairs = [(row, alone[row.kin]) for row in table.rows if row.company > 1 and row.kin in alone]
    return [_comparison(table, family, twin) for family, twin in pairs]


def _comparison(table: Table, family: Row, twin: Row) -> Comparison:
    a, b = family.measured, twin.measured
    found = difference(a.system, b.system, table.pool) if a and b and a.samples == b.samples else None
    low, high, p = (*map(float, found.interval), float(found.p)) if found else (float("nan"),) * 3
    return Comparison(family.system, family.mean, twin.mean, low, high, p)
