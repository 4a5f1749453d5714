"""What a budget of training buys: the best validation score so far by seconds of training, one line a system."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

from markupsafe import Markup

from rsbench.leaderboard.learning_curve import points, score_name
from rsbench.leaderboard.machines import machine
from rsbench.records.curve import factor, heading
from rsbench_html.series import Figure, Series
from rsbench_html.svg import Frame, Scale, color_class, element, mark, polyline, staircase

MOST: Final = 40  # steps of a line; longer ones are thinned

# Seconds of training, ascending, and the best score as it is printed from each of them on.
Steps = list[tuple[float, float]]


def figures(series: Sequence[Series]) -> list[Figure]:
    """Return a plot for each machine on which something with a validation score was trained."""
    names = [name for one in series for record in one.facts if (name := score_name(record)) is not None]
    made = []
    for where, lines in sorted(_by_machine(series).items()):
        title = f"best {heading(names[0])} within a budget"
        caption = f"Means over seeds; validation is not counted. Measured on {where}."
        made.append(Figure(title[0].upper() + title[1:], _draw(lines, title), caption))
    return made


def mean_steps(paths: Sequence[Steps]) -> Steps:
    """Return the mean of the best scores so far of several seeds, from where all of them have one."""
    start = max(path[0][0] for path in paths)
    times = sorted({t for path in paths for t, _ in path if t >= start})
    return _thinned([(t, statistics.fmean(_at(path, t) for path in paths)) for t in times])


def _by_machine(series: Sequence[Series]) -> dict[str, list[tuple[Series, Steps]]]:
    found: dict[str, list[tuple[Series, Steps]]] = {}
    for one in series:
        paths: dict[str, list[Steps]] = {}
        for record in one.facts:
            path, where = _path(record), machine(record)
            if path and where is not None:
                paths.setdefault(where, []).append(path)
        for where, several in paths.items():
            found.setdefault(where, []).append((one, mean_steps(several)))
    return found


def _path(record: dict[str, Any]) -> Steps:
    """The best score so far of one run; empty where its seconds or scores are not known."""
    times = factor(score_name(record) or "")
    known = [(p.seconds, times * p.score) for p in points(record) if p.seconds]
    best = accumulate((score for _, score in known), max)
    return list(zip((seconds for seconds, _ in known), best, strict=True))


def _at(path: Steps, seconds: float) -> float:
    """The best score after so many seconds, at least those of the first."""
    return path[bisect_right(path, seconds, key=lambda point: point[0]) - 1][1]


def _thinned(path: Steps) -> Steps:
    """The points at which the score rises, and the last."""
    rising = [point for k, point in enumerate(path) if k in (0, len(path) - 1) or point[1] > path[k - 1][1]]
    step = math.ceil(len(rising) / MOST)
    return rising[::-1][::step][::-1]


def _draw(lines: Sequence[tuple[Series, Steps]], title: str) -> Markup:
    frame = Frame()
    every = [point for _, path in lines for point in path]
    x = Scale.over([seconds for seconds, _ in every], *frame.x, log=True)
    y = Scale.over([score for _, score in every], *frame.y)
    parts = frame.axes(x, y, "seconds of training")
    for one, path in sorted(lines, key=lambda line: line[0].color is not None):
        corners = [(x(seconds), y(score)) for seconds, score in path]
        parts += _line(one, corners)
    return frame.drawing(parts, f"{title} of training seconds, {len(lines)} systems")


def _line(one: Series, corners: Steps) -> list[Markup]:
    """Steps that end in the system's mark."""
    name = one.label
    drawn = [mark(one.color, *corners[-1], title=name, series=one.id)]
    if len(corners) > 1:
        steps = polyline(staircase(corners))
        class_ = f"line {color_class(one.color)}"
        drawn.insert(0, element("path", element("title", name), class_=class_, d=steps, data_s=one.id))
    return drawn
