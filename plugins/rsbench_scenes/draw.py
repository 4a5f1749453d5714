"""Drawing: shapes as distance fields on a 64 x 64 canvas, antialiased at one pixel, then a camera's flaws.

All in integers (see :mod:`rsbench_scenes.fixed`): the same bytes on every processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final

import numpy as np

from rsbench_scenes.draws import Draws
from rsbench_scenes.fixed import ONE, ONE_BITS, PIXEL, SINES, TURN, WHITE, direction, root, rotate

SIZE: Final = 64
WIDTH: Final = SIZE * PIXEL
WAVE: Final = 59  # angle a pixel: the waves of a bent strip are 69 pixels long
_AXIS: Final = np.arange(SIZE, dtype=np.int32)
_Y, _X = np.meshgrid(_AXIS * PIXEL, _AXIS * PIXEL, indexing="ij")

Color = tuple[int, int, int]


def rgb(red: int, green: int, blue: int) -> Color:
    """Return a color given in percent."""
    return red * WHITE // 100, green * WHITE // 100, blue * WHITE // 100


class Canvas:
    """Linear RGB of which :data:`WHITE` is full, int32 [3, 64, 64]; positions in 1/256 pixel, y downwards."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.pixels = np.zeros((3, SIZE, SIZE), dtype=np.int32)

    def fill(self, color: Color) -> None:
        """Paint everything."""
        self.pixels[:] = _planes(color)

    def shade(self, change: np.ndarray) -> None:
        """Make brighter or darker by a share ``change`` int32 [64, 64] in units of 1/:data:`WHITE`."""
        self.pixels += self.pixels * change // WHITE

    def texture(self, strength: int, cells: int) -> None:
        """Vary brightness smoothly: bilinear noise of ``cells`` x ``cells`` nodes, of the given standard deviation."""
        self.shade(smooth_noise(self.draws, strength, cells))

    def paint(self, distance: np.ndarray, color: Color, where: tuple[slice, slice] = (slice(None), slice(None))) -> int:
        """Paint where ``distance`` (negative inside) is below 0; return the number of pixels covered."""
        cover = np.minimum(np.maximum(PIXEL // 2 - distance, 0), PIXEL)
        view = self.pixels[:, where[0], where[1]]
        view += cover * (_planes(color) - view) // PIXEL
        return int(np.count_nonzero(distance < 0))

    def disc(self, x: int, y: int, radius: int, color: Color) -> int:
        """Paint a disc.

        Args:
            x, y, radius: in 1/256 pixel.
            color: red, green and blue, as :func:`rgb` gives them.
        """
        where, dx, dy = _window(x, y, radius + PIXEL)
        return self.paint(root(dx * dx + dy * dy) - radius, color, where)

    def rectangle(self, x: int, y: int, width: int, height: int, angle: int, color: Color) -> int:
        """Paint a rectangle about its center, turned by ``angle``.

        Args:
            x, y, width, height: center and size, in 1/256 pixel.
            angle: in 1/4096 turn.
            color: as :func:`rgb` gives it.
        """
        where, dx, dy = _window(x, y, isqrt(width * width + height * height) // 2 + PIXEL)
        u, v = rotate(dx, dy, angle)
        return self.paint(np.maximum(np.abs(u) - width // 2, np.abs(v) - height // 2), color, where)

    def strip(self, x: int, y: int, angle: int, width: int, color: Color, bend: int = 0, phase: int = 0) -> int:
        """Paint a strip across the canvas through (x, y); ``bend`` is the amplitude of its waves.

        Args:
            x, y: a point of its axis, in 1/256 pixel.
            angle: in 1/4096 turn.
            width: in 1/256 pixel.
            color: as :func:`rgb` gives it.
            bend: amplitude of its waves, in 1/256 pixel.
            phase: of the waves, in 1/4096 turn.
        """
        u, v = rotate(_X - x, _Y - y, angle)
        if bend:
            v -= bend * SINES[(u * WAVE // PIXEL + phase) % TURN] >> ONE_BITS
        return self.paint(np.abs(v) - width // 2, color)

    def blob(self, x: int, y: int, radius: int, color: Color, roughness: int) -> int:
        """Paint a round shape with a wavy outline; ``roughness`` in percent.

        Args:
            x, y, radius: in 1/256 pixel.
            color: as :func:`rgb` gives it.
            roughness: height of the waves in percent of the radius.
        """
        waves = [(self.draws.normal(radius * roughness // (200 * k)), self.draws.below(TURN)) for k in (2, 3, 5)]
        where, dx, dy = _window(x, y, radius + PIXEL + sum(abs(height) for height, _ in waves))
        distance = root(dx * dx + dy * dy)
        far = np.maximum(distance, PIXEL)
        first = dx * ONE // far, dy * ONE // far
        second = _turned(first, first)
        third = _turned(second, first)
        edge = radius
        for (height, phase), (c, s) in zip(waves, (second, third, _turned(third, second)), strict=True):
            cosine, sine = direction(phase)
            edge = edge + (height * (c * cosine - s * sine >> ONE_BITS) >> ONE_BITS)
        return self.paint(distance - edge, color, where)

    def finish(self) -> np.ndarray:
        """Return uint8 [3, 64, 64] after season, light, haze, blur and noise."""
        draws = self.draws
        light = draws.uniform(0.62, 1.3, WHITE)
        gains = [(WHITE + draws.normal(WHITE * 8 // 100)) * light // WHITE for _ in range(3)]
        haze, tone = draws.uniform(0, 0.3, WHITE), draws.uniform(0.45, 0.75, WHITE)
        image = self.pixels * _planes(gains) // WHITE
        image = (image * (WHITE - haze) + haze * tone) // WHITE
        if draws.chance(50):
            around = np.roll(image, 1, 1) + np.roll(image, -1, 1) + np.roll(image, 1, 2) + np.roll(image, -1, 2)
            image = (4 * image + around) // 8
        image += draws.normals(draws.uniform(0.01, 0.05, WHITE), image.size).reshape(image.shape)
        return ((np.clip(image, 0, WHITE) * 255 + WHITE // 2) // WHITE).astype(np.uint8)


def smooth_noise(draws: Draws, strength: int, cells: int) -> np.ndarray:
    """Return bilinear noise int32 [64, 64] of the given standard deviation at its nodes."""
    nodes = draws.normals(strength, (cells + 1) ** 2).reshape(cells + 1, cells + 1)
    low, part = np.divmod(_AXIS * cells, SIZE)
    rows = nodes[low] * (SIZE - part)[:, None] + nodes[low + 1] * part[:, None]
    return (rows[:, low] * (SIZE - part) + rows[:, low + 1] * part) // SIZE**2


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Return pixel coordinates x, y, int32 [64, 64]."""
    return _X, _Y


def _planes(color: Sequence[int]) -> np.ndarray:
    return np.array(color, dtype=np.int32).reshape(3, 1, 1)


def _turned(z: tuple[np.ndarray, np.ndarray], by: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Product of two unit vectors taken as complex numbers: the angles add up."""
    return (z[0] * by[0] - z[1] * by[1]) >> ONE_BITS, (z[0] * by[1] + z[1] * by[0]) >> ONE_BITS


def _window(x: int, y: int, reach: int) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The part of the canvas within ``reach`` of a point, with its offsets from the point."""
    rows, columns = (slice(max((at - reach) // PIXEL, 0), max((at + reach) // PIXEL + 2, 0)) for at in (y, x))
    return (rows, columns), _X[rows, columns] - x, _Y[rows, columns] - y
