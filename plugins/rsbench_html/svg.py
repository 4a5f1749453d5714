"""Small drawings as SVG text; the same numbers give the same bytes.

Colors come from the page's style sheet by class: ``s0`` .. ``s7`` for systems, ``sx`` for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

COLORS: Final = 8
# Marks around the origin, one for each color, so that paper and the color-blind tell them apart.
MARKS: Final = (
    "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z",
    "M-3.6-3.6H3.6V3.6H-3.6Z",
    "M0-5L5 0L0 5L-5 0Z",
    "M0-4.8L4.6 3.6H-4.6Z",
    "M0 4.8L4.6-3.6H-4.6Z",
    "M-1.7-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5V-1.7H-1.7Z",
    "M-5 0L-2.5-4.3H2.5L5 0L2.5 4.3H-2.5Z",
    "M-4.6-2.2L-2.2-4.6L0-2.3L2.2-4.6L4.6-2.2L2.3 0L4.6 2.2L2.2 4.6L0 2.3L-2.2 4.6L-4.6 2.2L-2.3 0Z",
)
OTHER: Final = "M3 0A3 3 0 1 1-3 0A3 3 0 1 1 3 0Z"


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; ``class_`` is ``class``, other underscores are hyphens, ``None`` leaves one out."""
    made = [
        Markup(' {}="{}"').format(k.rstrip("_").replace("_", "-"), number(v) if isinstance(v, (int, float)) else v)
        for k, v in attributes.items()
        if v is not None
    ]
    inside = Markup("").join(escape(c) for c in children)
    head = Markup("<") + Markup(name) + Markup("").join(made)
    return head + (Markup(">") + inside + Markup(f"</{name}>") if children else Markup("/>"))


def drawing(width: float, height: float, *children: str, label: str, class_: str = "plot") -> Markup:
    """Return a whole drawing that scales with its box; *label* is read out in its place.

    Args:
        width, height: of its coordinates.
        children: its elements.
        label: read out in its place.
        class_: of the style sheet.
    """
    box = f"0 0 {number(width)} {number(height)}"
    return element("svg", *children, viewBox=box, class_=class_, role="img", aria_label=label)


def mark(color: int | None, x: float, y: float, *, title: str = "", series: str | None = None) -> Markup:
    """A system's mark at a point; *series* is the id by which the page finds it.

    Args:
        color: number of the system's color; ``None`` for those that have none of their own.
        x, y: of its center.
        title: shown on hovering.
        series: id by which the page finds it.
    """
    path = MARKS[color] if color is not None else OTHER
    inside = (element("title", title),) if title else ()
    place = f"translate({number(x)} {number(y)})"
    return element("path", *inside, class_=f"m {color_class(color)}", d=path, transform=place, data_s=series)


def color_class(color: int | None) -> str:
    """Class of a color, or of the systems that have none of their own."""
    return "sx" if color is None else f"s{color}"


def polyline(points: Iterable[tuple[float, float]]) -> str:
    """Path data of a line through points: the first, then steps, which are shorter to write."""
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = [f"{number((c - a) / 10)} {number((d - b) / 10)}" for (a, b), (c, d) in pairwise(tenths)]
    x, y = tenths[0]
    return f"M{number(x / 10)} {number(y / 10)}l{' '.join(steps)}".replace(" -", "-")


def staircase(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the corners of steps from left to right: between two points holds what the left one has."""
    path = [corners[0]]
    for left, right in pairwise(corners):
        path += [(right[0], left[1]), right]
    return path


@dataclass(frozen=True)
class Scale:
    """Values ``low`` .. ``high`` (``low < high``) to pixels ``start`` .. ``end``; *log* needs ``low > 0``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, log: bool = False, room: float = 0.06) -> Scale:
        """A scale that holds *values* with *room* (share of the span) on both sides.

        Args:
            values: at least one; above 0 where *log*.
            start, end: coordinates of both ends.
            log: a logarithmic scale.
            room: share of the span left free at both ends.
        """
        low, high = min(values), max(values)
        if log:
            pad = max(math.log(high / low) * room, 0.1)
            return cls(low * math.exp(-pad), high * math.exp(pad), start, end, log=True)
        pad = (high - low) * room or abs(high) * room or 1.0
        return cls(low - pad, high + pad, start, end)

    def __call__(self, value: float) -> float:
        """Pixels of a value."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((math.log(value) if self.log else value) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values inside the scale, *most* + 1 at most where it is linear."""
        if self.log and (found := self._log_ticks()):
            return found
        step = _round_up((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]

    def _log_ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1,), (1, 3), (1, 2, 5)):
            found = [d * 10.0**k for k in decades for d in digits]
            found = [v for v in found if self.low <= v <= self.high]
            if len(found) >= 3:
                return found
        return []


def _round_up(step: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step * (1 - 1e-9))


def rounded(value: float) -> str:
    """A measured number in a cell: three digits, and k, M or G."""
    return short(float(f"{value:.3g}")) if value >= 0.01 else "< 0.01"


def short(value: float) -> str:
    """A tick's text: four digits, and k, M or G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


@dataclass(frozen=True)
class Frame:
    """A plot's size and margins in pixels; made so that a phone shows it at its own size."""

    width: float = 340
    height: float = 230
    left: float = 40
    right: float = 12
    top: float = 10
    bottom: float = 38

    @property
    def x(self) -> tuple[float, float]:
        """Left and right end of the plotted area."""
        return self.left, self.width - self.right

    @property
    def y(self) -> tuple[float, float]:
        """Lower and upper end of the plotted area."""
        return self.height - self.bottom, self.top

    def axes(self, x: Scale, y: Scale, title: str, *, whole: bool = False) -> list[Markup]:
        """Grid, ticks and the title of the horizontal axis; *whole*: only whole numbers on it.

        Args:
            x, y: scales of both axes.
            title: of the horizontal one.
            whole: only whole numbers on it.
        """
        bottom, top = self.y
        ticks = [t for t in x.ticks() if not whole or t == int(t)]
        grid = [f"M{x(t):.1f} {bottom:.1f}V{top:.1f}" for t in ticks]
        grid += [f"M{self.left:.1f} {y(t):.1f}H{self.x[1]:.1f}" for t in y.ticks()]
        parts = [element("path", class_="grid", d="".join(grid))] if grid else []
        below = [element("text", short(t), x=x(t), y=bottom + 14) for t in ticks]
        below.append(element("text", title, x=(self.left + self.x[1]) / 2, y=self.height - 5, class_="name"))
        beside = [element("text", short(t), x=self.left - 5, y=y(t) + 3.5) for t in y.ticks()]
        return [*parts, element("g", *below, class_="mid"), element("g", *beside, class_="end")]

    def drawing(self, parts: list[Markup], label: str) -> Markup:
        """Return the whole plot; *label* is read out in its place."""
        return drawing(self.width, self.height, *parts, label=label)
