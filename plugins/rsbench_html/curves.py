"""Learning curves: what validation and training loss did, epoch by epoch, one line a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from rsbench.leaderboard.learning_curve import score_name
from rsbench.records.curve import factor, heading
from rsbench_html.series import Figure, Series
from rsbench_html.svg import Frame, Scale, color_class, element, mark, polyline

# What is drawn where a curve has it, with a heading and the factor of its print.
VALIDATION_LOSS: Final = ("val_loss", "validation loss", 1.0)
LOSS: Final = ("train_loss", "training loss", 1.0)
MOST: Final = 60  # points of a line; longer curves are thinned

Line = tuple[Series, list[tuple[float, float]]]


def figures(series: Sequence[Series]) -> list[Figure]:
    """Return validation quality and training loss of every record that has a curve."""
    made = []
    for key, title, times in (quality(series), LOSS):
        found = lines(series, key, times)
        if found:
            made.append(Figure(title[0].upper() + title[1:], _draw(found, title), "One line a seed."))
    return made


def quality(series: Sequence[Series]) -> tuple[str, str, float]:
    """Return name, heading and factor of the validation score of these series, of validation loss where none has a
    score."""
    name = next((n for one in series for record in one.facts if (n := score_name(record))), None)
    return (name, heading(name), factor(name)) if name else VALIDATION_LOSS


def losses(one: Series) -> Markup | None:
    """Return training loss (solid) and validation loss (dashed) of one system, or ``None`` without a curve."""
    solid, dashed = lines([one], "train_loss", 1.0), lines([one], "val_loss", 1.0)
    return _draw(solid, f"training and validation loss of {one.label}", dashed) if solid else None


def lines(series: Sequence[Series], key: str, times: float) -> list[Line]:
    """Return (series, points) of every record whose curve has *key*, thinned, its values times *times*."""
    found = []
    for one in series:
        for record in one.facts:
            points = _points((record["train"] or {}).get("curve") or (), key, times)
            if points:
                found.append((one, points))
    return found


def _points(curve: Sequence[dict[str, Any]], key: str, times: float) -> list[tuple[float, float]]:
    values = [(entry.get("epoch"), entry.get(key)) for entry in curve]
    kept = [(float(e), times * v) for e, v in values if e is not None and v is not None and math.isfinite(v)]
    step = math.ceil(len(kept) / MOST)
    return kept[::-1][::step][::-1] if step > 1 else kept


def _draw(solid: Sequence[Line], title: str, dashed: Sequence[Line] = ()) -> Markup:
    frame = Frame()
    every = [p for _, points in (*solid, *dashed) for p in points]
    x = Scale.over([e for e, _ in every], *frame.x, room=0.03)
    y = Scale.over([v for _, v in every], *frame.y)
    parts = frame.axes(x, y, "epoch", whole=True)
    for drawn, class_ in ((dashed, "line dashed"), (solid, "line")):
        for one, points in sorted(drawn, key=lambda line: line[0].color is not None):
            parts.append(_line(one, [(x(e), y(v)) for e, v in points], class_))
    return frame.drawing(parts, f"{title} by epoch, {len(solid)} lines")


def _line(one: Series, corners: list[tuple[float, float]], class_: str) -> Markup:
    """A line, or a mark where there is one point."""
    if len(corners) == 1:
        return mark(one.color, *corners[0], title=one.label, series=one.id)
    title = element("title", one.label)
    return element("path", title, class_=f"{class_} {color_class(one.color)}", d=polyline(corners), data_s=one.id)
