"""The axes that every plot stands in."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from rsbench.leaderboard.render.html.svg import Scale, drawing, element, short


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
        """Grid, ticks and the title of the horizontal axis; *whole*: only whole numbers on it."""
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
