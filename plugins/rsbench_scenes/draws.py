"""Random numbers that are integers throughout: the raw words of a counter-based generator and nothing that NumPy makes
of them, since those are promised to stay as they are."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Final, TypeVar

import numpy as np

from rsbench_scenes.fixed import PIXEL

T = TypeVar("T")

MEAN: Final = 2 * (2**16 - 1)  # of the sum of four 16-bit numbers
DEVIATION: Final = 37_837  # 2**16 / sqrt(3)


class Draws:
    """A stream of random numbers that depends on ``(seed, index, stream)`` alone (Philox 4x64)."""

    def __init__(self, seed: int, index: int, stream: int = 0) -> None:
        self._words = np.random.Philox(key=[seed, index], counter=[0, 0, 0, stream])

    def words(self, count: int) -> np.ndarray:
        """Return *count* random words, uint64."""
        return self._words.random_raw(count)

    def below(self, count: int) -> int:
        """Return an integer in [0, count)."""
        return self._words.random_raw() * count >> 64

    def integer(self, low: int, high: int) -> int:
        """Return an integer in [low, high)."""
        return low + self.below(high - low)

    def uniform(self, low: float, high: float, unit: int = PIXEL) -> int:
        """Return a number between two, in fixed point; *unit* is a power of two, so that scaling a literal is exact."""
        return self.integer(round(low * unit), round(high * unit) + 1)

    def chance(self, percent: int) -> bool:
        """Return whether something of this probability happens."""
        return self.below(100) < percent

    def choice(self, among: Sequence[T]) -> T:
        """Return one of several."""
        return among[self.below(len(among))]

    def weighted(self, weights: Sequence[int]) -> int:
        """Return a place among *weights*, each as likely as its weight."""
        return bisect(list(accumulate(weights)), self.below(sum(weights)))

    def permutation(self, count: int) -> list[int]:
        """Return the numbers below *count* in random order."""
        return np.argsort(self.words(count), kind="stable").tolist()

    def normal(self, deviation: int) -> int:
        """Return a nearly normal deviate of mean 0, at most 3.46 deviations (see :meth:`normals`)."""
        word = self._words.random_raw()
        total = (word & 0xFFFF) + (word >> 16 & 0xFFFF) + (word >> 32 & 0xFFFF) + (word >> 48)
        return (total - MEAN) * deviation // DEVIATION

    def normals(self, deviation: int, count: int) -> np.ndarray:
        """Return nearly normal deviates, int32 [count]: each is the sum of the four 16-bit parts of a word."""
        words, halves = self.words(count), np.uint64(0x0000FFFF_0000FFFF)
        pairs = (words & halves) + (words >> np.uint64(16) & halves)
        sums = (pairs & np.uint64(0xFFFF_FFFF)) + (pairs >> np.uint64(32))
        return (sums.astype(np.int32) - MEAN) * deviation // DEVIATION
