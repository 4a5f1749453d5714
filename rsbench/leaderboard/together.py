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
        interval: 95 % of the difference, together less alone, over test samples and seeds; ``None``, as p, where a
            side has no predictions at hand, or a single seed and nothing to tell how much seeds do.
    """

    system: str
    together: float
    alone: float
    interval: tuple[float, float] | None
    p: float | None


def compare(table: Table) -> list[Comparison]:
    """Return the families of a table whose task was also trained alone, in as many rounds by the same recipe."""
    families = (row for row in table.rows if row.company > 1)
    alone = [row for row in table.rows if row.company == 1]
    return [_comparison(table, row, twin) for row in families for twin in alone if twin.kin == row.kin]


def _comparison(table: Table, family: Row, twin: Row) -> Comparison:
    a, b = family.measured, twin.measured
    found = difference(a.system, b.system, table.pool) if a and b and a.samples == b.samples else None
    if found is None:
        return Comparison(family.system, family.mean, twin.mean, None, None)
    low, high = map(float, found.interval)
    return Comparison(family.system, family.mean, twin.mean, (low, high), float(found.p))
