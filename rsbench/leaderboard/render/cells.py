"""Rows as text, shared by every format that people read."""

from __future__ import annotations

from typing import Final

from rsbench.leaderboard.aggregate import Row, Table

COLUMNS: Final = (
    "rank",
    "system",
    "recipe",
    "division",
    "seeds",
    "score",
    "95 % interval",
    "params",
    "train s",
    "note",
)


def title(table: Table) -> str:
    """Heading of a table."""
    return f"{table.dataset} / {table.protocol}: {table.primary}, {table.test_samples} test samples"


def score(value: float | None, table: Table) -> str:
    """Fractions in percent with two decimals, other units with four."""
    if value is None:
        return "-"
    return f"{100 * value:.2f}" if table.unit == "fraction" else f"{value:.4f}"


def cells(row: Row, table: Table) -> list[str]:
    """Return one text for each of ``COLUMNS``."""
    deviation = f" ± {score(row.deviation, table)}" if row.deviation is not None else ""
    interval = f"{score(row.interval[0], table)} - {score(row.interval[1], table)}" if row.interval else "-"
    place = str(row.rank) if row.rank is not None else "control" if row.control else "-"
    return [
        place,
        row.system,
        row.recipe if not row.control else "",
        row.division if not row.control else "",
        str(len(row.seeds)),
        score(row.mean, table) + deviation,
        interval,
        f"{row.params / 1e6:.2f} M" if row.params else "-",
        f"{row.train_seconds:.0f}" if row.train_seconds is not None else "-",
        "; ".join(row.flags),
    ]


NOTE: Final = (
    "Score: mean ± standard deviation over seeds. Interval: 95 % of the test sample. Rows share a rank where a paired "
    "bootstrap with Holm's correction does not separate neighbours. Controls are lines to beat and have no rank."
)
