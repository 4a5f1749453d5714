"""Fixed-point arithmetic: what decides a scene is the same integer on every processor and with every libm.

A sine, a hypotenuse or a normal deviate in floating point differs in its last bit between vector units; in integers
nothing can.  Lengths are counted in 1/256 pixel, angles in 1/4096 turn, light in 1/4096 of white.
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

PIXEL: Final = 1 << 8
TURN: Final = 1 << 12
WHITE: Final = 1 << 12
ONE_BITS: Final = 15
ONE: Final = 1 << ONE_BITS  # what a sine of 1 is

Integers = TypeVar("Integers", int, np.ndarray)


def _sines() -> np.ndarray:
    """Sines of all angles, int32 [4096], by turning a vector step by step in 60 bits."""
    step_cosine, step_sine = 1_152_920_148_139_012_899, 1_768_558_744_408_523  # of 1/4096 turn, times 2**60
    x, y, sines = 1 << 60, 0, []
    for _ in range(TURN):
        sines.append((y + (1 << 59 - ONE_BITS)) >> (60 - ONE_BITS))
        x, y = (x * step_cosine - y * step_sine) >> 60, (x * step_sine + y * step_cosine) >> 60
    return np.array(sines, dtype=np.int32)


SINES: Final = _sines()
_SINES: Final[list[int]] = SINES.tolist()


def direction(angle: int) -> tuple[int, int]:
    """Return cosine and sine of an angle, in units of 1/:data:`ONE`."""
    return _SINES[(angle + TURN // 4) % TURN], _SINES[angle % TURN]


def rotate(x: Integers, y: Integers, angle: int) -> tuple[Integers, Integers]:
    """Coordinates along and across a direction."""
    c, s = direction(angle)
    return (c * x + s * y) >> ONE_BITS, (c * y - s * x) >> ONE_BITS


def root(squares: np.ndarray) -> np.ndarray:
    """Return whole square roots, rounded down, of int32: float64 holds them exactly, and IEEE 754 leaves a square root
    no choice of rounding."""
    return np.sqrt(squares.astype(np.float64)).astype(np.int32)
