"""A score with its interval on the axis of its table, small enough for a cell."""

from __future__ import annotations

from markupsafe import Markup

from rsbench.leaderboard.aggregate import Table
from rsbench_html.pareto import best_baseline
from rsbench_html.series import Series
from rsbench_html.svg import Scale, color_class, drawing, element, mark, number

WIDTH, HEIGHT, EDGE = 108, 18, 7


def axis(table: Table) -> Scale:
    """Scale of the scores of sound rows, of all rows where none is, and of the best baseline where it is near."""
    rows = [row for row in table.rows if row.sound] or table.rows
    ends = [v for row in rows for v in (row.interval or (row.mean,))]
    baseline = best_baseline(table)
    near = 1.5 * (max(ends) - min(ends))
    if baseline is not None and min(ends) - near <= baseline.mean <= max(ends) + near:
        ends.append(baseline.mean)
    return Scale.over(ends, EDGE, WIDTH - EDGE)


def draw(one: Series, table: Table, scale: Scale) -> Markup:
    """Return the dot and the interval of a row, with a thin line at the best baseline; an arrow where it is outside."""
    row, middle = one.row, HEIGHT / 2
    parts = []
    baseline = best_baseline(table)
    if baseline is not None and scale.low <= baseline.mean <= scale.high:
        parts.append(element("path", class_="beat", d=f"M{number(scale(baseline.mean))} 0V{HEIGHT}"))
    if not scale.low <= row.mean <= scale.high:
        at, tip = (EDGE, 2) if row.mean < scale.low else (WIDTH - EDGE, WIDTH - 2)
        arrow = f"M{at} {number(middle - 4)}L{tip} {number(middle)}L{at} {number(middle + 4)}"
        parts.append(element("path", class_=f"arrow {color_class(one.color)}", d=arrow))
    else:
        low, high = (number(scale(v)) for v in row.interval or (row.mean, row.mean))
        parts.append(element("path", class_=f"bar {color_class(one.color)}", d=f"M{low} {number(middle)}H{high}"))
        parts.append(mark(one.color, scale(row.mean), middle))
    return drawing(WIDTH, HEIGHT, *parts, label="", class_="forest")
