"""What is in a scene: a class decides the main structure; ground, clutter and colours are shared by all classes.

A scene graph is ``{"class", "setting": "rural" | "urban", "ground", "objects": [...]}``; each object has ``category``,
``x``, ``y`` (centre, pixels), ``width``, ``height`` (pixels), ``angle`` (radians) and ``pixels`` (how many it covered
when drawn).  Only objects that cover at least one pixel are in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from rsbench_scenes.draw import SIZE, Canvas, Colour, grid, rotate

GROUNDS: Final[dict[str, Colour]] = {
    "grass": (0.33, 0.42, 0.22),
    "soil": (0.47, 0.38, 0.27),
    "stubble": (0.55, 0.50, 0.33),
    "meadow": (0.40, 0.46, 0.26),
    "heath": (0.37, 0.35, 0.24),
}
TREE: Final = (0.14, 0.24, 0.13)
WATER: Final = (0.14, 0.22, 0.30)
ROAD: Final = (0.46, 0.45, 0.44)
ROOFS: Final = ((0.58, 0.34, 0.27), (0.62, 0.60, 0.58), (0.40, 0.38, 0.38), (0.70, 0.66, 0.60))
LARGE_ROOFS: Final = ((0.72, 0.72, 0.74), (0.55, 0.60, 0.66), (0.80, 0.78, 0.74), (0.48, 0.46, 0.46))


class Scene:
    """A canvas and the objects drawn on it."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.canvas, self.rng = canvas, rng
        self.objects: list[dict[str, Any]] = []
        self.ground = str(rng.choice(list(GROUNDS)))

    def vary(self, colour: Colour, amount: float = 0.05) -> Colour:
        """Return a colour near the given one."""
        r, g, b = np.clip(np.array(colour) + self.rng.normal(0, amount, 3), 0.02, 1)
        return float(r), float(g), float(b)

    def note(self, category: str, x: float, y: float, width: float, height: float, angle: float, pixels: int) -> None:
        """Remember an object if any of it can be seen."""
        if pixels:
            place = {"x": round(float(x), 2), "y": round(float(y), 2)}
            size = {"width": round(float(width), 2), "height": round(float(height), 2), "angle": round(float(angle), 3)}
            self.objects.append({"category": category, **place, **size, "pixels": pixels})

    def spot(self, margin: float = 4) -> tuple[float, float]:
        """A random place."""
        x, y = self.rng.uniform(margin, SIZE - margin, 2)
        return float(x), float(y)

    def tree(self, x: float, y: float, radius: float) -> None:
        """A crown with its shadow."""
        self.canvas.disc(x + 0.8, y + 0.8, radius, (0.10, 0.14, 0.10))
        self.note("tree", x, y, 2 * radius, 2 * radius, 0, self.canvas.disc(x, y, radius, self.vary(TREE, 0.03)))

    def house(self, x: float, y: float, angle: float) -> None:
        """A small building with its shadow."""
        w, h = self.rng.uniform(3.5, 6.5), self.rng.uniform(3, 4.8)
        self._building("house", x, y, w, h, angle, self.vary(ROOFS[self.rng.integers(len(ROOFS))]))

    def hall(self, x: float, y: float, w: float, h: float, angle: float) -> None:
        """A large building with its shadow and roof ridges."""
        self._building("hall", x, y, w, h, angle, self.vary(LARGE_ROOFS[self.rng.integers(len(LARGE_ROOFS))]))
        self.canvas.rectangle(x, y, w, 1.0, angle, (0.40, 0.40, 0.40))

    def _building(self, category: str, x: float, y: float, w: float, h: float, angle: float, colour: Colour) -> None:
        self.canvas.rectangle(x + 1, y + 1, w, h, angle, (0.12, 0.12, 0.12))
        self.note(category, x, y, w, h, angle, self.canvas.rectangle(x, y, w, h, angle, colour))

    def road(self, x: float, y: float, angle: float, width: float) -> None:
        """A straight road through a point."""
        self.note("road", x, y, SIZE, width, angle, self.canvas.strip(x, y, angle, width, self.vary(ROAD, 0.04)))

    def pond(self, x: float, y: float, radius: float) -> None:
        """Standing water of irregular outline."""
        pixels = self.canvas.blob(x, y, radius, self.vary(WATER, 0.03), 0.4)
        self.note("lake" if radius > 12 else "pond", x, y, 2 * radius, 2 * radius, 0, pixels)


def compose(canvas: Canvas, name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Draw a scene of class *name* and return its graph."""
    scene = Scene(canvas, rng)
    canvas.fill(scene.vary(GROUNDS[scene.ground], 0.06))
    canvas.texture(rng.uniform(0.03, 0.16), int(rng.integers(4, 14)))
    if name not in ("cropland", "orchard") and rng.random() < 0.35:
        _fields(scene, int(rng.integers(1, 3)))
    SCENES[name](scene)
    _clutter(scene, name)
    setting = "urban" if name in ("residential", "industrial") else "rural"
    return {"class": name, "setting": setting, "ground": scene.ground, "objects": scene.objects}


def _clutter(scene: Scene, name: str) -> None:
    """Objects that say nothing about the class: single trees, a farm, a track, a pond."""
    rng = scene.rng
    for _ in range(rng.integers(0, 7)):
        scene.tree(*scene.spot(0), rng.uniform(1.2, 2.8))
    if name not in ("residential", "industrial") and rng.random() < 0.4:
        x, y = scene.spot(8)
        for _ in range(rng.integers(1, 4)):
            scene.house(x + rng.normal(0, 5), y + rng.normal(0, 5), rng.uniform(0, 3.14))
    if name not in ("highway", "residential", "industrial") and rng.random() < 0.35:
        scene.road(*scene.spot(10), rng.uniform(0, 3.14), rng.uniform(1.2, 2.2))
    if name not in ("lake", "wetland", "river") and rng.random() < 0.25:
        scene.pond(*scene.spot(6), rng.uniform(2.5, 5.5))


def _fields(scene: Scene, cuts: int) -> None:
    """Divide the ground by two families of parallel borders and give each part a crop."""
    rng, canvas = scene.rng, scene.canvas
    x, y = grid()
    angle = rng.uniform(0, 3.14)
    u, v = rotate(x - SIZE / 2, y - SIZE / 2, angle)
    columns = np.digitize(u, np.sort(rng.uniform(-30, 30, cuts)))
    rows = np.digitize(v, np.sort(rng.uniform(-30, 30, cuts)))
    for i in np.unique(columns):
        for j in np.unique(rows):
            inside = (columns == i) & (rows == j)
            if inside.sum() < 30:
                continue
            colour = scene.vary(GROUNDS[str(rng.choice(list(GROUNDS)))], 0.08)
            pixels = canvas.paint(np.where(inside, -1.0, 1.0).astype(np.float32), colour)
            scene.note("field", x[inside].mean(), y[inside].mean(), np.ptp(x[inside]), np.ptp(y[inside]), angle, pixels)


def _cropland(scene: Scene) -> None:
    _fields(scene, int(scene.rng.integers(2, 4)))
    x, y = grid()
    u, _ = rotate(x, y, scene.rng.uniform(0, 3.14))
    scene.canvas.pixels *= 1 + 0.05 * np.sin(u * scene.rng.uniform(1.2, 2.0))


def _orchard(scene: Scene) -> None:
    rng = scene.rng
    spacing, angle = rng.uniform(6, 8.5), rng.uniform(0, 1.57)
    radius = spacing * rng.uniform(0.24, 0.34)
    steps = np.arange(-8, 9) * spacing
    for a in steps:
        for b in steps:
            x, y = 32 + a * np.cos(angle) - b * np.sin(angle), 32 + a * np.sin(angle) + b * np.cos(angle)
            if -2 < x < SIZE + 2 and -2 < y < SIZE + 2 and rng.random() < 0.96:
                scene.tree(x + rng.normal(0, 0.3), y + rng.normal(0, 0.3), radius)


def _forest(scene: Scene) -> None:
    for x, y, r in zip(*scene.rng.uniform(-2, SIZE + 2, (2, 110)), scene.rng.uniform(2.2, 4.6, 110), strict=True):
        scene.tree(float(x), float(y), float(r))


def _pasture(scene: Scene) -> None:
    rng = scene.rng
    scene.canvas.texture(0.10, 5)
    angle = rng.uniform(0, 3.14)
    for _ in range(rng.integers(1, 3)):  # hedges
        x, y = scene.spot(8)
        for t in np.arange(-40, 40, rng.uniform(3, 4.5)):
            px, py = x + t * np.cos(angle), y + t * np.sin(angle)
            if 0 < px < SIZE and 0 < py < SIZE:
                scene.tree(px, py, rng.uniform(1.3, 2.2))
        angle += rng.uniform(0.9, 2.2)


def _highway(scene: Scene) -> None:
    rng = scene.rng
    x, y = scene.spot(18)
    angle, width = rng.uniform(0, 3.14), rng.uniform(6.5, 10)
    scene.road(x, y, angle, width)
    scene.canvas.strip(x, y, angle, 1.0, (0.78, 0.78, 0.74))
    if rng.random() < 0.4:
        scene.road(*scene.spot(18), angle + rng.uniform(0.8, 2.2), rng.uniform(2, 3.5))


def _river(scene: Scene) -> None:
    rng = scene.rng
    x, y = scene.spot(18)
    angle, width = rng.uniform(0, 3.14), rng.uniform(6, 12)
    pixels = scene.canvas.strip(x, y, angle, width, scene.vary(WATER, 0.03), rng.uniform(3, 8), rng.uniform(0, 6.28))
    scene.note("river", x, y, SIZE, width, angle, pixels)


def _lake(scene: Scene) -> None:
    scene.pond(*scene.spot(16), scene.rng.uniform(14, 27))


def _wetland(scene: Scene) -> None:
    for _ in range(scene.rng.integers(7, 14)):
        scene.pond(*scene.spot(0), scene.rng.uniform(2.5, 6.5))


def _residential(scene: Scene) -> None:
    rng = scene.rng
    angle, spacing = rng.uniform(0, 1.57), rng.uniform(17, 23)
    c, s = np.cos(angle), np.sin(angle)
    for k in (-1.5, -0.5, 0.5, 1.5):
        scene.road(32 - k * spacing * s, 32 + k * spacing * c, angle, 2.6)
    for k in (-2, -1, 0, 1, 2):  # two rows of houses between neighbouring roads
        for side in (-0.22, 0.22):
            for along in np.arange(-44, 45, rng.uniform(7.5, 10)):
                across = (k + side) * spacing
                x, y = 32 + along * c - across * s, 32 + along * s + across * c
                if -2 < x < SIZE + 2 and -2 < y < SIZE + 2 and rng.random() < 0.88:
                    scene.house(x + rng.normal(0, 0.5), y + rng.normal(0, 0.5), angle)


def _industrial(scene: Scene) -> None:
    rng = scene.rng
    angle = rng.uniform(0, 1.57)
    c, s = np.cos(angle), np.sin(angle)
    scene.canvas.rectangle(
        32, 32, rng.uniform(55, 90), rng.uniform(45, 90), angle, scene.vary((0.42, 0.42, 0.42), 0.04)
    )
    offset = rng.uniform(-6, 6)
    scene.road(32 - offset * s, 32 + offset * c, angle, 3.2)
    for side in (-1, 1):
        along = -40.0
        while along < 40:
            w, h = rng.uniform(11, 24), rng.uniform(10, 19)
            across = offset + side * (3.5 + h / 2)
            x, y = 32 + (along + w / 2) * c - across * s, 32 + (along + w / 2) * s + across * c
            if 0 < x < SIZE and 0 < y < SIZE:
                scene.hall(x, y, w, h, angle)
            along += w + rng.uniform(2, 5)


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
