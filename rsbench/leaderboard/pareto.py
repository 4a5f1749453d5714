"""Score against cost: parameters, seconds of training, samples a second."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.machines import machine


@dataclass(frozen=True)
class Cost:
    """What a score is paid with.

    Attributes:
        section, name: where a record has it.
        less_is_better: ``False`` for speeds.
        measured: it depends on the machine, so that only points of one machine are compared.
    """

    section: str
    name: str
    title: str
    less_is_better: bool = True
    measured: bool = True


COSTS: Final = (
    Cost("perf", "params", "parameters", measured=False),
    Cost("train", "seconds", "seconds of training"),
    Cost("perf", "eval_samples_per_s", "test samples a second", less_is_better=False),
)


@dataclass(frozen=True)
class Point:
    """A sound row and its cost > 0, the mean over the seeds of one machine."""

    row: Row
    cost: float


def points(table: Table, cost: Cost) -> dict[str, list[Point]]:
    """Return machine -> points of the ranked rows, in the order of the table; one machine ``""`` for what is not
    measured."""
    found: dict[str, list[Point]] = {}
    for row in table.rows:
        if not row.sound:
            continue
        values: dict[str, list[float]] = {}
        for record in row.facts:
            value = _value(record, cost)
            where = machine(record) if cost.measured else ""
            if value and where is not None:
                values.setdefault(where, []).append(value)
        for where, several in values.items():
            found.setdefault(where, []).append(Point(row, statistics.fmean(several)))
    return dict(sorted(found.items()))


def _value(record: dict[str, Any], cost: Cost) -> float | None:
    return (record[cost.section] or {}).get(cost.name)


def frontier(candidates: Sequence[Point], cost: Cost, higher_is_better: bool) -> list[Point]:
    """Return the points that no other betters in score or cost while equal in the other, or in both; cheapest first."""
    way, sign = (1 if cost.less_is_better else -1), (1 if higher_is_better else -1)
    kept: list[Point] = []
    for point in sorted(candidates, key=lambda p: (way * p.cost, -sign * p.row.mean)):
        score = sign * point.row.mean
        best = sign * kept[-1].row.mean if kept else -math.inf
        if score > best or (score, point.cost) == (best, kept[-1].cost):
            kept.append(point)
    return kept
