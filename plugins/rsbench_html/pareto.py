"""Score against cost (parameters, seconds of training, samples a second), as figures and drawn."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.machines import machine
from rsbench.leaderboard.render.cells import score
from rsbench.metrics.display import factor
from rsbench_html.series import Figure, Series, words
from rsbench_html.svg import Frame, Scale, color_class, element, mark, number, polyline, short, staircase


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


def figures(table: Table, series: Sequence[Series]) -> list[Figure]:
    """Return a plot for each cost and, where it is measured, each machine."""
    made = []
    for cost in COSTS:
        for where, found in points(table, cost).items():
            title = f"{words(table.primary)} and {cost.title}"
            made.append(Figure(title, _draw(table, series, cost, found), f"Measured on {where}." if where else ""))
    return made


def _draw(table: Table, series: Sequence[Series], cost: Cost, found: list[Point]) -> Markup:
    times, sign = factor(table.unit)
    baseline = best_baseline(table)
    ends = [v for p in found for v in (p.row.interval or (p.row.mean,))] + ([baseline.mean] if baseline else [])
    frame = Frame()
    x = Scale.over([p.cost for p in found], *frame.x, log=True)
    y = Scale.over([times * v for v in ends], *frame.y)
    parts = frame.axes(x, y, cost.title + (" (more is better)" if not cost.less_is_better else ""))
    if baseline:
        parts += _line(frame, y(times * baseline.mean), baseline.system.partition(" ")[0])
    best = frontier(found, cost, table.higher_is_better)
    if len(best) > 1:
        steps = staircase([(x(p.cost), y(times * p.row.mean)) for p in best])
        parts.append(element("path", class_="frontier", d=polyline(steps)))
    by_row = {id(s.row): s for s in series}
    for point in found:
        parts += _point(table, by_row[id(point.row)], x(point.cost), y, point.cost)
    label = f"{words(table.primary)}{f' ({sign})' if sign else ''} against {cost.title} of {len(found)} systems"
    return frame.drawing(parts, label)


def best_baseline(table: Table) -> Row | None:
    """The baseline that is hardest to beat."""
    return next((row for row in table.rows if row.baseline), None)


def _line(frame: Frame, height: float, name: str) -> list[Markup]:
    left, right = frame.x
    return [
        element("path", class_="beat", d=f"M{number(left)} {number(height)}H{number(right)}"),
        element("text", name, x=right - 3, y=height - 4, class_="end beaten"),
    ]


def _point(table: Table, one: Series, x: float, y: Scale, cost: float) -> list[Markup]:
    times, parts = factor(table.unit)[0], []
    if one.row.interval:
        low, high = (number(y(times * v)) for v in one.row.interval)
        line = f"M{number(x)} {low}V{high}"
        parts.append(element("path", class_=f"bar {color_class(one.color)}", d=line, data_s=one.id))
    title = f"{one.label}: {score(one.row.mean, table)}, {short(cost)}"
    return [*parts, mark(one.color, x, y(times * one.row.mean), title=title, series=one.id)]
