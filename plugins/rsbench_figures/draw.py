"""The figures of a table.  Ranked systems set the axes; a baseline beyond them is an arrow at the edge."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from rsbench_html import confusion as matrices
from rsbench_html import curves as learning
from rsbench_html import pareto, reliability
from rsbench_html.series import Series, series_of, words
from rsbench_html.svg import Scale, short

from rsbench.leaderboard.aggregate import Table
from rsbench.metrics.display import factor, shown
from rsbench.metrics.intervals import wilson
from rsbench_figures.style import AXES_MM, COLUMN_MM, INCH_MM, LINE_MM, NO_DATES, PAGE_MM, SETTINGS, color, mark

NAME: Final = 58  # characters of a line of the legend
NUMBERED: Final = 12  # classes up to which each cell of a matrix has its number
FAINT: Final = 0.005  # share of a cell that is not printed
ROOM: Final = 0.06  # of an axis beyond what is drawn
BASELINE: Final[dict[str, Any]] = {"color": "#555555", "linestyle": "--", "linewidth": 0.8, "zorder": 1}


def drawn(name: str, table: Table, suffix: str) -> bytes | None:
    """Return the file of a figure of :data:`FIGURES`, ``None`` where the table has nothing for it; the same table gives
    the same bytes."""
    stream = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        if (figure := FIGURES[name](table)) is None:
            return None
        figure.savefig(stream, format=suffix, metadata=NO_DATES[suffix])
    return stream.getvalue()


def parameters(table: Table) -> Figure | None:
    """Score against parameters."""
    return _cost(table, pareto.COSTS[0])


def time(table: Table) -> Figure | None:
    """Score against seconds of training, on the machine on which most of the ranked systems were trained."""
    return _cost(table, pareto.COSTS[1])


def curves(table: Table) -> Figure | None:
    """Validation score, or loss, by epoch: the mean of the seeds in a band from the lowest to the highest."""
    series = [one for one in series_of(table, 0) if one.row.sound and one.color is not None]
    key, title, times = learning.quality(series)
    found = learning.lines(series, key, times)
    if not found:
        return None
    figure, axes = _plot("epoch", title)
    named = []
    for one, several in groupby(found, key=lambda line: line[0]):
        seeds = [dict(points) for _, points in several]
        epochs = sorted(set.intersection(*map(set, seeds)))
        values = np.array([[seed[epoch] for epoch in epochs] for seed in seeds])
        axes.plot(epochs, values.mean(axis=0), color=color(one.color), marker=mark(one.color), markevery=[-1])
        if len(seeds) > 1:
            low, high = values.min(axis=0), values.max(axis=0)
            axes.fill_between(epochs, low, high, color=color(one.color), alpha=0.2, linewidth=0)
        named.append(one)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _with_legend(figure, named)


def calibration(table: Table) -> Figure | None:
    """How often systems are right by how sure they are, with 95 % Wilson intervals, over all seeds."""
    found = [(one, reliability.bins(one.facts)) for one in series_of(table, 0) if one.row.sound]
    found = [(one, bins) for one, bins in found if bins and one.color is not None]
    if not found:
        return None
    figure, axes = _plot("confidence (%)", "accuracy (%)")
    axes.plot([0, 100], [0, 100], color="#8a8a8a", linestyle=":", linewidth=0.8)
    for one, bins in found:
        values = np.array([100 * b.accuracy for b in bins])
        ends = 100 * np.array([wilson(round(b.accuracy * b.count), b.count) for b in bins]).T
        errors = np.maximum([values - ends[0], ends[1] - values], 0)
        x = [100 * b.confidence for b in bins]
        axes.errorbar(x, values, errors, color=color(one.color), marker=mark(one.color), elinewidth=0.7)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    return _with_legend(figure, [one for one, _ in found])


def confusion(table: Table) -> Figure | None:
    """The confusion matrix of the system that ranks first, in percent of each true class, over its seeds."""
    candidates = sorted(series_of(table, 0), key=lambda one: not one.row.sound)
    one, matrix = next(((s, m) for s in candidates if (m := matrices.counts(s.facts)) is not None), (None, None))
    if one is None or matrix is None:
        return None
    part, names = matrices.shares(matrix), one.facts[0]["plan"]["dataset"]["classes"]
    width = COLUMN_MM if len(part) <= NUMBERED else PAGE_MM
    small = 5.5 if width == PAGE_MM or len(part) > 8 else 6.5
    figure, axes = _plot("predicted", "true", width=width, height=width if width == COLUMN_MM else 0.86 * width)
    image = axes.imshow(100 * part, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    axes.grid(visible=False)
    axes.set_xticks(range(len(part)), names, rotation=90, fontsize=small)
    axes.set_yticks(range(len(part)), names, fontsize=small)
    axes.spines[:].set_visible(True)
    axes.set_title("\n".join(_wrapped(_name(one), 44)), fontsize=6.5)
    if len(part) <= NUMBERED:
        for r, c in np.argwhere(part >= FAINT):
            ink = "white" if part[r, c] > 0.5 else "black"
            axes.text(c, r, f"{100 * part[r, c]:.0f}", ha="center", va="center", color=ink, fontsize=small)
    else:
        figure.colorbar(image, ax=axes, shrink=0.6, format=PercentFormatter(decimals=0))
    return figure


FIGURES: Final[dict[str, Callable[[Table], Figure | None]]] = {
    "parameters": parameters,
    "time": time,
    "curves": curves,
    "reliability": calibration,
    "confusion": confusion,
}


def _cost(table: Table, cost: pareto.Cost) -> Figure | None:
    machines = pareto.points(table, cost)
    if not machines:
        return None
    where, found = max(machines.items(), key=lambda item: len(item[1]))
    series = {id(one.row): one for one in series_of(table, 0)}
    times, sign = factor(table.unit)
    figure, axes = _plot(
        "\n".join(_wrapped(f"{cost.title}, {where}" if where else cost.title, 50)),
        words(table.primary) + (f" ({sign})" if sign else ""),
    )
    axes.set_xscale("log")
    best = [(p.cost, times * p.row.mean) for p in pareto.frontier(found, cost, table.higher_is_better)]
    axes.step(*zip(*best, strict=True), where="post", color="#b0b0b0", linewidth=0.8, zorder=1)
    for point in found:
        one, value = series[id(point.row)], times * point.row.mean
        ends = [times * v for v in point.row.interval or (point.row.mean, point.row.mean)]
        errors = [[max(0.0, value - ends[0])], [max(0.0, ends[1] - value)]]
        axes.errorbar(
            [point.cost], [value], errors, color=color(one.color), marker=mark(one.color), elinewidth=0.9, zorder=2
        )
    axes.margins(x=0.12, y=ROOM)
    ticks = Scale.over([point.cost for point in found], 0, 1, log=True).ticks()
    axes.set_xticks(ticks, [*map(short, ticks)])
    axes.set_xticks([], minor=True)
    beaten = _baseline(axes, table, times)
    return _with_legend(figure, [series[id(p.row)] for p in found], beaten)


def _baseline(axes: Axes, table: Table, times: float) -> list[tuple[Any, str]]:
    """Draw a dashed line at the best baseline, or an arrow at the edge beyond which it is; return its entry in the
    legend."""
    baseline = pareto.best_baseline(table)
    if baseline is None:
        return []
    (low, high), value = axes.get_ylim(), times * baseline.mean
    text = f"{baseline.system.partition(' ')[0]} (baseline): {shown(baseline.mean, table.unit)}"
    if low <= value <= high:
        axes.axhline(value, **BASELINE)
        return [(Line2D([], [], **BASELINE), text)]
    below = bool(value < low)
    arrow = {"marker": "v" if below else "^", "color": BASELINE["color"], "linestyle": ""}
    axes.plot([1], [0 if below else 1], **arrow, transform=axes.transAxes, clip_on=False)
    return [(Line2D([], [], **arrow), text)]


def _plot(across: str, up: str, width: float = COLUMN_MM, height: float = AXES_MM) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / INCH_MM, height / INCH_MM), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up)
    return figure, axes


def _with_legend(figure: Figure, series: Sequence[Series], more: Sequence[tuple[Any, str]] = ()) -> Figure:
    """Put the names below the plot, which keeps its height; those without a color are one entry, *more* the last."""
    entries: list[tuple[Any, str]] = []
    for one in (s for s in series if s.color is not None):
        handle = Line2D([], [], color=color(one.color), marker=mark(one.color))
        entries.append((handle, "\n".join(_wrapped(_name(one), NAME))))
    rest = sum(one.color is None for one in series)
    if rest:
        handle = Line2D([], [], color=color(None), marker=mark(None), linestyle="")
        entries.append((handle, f"{rest} other systems" if rest > 1 else "another system"))
    entries += more
    columns = 2 if all(len(label) <= NAME // 2 - 4 for _, label in entries) and len(entries) > 2 else 1
    lines = -(-sum(label.count("\n") + 1 for _, label in entries) // columns)
    figure.set_size_inches(COLUMN_MM / INCH_MM, (AXES_MM + LINE_MM * lines + 1) / INCH_MM)
    figure.legend([h for h, _ in entries], [text for _, text in entries], loc="outside lower left", ncols=columns)
    return figure


def _name(one: Series) -> str:
    return f"{one.name} {one.brief or one.options}".strip()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]
