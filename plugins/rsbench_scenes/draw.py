"""Drawing: shapes as distance fields on a 64 x 64 canvas, antialiased at one pixel, then a camera's flaws."""

from __future__ import annotations

from typing import Final

import numpy as np

SIZE: Final = 64
_AXIS: Final = np.arange(SIZE, dtype=np.float32)
_Y, _X = np.meshgrid(_AXIS, _AXIS, indexing="ij")

Colour = tuple[float, float, float]


class Canvas:
    """Linear RGB in [0, 1], float32 [3, 64, 64]; positions in pixels, y downwards."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pixels = np.zeros((3, SIZE, SIZE), dtype=np.float32)

    def fill(self, colour: Colour) -> None:
        """Paint everything."""
        self.pixels[:] = np.array(colour, dtype=np.float32)[:, None, None]

    def texture(self, strength: float, cells: int) -> None:
        """Vary brightness smoothly: bilinear noise of ``cells`` x ``cells`` nodes, of the given standard deviation."""
        self.pixels *= 1 + strength * smooth_noise(self.rng, cells)

    def paint(
        self, distance: np.ndarray, colour: Colour, where: tuple[slice, slice] = (slice(None), slice(None))
    ) -> int:
        """Paint where ``distance`` (pixels, negative inside) is below 0; return the number of pixels covered."""
        cover = np.clip(0.5 - distance, 0, 1)
        view = self.pixels[:, where[0], where[1]]
        view += cover * (np.array(colour, dtype=np.float32)[:, None, None] - view)
        return int((cover > 0.5).sum())

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> int:
        """Paint a disc."""
        where, xs, ys = _window(x, y, radius + 1)
        return self.paint(np.hypot(xs - x, ys - y) - radius, colour, where)

    def rectangle(self, x: float, y: float, width: float, height: float, angle: float, colour: Colour) -> int:
        """Paint a rectangle about its centre, turned by ``angle`` radians."""
        where, xs, ys = _window(x, y, 0.5 * np.hypot(width, height) + 1)
        u, v = rotate(xs - x, ys - y, angle)
        return self.paint(np.maximum(np.abs(u) - width / 2, np.abs(v) - height / 2), colour, where)

    def strip(
        self, x: float, y: float, angle: float, width: float, colour: Colour, bend: float = 0, phase: float = 0
    ) -> int:
        """Paint a strip across the canvas through (x, y); ``bend`` is the amplitude of its waves in pixels."""
        u, v = rotate(_X - x, _Y - y, angle)
        return self.paint(np.abs(v - bend * np.sin(u / 11 + phase)) - width / 2, colour)

    def blob(self, x: float, y: float, radius: float, colour: Colour, roughness: float = 0.3) -> int:
        """Paint a round shape with a wavy outline."""
        angles = np.arctan2(_Y - y, _X - x)
        waves = sum(self.rng.normal(0, 1 / k) * np.cos(k * angles + self.rng.uniform(0, 6.28)) for k in (2, 3, 5))
        return self.paint(np.hypot(_X - x, _Y - y) - radius * (1 + 0.5 * roughness * waves), colour)

    def finish(self) -> np.ndarray:
        """Return uint8 [3, 64, 64] after season, light, haze, blur and noise."""
        rng = self.rng
        image = self.pixels * rng.normal(1, 0.08, (3, 1, 1)).astype(np.float32) * np.float32(rng.uniform(0.62, 1.3))
        haze = np.float32(rng.uniform(0, 0.3))
        image = image * (1 - haze) + haze * np.float32(rng.uniform(0.45, 0.75))
        if rng.random() < 0.5:
            image = 0.5 * image + 0.125 * (
                np.roll(image, 1, 1) + np.roll(image, -1, 1) + np.roll(image, 1, 2) + np.roll(image, -1, 2)
            )
        image = image + rng.normal(0, rng.uniform(0.01, 0.05), image.shape).astype(np.float32)
        return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Return bilinear noise [64, 64] of unit variance at its nodes."""
    nodes = rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32)
    place = _AXIS * (cells / SIZE)
    low = place.astype(int)
    part = place - low
    rows = nodes[low] * (1 - part)[:, None] + nodes[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def rotate(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction."""
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Return pixel coordinates x, y, float32 [64, 64]."""
    return _X, _Y


def _window(x: float, y: float, reach: float) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The part of the canvas within ``reach`` of a point, with its coordinates."""
    rows = slice(max(int(y - reach), 0), max(min(int(y + reach) + 2, SIZE), 0))
    columns = slice(max(int(x - reach), 0), max(min(int(x + reach) + 2, SIZE), 0))
    return (rows, columns), _X[rows, columns], _Y[rows, columns]
