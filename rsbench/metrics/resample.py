"""The bootstrap: percentile intervals and paired differences, over samples or over clusters of samples.

A :class:`SumMetric` is resampled as a matrix product: resampled totals are counts [R, U] times distinct rows [U, k].
Drawing the counts of distinct rows from a multinomial is exactly drawing samples with replacement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric

RESAMPLES: Final = 10_000
CHUNK_NUMBERS: Final = 4_000_000  # counts held at once


@dataclass(frozen=True, slots=True)
class PairedResult:
    """Difference a - b of two systems on the same samples, with its percentile interval and two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    metric: Metric,
    statistics: np.ndarray,
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float] | None:
    """Return the percentile interval of a metric over rows [N, k]; ``None`` where it is undefined.

    ``clusters`` [N] names the cluster of each row; then clusters are drawn instead of samples.
    """
    scores = resampled_scores(metric, statistics, clusters, resamples=resamples, seed=seed)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return None
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    metric: Metric,
    a: np.ndarray,
    b: np.ndarray,
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> PairedResult:
    """Compare rows of two systems ``a``, ``b`` [N, k] on the same samples.

    The p-value is twice the smaller share of resampled differences on one side of 0, with one added to numerator and
    denominator so that it is never 0.
    """
    joint = _Difference(metric, a.shape[1])
    rows = np.concatenate([a, b], axis=1)
    scores = resampled_scores(joint, rows, clusters, resamples=resamples, seed=seed)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    below, above = (scores <= 0).sum() + 1, (scores >= 0).sum() + 1
    p = min(1.0, 2 * min(below, above) / (len(scores) + 1))
    return PairedResult(metric.reduce(a) - metric.reduce(b), float(low), float(high), float(p))


def resampled_scores(
    metric: Metric, statistics: np.ndarray, clusters: np.ndarray | None, *, resamples: int, seed: int
) -> np.ndarray:
    """Return the metric of each resample, float64 [resamples]."""
    rng = np.random.Generator(np.random.PCG64(seed))
    if isinstance(metric, SumMetric) or (isinstance(metric, _Difference) and metric.sums):
        if clusters is None:
            return _by_rows(metric, statistics, resamples, rng)
        return _by_clusters(metric, statistics, clusters, resamples, rng)
    return _by_index(metric, statistics, clusters, resamples, rng)


class _Difference(Metric):
    """Score of the first columns minus that of the rest."""

    def __init__(self, metric: Metric, columns: int) -> None:
        self.metric, self.columns = metric, columns
        self.sums = isinstance(metric, SumMetric)

    def statistics(self, predictions: object, references: object) -> np.ndarray:
        raise TypeError("a difference is made of rows, not of predictions")

    def reduce(self, statistics: np.ndarray) -> float:
        return self.metric.reduce(statistics[:, : self.columns]) - self.metric.reduce(statistics[:, self.columns :])

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        assert isinstance(self.metric, SumMetric)
        first = self.metric.from_totals(totals[..., : self.columns], n)
        return first - self.metric.from_totals(totals[..., self.columns :], n)


def _by_rows(metric: SumMetric | _Difference, rows: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    n = len(rows)
    distinct, count = _distinct(rows)
    scores = []
    step = max(1, CHUNK_NUMBERS // len(distinct))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        if len(distinct) < n / 2:
            counts = rng.multinomial(n, count / n, size=size).astype(np.float64)
        else:
            counts = _draw_counts(n, size, rng)
        scores.append(metric.from_totals(counts @ distinct, np.full(size, float(n))))
    return np.concatenate(scores)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct rows and their counts, or the rows themselves where most are distinct."""
    as_bytes = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, count = np.unique(as_bytes, return_index=True, return_counts=True)
    if len(first) < len(rows) / 2:
        return rows[first], count
    return rows, np.ones(len(rows))


def _draw_counts(n: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n samples comes when n are drawn with replacement, float64 [size, n]."""
    draws = rng.integers(0, n, (size, n), dtype=np.int32)
    draws += (np.arange(size, dtype=np.int32) * n)[:, None]
    return np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _by_clusters(
    metric: SumMetric | _Difference, rows: np.ndarray, clusters: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    _, number = np.unique(clusters, return_inverse=True)
    groups = int(number.max()) + 1
    sums = np.zeros((groups, rows.shape[1] + 1))
    np.add.at(sums, number, np.concatenate([rows, np.ones((len(rows), 1))], axis=1))
    scores = []
    step = max(1, CHUNK_NUMBERS // groups)
    for start in range(0, resamples, step):
        totals = _draw_counts(groups, min(step, resamples - start), rng) @ sums
        scores.append(metric.from_totals(totals[:, :-1], totals[:, -1]))
    return np.concatenate(scores)


def _by_index(
    metric: Metric, rows: np.ndarray, clusters: np.ndarray | None, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    if clusters is None:
        return np.array([metric.reduce(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(resamples)])
    _, number = np.unique(clusters, return_inverse=True)
    members = [np.flatnonzero(number == g) for g in range(int(number.max()) + 1)]
    scores = np.empty(resamples)
    for i in range(resamples):
        chosen = rng.integers(0, len(members), len(members))
        scores[i] = metric.reduce(rows[np.concatenate([members[c] for c in chosen])])
    return scores
