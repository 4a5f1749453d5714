"""The bootstrap, for metrics without influence values: scores of resamples over samples or clusters of samples.

What is drawn are units: samples in the order given, or clusters in the order of their names.  The same number of
units gives the same draws whatever the metric, the system and the seed; two systems are resampled alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric

RESAMPLES: Final = 2_000
CHUNK: Final = 250  # resamples drawn and summed at once


def replicates(
    metrics: Sequence[Metric],
    statistics: Sequence[np.ndarray],
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[np.ndarray]:
    """Return the score of each resample for each metric, float64 [resamples]; NaN where it is undefined.

    Args:
        metrics: K of them, scored on the same draws.
        resamples: how many draws.
        statistics: rows [N, k] for each metric.
        clusters: [N], what samples share; then clusters are drawn instead of samples.
        seed: of the draws.
    """
    if not metrics:
        return []
    number = cluster_numbers(clusters)
    sizes = np.ones(len(statistics[0])) if number is None else np.bincount(number).astype(np.float64)
    counts = _draw(len(sizes), resamples, seed)
    n = [chunk @ sizes if number is not None else np.full(len(chunk), sizes.sum()) for chunk in counts]
    made: list[tuple[np.ndarray, list[np.ndarray]]] = []  # summands, and their totals in the resamples
    scores = []
    for metric, rows in zip(metrics, statistics, strict=True):
        if not isinstance(metric, SumMetric):
            scores.append(_by_index(metric, rows, number, counts))
            continue
        summands = metric.summands(rows)
        summands = summands if number is None else sum_by_cluster(summands, number)
        totals = next((t for s, t in made if s.shape == summands.shape and np.array_equal(s, summands)), None)
        if totals is None:
            totals = [chunk.astype(np.float64) @ summands for chunk in counts]
            made.append((summands, totals))
        scores.append(np.concatenate([metric.from_totals(t, k) for t, k in zip(totals, n, strict=True)]))
    return scores


def bootstrap_intervals(
    metrics: Sequence[Metric],
    statistics: Sequence[np.ndarray],
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> list[tuple[float, float] | None]:
    """Return the percentile interval of each metric over its rows [N, k]; ``None`` where it is undefined.

    Args:
        metrics: K of them, scored on the same draws.
        statistics: rows [N, k] for each metric.
        resamples: how many draws.
        clusters: [N], what samples share; then clusters are drawn instead of samples.
        level: the share of resampled scores within.
        seed: of the draws.
    """
    drawn = replicates(metrics, statistics, clusters, resamples=resamples, seed=seed)
    return [percentile_interval(scores, level) for scores in drawn]


def percentile_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """Return the middle share *level* of resampled scores [R]; ``None`` where none is finite."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def cluster_numbers(clusters: np.ndarray | None) -> np.ndarray | None:
    """Number clusters [N] from 0, in the order of their names."""
    return None if clusters is None else np.unique(clusters, return_inverse=True)[1].ravel()


def sum_by_cluster(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Sum values [N, ...] of each cluster; *number* [N] holds every cluster's number, from 0."""
    size = np.bincount(number)
    return np.add.reduceat(values[np.argsort(number, kind="stable")], np.cumsum(size) - size, axis=0)


@lru_cache(maxsize=1)  # runs on one test set follow each other
def _draw(units: int, resamples: int, seed: int) -> list[np.ndarray]:
    """How often each unit is drawn, uint8 in chunks [CHUNK, units]; more than 255 times is beyond all chance."""
    rng = np.random.Generator(np.random.PCG64(seed))
    chunks = []
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        drawn = rng.integers(0, units, (size, units), dtype=np.int64)
        drawn += np.arange(size)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=size * units)
        chunks.append(counts.reshape(size, units).astype(np.uint8))
    return chunks


def _by_index(metric: Metric, rows: np.ndarray, number: np.ndarray | None, counts: Sequence[np.ndarray]) -> np.ndarray:
    """Score the rows of drawn samples or clusters themselves: for metrics that are not functions of a sum."""
    at = np.arange(len(rows))
    repeats = (count if number is None else count[number] for chunk in counts for count in chunk)
    return np.array([metric.reduce(rows[np.repeat(at, k)]) for k in repeats])
