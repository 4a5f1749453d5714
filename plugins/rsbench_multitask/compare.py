"""Tasks trained together against the same tasks trained alone: paired differences on the same test samples."""

from __future__ import annotations

import json
from dataclasses import dataclass

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.members import system
from rsbench.leaderboard.render.cells import score
from rsbench.metrics.display import factor, p_value
from rsbench.metrics.two_level import difference
from rsbench_multitask.plan import GROUP


@dataclass(frozen=True)
class Comparison:
    """One task of a group and its single-task baseline.

    Attributes:
        together, alone: means of the primary metric over seeds.
        interval: 95 % of the difference, together less alone, over test samples and seeds; ``None``, as p, where a
            side has no predictions available, or a single seed and nothing to tell how much seeds do.
    """

    system: str
    together: float
    alone: float
    interval: tuple[float, float] | None
    p: float | None


def sentences(table: Table) -> list[str]:
    """Return one sentence for each task of a group that was also trained alone."""
    times, found = factor(table.unit)[0], []
    for c in compare(table):
        said = f"{c.system}: {score(c.together, table)} together, {score(c.alone, table)} alone; difference "
        said += f"{times * (c.together - c.alone):+.2f}"
        if c.interval is not None and c.p is not None:
            low, high = (times * end for end in c.interval)
            said += f" [{low:+.2f}, {high:+.2f}], p {p_value(c.p, '= ')}"
        found.append(f"{said}.")
    return found


def compare(table: Table) -> list[Comparison]:
    """Return the rows of a table whose task was also trained alone, in as many steps by the same recipe."""
    groups = (row for row in table.rows if row.company > 1)
    alone = [row for row in table.rows if row.company == 1]
    return [_comparison(table, row, single) for row in groups for single in alone if _setting(single) == _setting(row)]


def _setting(row: Row) -> str:
    """What a row of a group and that of the same network trained alone have in common."""
    return json.dumps([system(row.plan), row.plan[GROUP].get("rounds")], sort_keys=True)


def _comparison(table: Table, group: Row, single: Row) -> Comparison:
    a, b = group.measured, single.measured
    found = difference(a.system, b.system, table.pool) if a and b and a.samples == b.samples else None
    if found is None:
        return Comparison(group.system, group.mean, single.mean, None, None)
    low, high = map(float, found.interval)
    return Comparison(group.system, group.mean, single.mean, (low, high), float(found.p))
