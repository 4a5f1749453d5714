"""Ranks, intervals and p-values of a table, over test samples and training seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.rows import Measured
from rsbench.metrics.evaluate import within
from rsbench.metrics.ranking import standings
from rsbench.metrics.two_level import Pool, SeedTerm, System, pool, seed_term, singles
from rsbench.specs import MetricSpec

UNRANKED: Final = "one seed: no rank, and an interval over test samples alone"
BORROWED: Final = "one seed: its spread over seeds is taken from the other systems"
OTHER_SAMPLES: Final = "tested on other samples than the rows that are ranked"


def rank(table: Table) -> None:
    """Sort the rows of *table* by the mean of the primary metric and set their intervals and ranks.

    Every ranked row is compared with every other on the same test samples.  A row of one seed is ranked where the
    table's other rows tell how much seeds do.
    """
    sign = -1 if table.higher_is_better else 1
    _flag_below_required(table, sign)
    table.rows.sort(key=lambda r: (sign * r.mean, r.system, r.recipe))
    samples = _most_frequent(table.rows)
    table.pool = common_pool(samples, ((row.measured, row.baseline) for row in table.rows))
    same: list[tuple[Row, System]] = []
    for row in table.rows:
        if row.measured is not None and row.measured.samples == samples:
            same.append((row, row.measured.system))
        elif row.measured is not None:
            row.flags.append(OTHER_SAMPLES)
    ranked: list[tuple[Row, System]] = []
    found = intervals([system for _, system in same], table.pool, table.spec)
    for (row, system), ends in zip(same, found, strict=True):
        if not (row.baseline and len(row.seeds) == 1):  # baselines are not in the pool, and take nothing from it
            row.interval = ends or row.interval
        known = seed_term(system, table.pool) is not None
        if len(row.seeds) == 1 and not row.baseline:
            row.notes.append(BORROWED if known else UNRANKED)
        if known and not row.baseline and not row.flags:
            ranked.append((row, system))
    _stand(table, ranked)


def interval(system: System, pool: Pool, spec: MetricSpec) -> tuple[float, float] | None:
    """Return the 95 % interval of a system's mean over samples and seeds, in the metric's range.

    ``None`` where nothing varies, or a single seed has no pool to borrow from.
    """
    (found,) = intervals([system], pool, spec)
    return found


def intervals(systems: Sequence[System], pool: Pool, spec: MetricSpec) -> list[tuple[float, float] | None]:
    """Return :func:`interval` of each system; one by one, those of thousands take longer than their ranks."""
    terms = [seed_term(system, pool) for system in systems]
    lows, highs = singles(systems, [term or SeedTerm() for term in terms]).interval
    ends = zip(terms, lows.tolist(), highs.tolist(), strict=True)
    return [within(spec, (low, high)) if term is not None and low < high else None for term, low, high in ends]


def common_pool(samples: bytes, measured: Iterable[tuple[Measured | None, bool]]) -> Pool:
    """Return the pool of what was measured on the same samples; the flag with each says that it is a baseline."""
    return pool(one.system for one, baseline in measured if one and one.samples == samples and not baseline)


def _most_frequent(rows: Sequence[Row]) -> bytes:
    """The samples on which most rows were tested; of equally many, those of the better row."""
    counted = Counter(row.measured.samples for row in rows if row.measured is not None)
    return counted.most_common(1)[0][0] if counted else b""


def _stand(table: Table, ranked: Sequence[tuple[Row, System]]) -> None:
    """Set what follows from comparing all of the *ranked* rows, which are in the order of the table."""
    table.comparisons = len(ranked) * (len(ranked) - 1) // 2
    found = standings([system for _, system in ranked], table.pool)
    for (row, _), standing in zip(ranked, found, strict=True):
        row.rank, row.rank_interval, row.letters = standing.rank, (standing.low, standing.high), standing.letters
        row.p_above, row.p_unadjusted = standing.adjusted, standing.p


def _flag_below_required(table: Table, sign: int) -> None:
    """Note the rows that are not above a baseline which sees too little to solve the task."""
    required = [row for row in table.rows if row.baseline and row.required]
    for row in table.rows:
        for other in required:
            if not row.baseline and sign * row.mean >= sign * other.mean:
                row.flags.append(f"not above {other.system}: {row.mean:.4f} against {other.mean:.4f}")
