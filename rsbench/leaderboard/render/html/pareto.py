"""Score against cost, drawn."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.pareto import COSTS, Cost, Point, frontier, points
from rsbench.leaderboard.render.cells import score
from rsbench.leaderboard.render.html.frame import Frame
from rsbench.leaderboard.render.html.series import Figure, Series
from rsbench.leaderboard.render.html.svg import Scale, colour_class, element, mark, number, polyline, short, staircase
from rsbench.metrics.display import factor


def figures(table: Table, series: Sequence[Series]) -> list[Figure]:
    """Return a plot for each cost and, where it is measured, each machine."""
    made = []
    for cost in COSTS:
        for machine, found in points(table, cost).items():
            title = f"{table.primary} and {cost.title}"
            made.append(Figure(title, _draw(table, series, cost, found), f"Measured on {machine}." if machine else ""))
    return made


def _draw(table: Table, series: Sequence[Series], cost: Cost, found: list[Point]) -> Markup:
    times, sign = factor(table.unit)
    control = best_control(table)
    ends = [v for p in found for v in (p.row.interval or (p.row.mean,))] + ([control.mean] if control else [])
    frame = Frame()
    x = Scale.over([p.cost for p in found], *frame.x, log=True)
    y = Scale.over([times * v for v in ends], *frame.y)
    parts = frame.axes(x, y, cost.title + (" (more is better)" if not cost.less_is_better else ""))
    if control:
        parts += _line(frame, y(times * control.mean), control.system.partition(" ")[0])
    best = frontier(found, cost, table.higher_is_better)
    if len(best) > 1:
        steps = staircase([(x(p.cost), y(times * p.row.mean)) for p in best])
        parts.append(element("path", class_="frontier", d=polyline(steps)))
    by_row = {id(s.row): s for s in series}
    for point in found:
        parts += _point(table, by_row[id(point.row)], x(point.cost), y, point.cost)
    label = f"{table.primary}{f' ({sign})' if sign else ''} against {cost.title} of {len(found)} systems"
    return frame.drawing(parts, label)


def best_control(table: Table) -> Row | None:
    """The control that is hardest to beat."""
    return next((row for row in table.rows if row.control), None)


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
        parts.append(element("path", class_=f"bar {colour_class(one.colour)}", d=line, data_s=one.id))
    title = f"{one.label}: {score(one.row.mean, table)}, {short(cost)}"
    return [*parts, mark(one.colour, x, y(times * one.row.mean), title=title, series=one.id)]
