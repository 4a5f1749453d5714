"""The loop in which a CPU gathers, turns, casts and normalizes the images of a batch: one pass over memory.

torch needs a pass for each of the four, and the last two are over floats; here each stored value is read once and each
float written once, which takes about as long as gathering and casting alone.  Numba compiles the loops when they first
run, in about a second, and keeps the result on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Return *function* as machine code; kept on disk where there is a folder for it.

    Each product and each sum is rounded, as in NumPy.  Were they allowed to be fused, code fresh from the compiler and
    the same code from disk would differ in the last bit.
    """
    try:
        return njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither beside this file nor in the user's cache may anything be written
        return njit(error_model="numpy")(function)


# Numba asks of each index whether it counts from the end, unless it has no sign; loops that ask use no vectors.
@compiled
def _straight(source: Any, rows_back: bool, columns_back: bool, scale: Any, offset: Any, out: Any) -> None:
    height, width = source.shape
    for y in range(height):
        row, into = source[height - 1 - y if rows_back else y], out[y]
        if columns_back:
            for x in range(width):
                into[x] = np.float32(row[np.uintp(width - 1 - x)]) * scale + offset
        else:
            for x in range(width):
                into[x] = np.float32(row[x]) * scale + offset


@compiled
def _transposed(source: Any, rows_back: bool, columns_back: bool, scale: Any, offset: Any, out: Any) -> None:
    height, width = source.shape
    for y in range(height):
        column, into = np.uintp(height - 1 - y if rows_back else y), out[y]
        if columns_back:
            for x in range(width):
                into[np.uintp(width - 1 - x)] = np.float32(source[np.uintp(x), column]) * scale + offset
        else:
            for x in range(width):
                into[x] = np.float32(source[np.uintp(x), column]) * scale + offset


@compiled
def gather(stored: Any, rows: Any, counts: Any, bands: Any, scale: Any, offset: Any, out: Any) -> None:
    """Write images into *out*.  No number is checked.

    Args:
        stored: [N, C, H, W] of any integers or floats, read-only as memory maps are: one compilation serves both.
        rows: int64 [b], which images.
        counts: int64, how many of them have each code of :meth:`Augmentation.dihedral_codes`, one after another.
        bands: int64 [c], which channels, in this order.
        scale, offset: float32 [c], of each of these.
        out: float32 [b, c, H, W].
    """
    image = 0
    for code in range(len(counts)):
        for _ in range(counts[code]):
            for channel in range(len(bands)):
                source, into = stored[rows[image], bands[channel]], out[image, channel]
                if code & 1:
                    _transposed(source, code & 4 != 0, code & 2 != 0, scale[channel], offset[channel], into)
                else:
                    _straight(source, code & 4 != 0, code & 2 != 0, scale[channel], offset[channel], into)
            image += 1


def prepare() -> None:
    """Compile, or load, what images of bytes need."""
    images, zero, one = np.zeros((1, 1, 1, 1), dtype=np.uint8), np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
    images.flags.writeable = False
    factor = np.ones(1, dtype=np.float32)
    gather(images, zero, one, zero, factor, factor, np.empty((1, 1, 1, 1), dtype=np.float32))
