"""Intervals and tests with a closed form, from scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion of ``k`` in ``n``."""
    from scipy.stats import binomtest

    # Tested against itself: the p-value is not wanted, and against .5 it would take ten times as long as the interval.
    interval = binomtest(k, n, k / n).proportion_ci(confidence_level=level, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Exact McNemar p-value from the numbers of samples that only one of two systems has right; 1 without any."""
    from scipy.stats import binomtest

    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(min(only_a, only_b), only_a + only_b, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given."""
    ordered, steps = holm_steps(np.asarray(p_values, dtype=np.float64))
    return [float(p) for p in steps[np.searchsorted(ordered, p_values)]]


def holm_steps(p_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return p-values [M] in ascending order and Holm's adjusted ones [M] of these; of equal ones, the first counts."""
    ordered = np.sort(p_values)
    steps = np.arange(len(ordered), 0, -1, dtype=np.float64)
    steps *= ordered  # in place: there may be fifty million
    return ordered, np.minimum(np.maximum.accumulate(steps, out=steps), 1.0, out=steps)
