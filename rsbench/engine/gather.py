"""Images of a batch on a CPU: gathered, turned, cast and normalised in one pass over memory.

torch needs a pass for each of the four, and the last two are over floats; here each stored value is read once and each
float written once, which is as fast as gathering and casting alone.  Numba compiles the loops when they first run, in
about a second, and keeps the result on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit

from rsbench.engine.normalisation import Normalisation


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
def _take(stored: Any, rows: Any, counts: Any, bands: Any, scale: Any, offset: Any, out: Any) -> None:
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


class HostImages:
    """The images of a store in the memory of the host, or in a file that is mapped there.

    Args:
        images: [N, C, H, W] of any integers or floats.
        bands: which channels to take, in this order.
        normalisation: of these bands, in stored units.
    """

    def __init__(self, images: np.ndarray, bands: Sequence[int], normalisation: Normalisation) -> None:
        self._stored = np.asarray(images).view()
        self._stored.flags.writeable = False  # as memory maps are: one compilation serves both
        self._bands = np.asarray(bands, dtype=np.int64)
        self._normalised = normalisation.scale_and_offset
        self._as_stored = np.ones(len(bands), dtype=np.float32), np.zeros(len(bands), dtype=np.float32)

    def take(self, rows: np.ndarray, counts: Sequence[int], normalised: bool, out: np.ndarray) -> None:
        """Write images into *out*.

        Args:
            rows: int64 [b], image numbers.
            counts: how many of the images have each code of :meth:`Augmentation.turn_codes`, one after another.
            normalised: whether to normalise; else the floats are in stored units.
            out: float32 [b, C, H, W].

        Raises:
            IndexError: there is no image of such a number.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self._stored):
            raise IndexError(f"images {rows.min()} to {rows.max()} of {len(self._stored)}")
        scale, offset = self._normalised if normalised else self._as_stored
        _take(self._stored, rows, np.asarray(counts, dtype=np.int64), self._bands, scale, offset, out)


def prepare() -> None:
    """Compile, or load, what images of bytes need."""
    images = HostImages(np.zeros((1, 1, 1, 1), dtype=np.uint8), [0], Normalisation((0.0,), (1.0,)))
    images.take(np.zeros(1, dtype=np.int64), [1], True, np.empty((1, 1, 1, 1), dtype=np.float32))
