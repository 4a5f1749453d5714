"""What is in a scene: a class decides the main structure; ground, clutter and colors are shared by all classes.

A scene graph is ``{"class", "setting": "rural" | "urban", "ground", "objects": [...]}``; each object has ``category``,
``x``, ``y`` (center), ``width``, ``height`` (all in 1/256 pixel), ``angle`` (in 1/4096 turn) and ``pixels`` (how many
it covered when drawn).  Only objects that cover at least one pixel are in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rsbench_scenes.draw import SIZE, WIDTH, Canvas, Color, grid, rgb
from rsbench_scenes.draws import Draws
from rsbench_scenes.fixed import ONE_BITS, PIXEL, SINES, TURN, WHITE, rotate

GROUNDS: Final[dict[str, Color]] = {
    "grass": rgb(33, 42, 22),
    "soil": rgb(47, 38, 27),
    "stubble": rgb(55, 50, 33),
    "meadow": rgb(40, 46, 26),
    "heath": rgb(37, 35, 24),
}
TREE: Final = rgb(14, 24, 13)
WATER: Final = rgb(14, 22, 30)
ROAD: Final = rgb(46, 45, 44)
ROOFS: Final = (rgb(58, 34, 27), rgb(62, 60, 58), rgb(40, 38, 38), rgb(70, 66, 60))
LARGE_ROOFS: Final = (rgb(72, 72, 74), rgb(55, 60, 66), rgb(80, 78, 74), rgb(48, 46, 46))


class Scene:
    """A canvas and the objects drawn on it."""

    def __init__(self, canvas: Canvas, draws: Draws) -> None:
        self.canvas, self.draws = canvas, draws
        self.objects: list[dict[str, Any]] = []
        self.ground = draws.choice(tuple(GROUNDS))

    def vary(self, color: Color, percent: int = 5) -> Color:
        """Return a color near the given one."""
        r, g, b = (min(max(c + self.draws.normal(WHITE * percent // 100), WHITE // 50), WHITE) for c in color)
        return r, g, b

    def note(self, category: str, x: int, y: int, width: int, height: int, angle: int, pixels: int) -> None:
        """Remember an object if any of it can be seen.

        Args:
            category: such as ``house``.
            x, y, width, height: of its center and size, in 1/256 pixel.
            angle: in 1/4096 turn.
            pixels: how many of it can be seen.
        """
        if pixels:
            shape = {"x": x, "y": y, "width": width, "height": height, "angle": angle, "pixels": pixels}
            self.objects.append({"category": category, **shape})

    def spot(self, margin: int = 4) -> tuple[int, int]:
        """A random place."""
        return self.draws.uniform(margin, SIZE - margin), self.draws.uniform(margin, SIZE - margin)

    def tree(self, x: int, y: int, radius: int) -> None:
        """A crown with its shadow."""
        self.canvas.disc(x + PIXEL * 4 // 5, y + PIXEL * 4 // 5, radius, rgb(10, 14, 10))
        self.note("tree", x, y, 2 * radius, 2 * radius, 0, self.canvas.disc(x, y, radius, self.vary(TREE, 3)))

    def house(self, x: int, y: int, angle: int) -> None:
        """A small building with its shadow."""
        w, h = self.draws.uniform(3.5, 6.5), self.draws.uniform(3, 4.8)
        self._building("house", x, y, w, h, angle, self.vary(self.draws.choice(ROOFS)))

    def hall(self, x: int, y: int, w: int, h: int, angle: int) -> None:
        """A large building with its shadow and roof ridges.

        Args:
            x, y, w, h: center and size, in 1/256 pixel.
            angle: in 1/4096 turn.
        """
        self._building("hall", x, y, w, h, angle, self.vary(self.draws.choice(LARGE_ROOFS)))
        self.canvas.rectangle(x, y, w, PIXEL, angle, rgb(40, 40, 40))

    def _building(self, category: str, x: int, y: int, w: int, h: int, angle: int, color: Color) -> None:
        self.canvas.rectangle(x + PIXEL, y + PIXEL, w, h, angle, rgb(12, 12, 12))
        self.note(category, x, y, w, h, angle, self.canvas.rectangle(x, y, w, h, angle, color))

    def road(self, x: int, y: int, angle: int, width: int) -> None:
        """A straight road through a point.

        Args:
            x, y: a point of its axis, in 1/256 pixel.
            angle: in 1/4096 turn.
            width: in 1/256 pixel.
        """
        self.note("road", x, y, WIDTH, width, angle, self.canvas.strip(x, y, angle, width, self.vary(ROAD, 4)))

    def pond(self, x: int, y: int, radius: int) -> None:
        """Standing water of irregular outline."""
        pixels = self.canvas.blob(x, y, radius, self.vary(WATER, 3), 40)
        self.note("lake" if radius > 12 * PIXEL else "pond", x, y, 2 * radius, 2 * radius, 0, pixels)


def compose(canvas: Canvas, name: str, draws: Draws) -> dict[str, Any]:
    """Draw a scene of class *name* and return its graph."""
    scene = Scene(canvas, draws)
    canvas.fill(scene.vary(GROUNDS[scene.ground], 6))
    canvas.texture(draws.uniform(0.03, 0.16, WHITE), draws.integer(4, 14))
    if name not in ("cropland", "orchard") and draws.chance(35):
        _fields(scene, draws.integer(1, 3))
    SCENES[name](scene)
    _clutter(scene, name)
    setting = "urban" if name in ("residential", "industrial") else "rural"
    return {"class": name, "setting": setting, "ground": scene.ground, "objects": scene.objects}


def _degrees(angle: int) -> int:
    return angle * TURN // 360


def _from(x: int, y: int, along: int, across: int, angle: int) -> tuple[int, int]:
    """The place that is so far along and across a direction from a point."""
    dx, dy = rotate(along, across, -angle)
    return x + dx, y + dy


def _on_canvas(x: int, y: int, margin: int = 0) -> bool:
    return -margin < x < WIDTH + margin and -margin < y < WIDTH + margin


def _clutter(scene: Scene, name: str) -> None:
    """Objects that say nothing about the class: single trees, a farm, a track, a pond."""
    draws = scene.draws
    for _ in range(draws.below(7)):
        scene.tree(*scene.spot(0), draws.uniform(1.2, 2.8))
    if name not in ("residential", "industrial") and draws.chance(40):
        x, y = scene.spot(8)
        for _ in range(draws.integer(1, 4)):
            scene.house(x + draws.normal(5 * PIXEL), y + draws.normal(5 * PIXEL), draws.below(TURN // 2))
    if name not in ("highway", "residential", "industrial") and draws.chance(35):
        scene.road(*scene.spot(10), draws.below(TURN // 2), draws.uniform(1.2, 2.2))
    if name not in ("lake", "wetland", "river") and draws.chance(25):
        scene.pond(*scene.spot(6), draws.uniform(2.5, 5.5))


def _fields(scene: Scene, cuts: int) -> None:
    """Divide the ground by two families of parallel borders and give each part a crop."""
    draws, canvas = scene.draws, scene.canvas
    x, y = grid()
    angle = draws.below(TURN // 2)
    u, v = rotate(x - WIDTH // 2, y - WIDTH // 2, angle)
    columns, rows = (np.digitize(across, sorted(draws.uniform(-30, 30) for _ in range(cuts))) for across in (u, v))
    for i in np.unique(columns):
        for j in np.unique(rows):
            inside = (columns == i) & (rows == j)
            if (count := int(np.count_nonzero(inside))) < 30:
                continue
            color = scene.vary(GROUNDS[draws.choice(tuple(GROUNDS))], 8)
            pixels = canvas.paint(np.where(inside, np.int32(-PIXEL), np.int32(PIXEL)), color)
            (x0, width), (y0, height) = ((int(at.sum()) // count, int(np.ptp(at))) for at in (x[inside], y[inside]))
            scene.note("field", x0, y0, width, height, angle, pixels)


def _cropland(scene: Scene) -> None:
    _fields(scene, scene.draws.integer(2, 4))
    x, y = grid()
    u, _ = rotate(x, y, scene.draws.below(TURN // 2))
    furrows = SINES[u * scene.draws.integer(780, 1300) // PIXEL % TURN]  # five to three pixels apart
    scene.canvas.shade(furrows * (WHITE // 20) >> ONE_BITS)


def _orchard(scene: Scene) -> None:
    draws = scene.draws
    spacing, angle = draws.uniform(6, 8.5), draws.below(TURN // 4)
    radius = spacing * draws.integer(24, 35) // 100
    for a in range(-8, 9):
        for b in range(-8, 9):
            x, y = _from(WIDTH // 2, WIDTH // 2, a * spacing, b * spacing, angle)
            if _on_canvas(x, y, 2 * PIXEL) and draws.chance(96):
                scene.tree(x + draws.normal(PIXEL * 3 // 10), y + draws.normal(PIXEL * 3 // 10), radius)


def _forest(scene: Scene) -> None:
    for _ in range(110):
        scene.tree(*scene.spot(-2), scene.draws.uniform(2.2, 4.6))


def _pasture(scene: Scene) -> None:
    draws = scene.draws
    scene.canvas.texture(WHITE // 10, 5)
    angle = draws.below(TURN // 2)
    for _ in range(draws.integer(1, 3)):  # hedges
        x, y = scene.spot(8)
        for along in range(-40 * PIXEL, 40 * PIXEL, draws.uniform(3, 4.5)):
            place = _from(x, y, along, 0, angle)
            if _on_canvas(*place):
                scene.tree(*place, draws.uniform(1.3, 2.2))
        angle += draws.integer(_degrees(52), _degrees(126))


def _highway(scene: Scene) -> None:
    draws = scene.draws
    x, y = scene.spot(18)
    angle, width = draws.below(TURN // 2), draws.uniform(6.5, 10)
    scene.road(x, y, angle, width)
    scene.canvas.strip(x, y, angle, PIXEL, rgb(78, 78, 74))
    if draws.chance(40):
        scene.road(*scene.spot(18), angle + draws.integer(_degrees(46), _degrees(126)), draws.uniform(2, 3.5))


def _river(scene: Scene) -> None:
    draws = scene.draws
    x, y = scene.spot(18)
    angle, width = draws.below(TURN // 2), draws.uniform(6, 12)
    bend, phase = draws.uniform(3, 8), draws.below(TURN)
    pixels = scene.canvas.strip(x, y, angle, width, scene.vary(WATER, 3), bend, phase)
    scene.note("river", x, y, WIDTH, width, angle, pixels)


def _lake(scene: Scene) -> None:
    scene.pond(*scene.spot(16), scene.draws.uniform(14, 27))


def _wetland(scene: Scene) -> None:
    for _ in range(scene.draws.integer(7, 14)):
        scene.pond(*scene.spot(0), scene.draws.uniform(2.5, 6.5))


def _residential(scene: Scene) -> None:
    draws = scene.draws
    angle, spacing = draws.below(TURN // 4), draws.uniform(17, 23)
    middle = WIDTH // 2
    for k in (-3, -1, 1, 3):
        scene.road(*_from(middle, middle, 0, k * spacing // 2, angle), angle, PIXEL * 13 // 5)
    for k in (-2, -1, 0, 1, 2):  # two rows of houses between neighboring roads
        for side in (-22, 22):
            for along in range(-44 * PIXEL, 45 * PIXEL, draws.uniform(7.5, 10)):
                x, y = _from(middle, middle, along, spacing * (100 * k + side) // 100, angle)
                if _on_canvas(x, y, 2 * PIXEL) and draws.chance(88):
                    scene.house(x + draws.normal(PIXEL // 2), y + draws.normal(PIXEL // 2), angle)


def _industrial(scene: Scene) -> None:
    draws = scene.draws
    angle = draws.below(TURN // 4)
    middle = WIDTH // 2
    yard = scene.vary(rgb(42, 42, 42), 4)
    scene.canvas.rectangle(middle, middle, draws.uniform(55, 90), draws.uniform(45, 90), angle, yard)
    offset = draws.uniform(-6, 6)
    scene.road(*_from(middle, middle, 0, offset, angle), angle, PIXEL * 16 // 5)
    for side in (-1, 1):
        along = -40 * PIXEL
        while along < 40 * PIXEL:
            w, h = draws.uniform(11, 24), draws.uniform(10, 19)
            across = offset + side * (PIXEL * 7 // 2 + h // 2)
            x, y = _from(middle, middle, along + w // 2, across, angle)
            if _on_canvas(x, y):
                scene.hall(x, y, w, h, angle)
            along += w + draws.uniform(2, 5)


SCENES: Final[dict[str, Callable[[Scene], None]]] = {
    "cropland": _cropland,
    "forest": _forest,
    "highway": _highway,
    "industrial": _industrial,
    "lake": _lake,
    "orchard": _orchard,
    "pasture": _pasture,
    "residential": _residential,
    "river": _river,
    "wetland": _wetland,
}
