"""Many systems on the same samples, resampled together: intervals of each, and the difference of any two.

The counts of a resample serve all systems, so that a table costs one matrix product instead of one bootstrap a row
and one a pair of rows.  Where summands are multiples of 1/k for a small k, as numbers of right answers averaged over
k seeds are, the product is one of whole numbers in single precision: exact, and the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric
from rsbench.metrics.paired import RESAMPLES, cluster_numbers, resampled_scores, sum_by_cluster, uniform_draw

BLOCK_NUMBERS: Final = 8_000_000  # summands, or scores, of the systems that are resampled at once
CHUNK: Final = 1_000  # resamples drawn at once
LARGEST_SEEDS: Final = 12
LARGEST_EXACT: Final = 2**24  # of whole numbers in single precision


def joint_scores(
    metric: Metric,
    systems: Sequence[np.ndarray],
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Iterator[np.ndarray]:
    """Yield the resampled scores of each system, float64 [resamples], drawn alike for all.

    Args:
        systems: rows [N, k] of each, of the same samples in the same order.
        clusters: [N], the cluster of each sample; then clusters are drawn instead of samples.
    """
    if not isinstance(metric, SumMetric):
        for rows in systems:
            yield resampled_scores([metric], [rows], clusters, resamples=resamples, seed=seed)[0]
        return
    if not systems:
        return
    number = cluster_numbers(clusters)
    sizes = _summed(np.ones((len(systems[0]), 1)), number)
    counts = _draw(len(sizes), resamples, seed)
    width = metric.summands(systems[0][:1]).shape[1]
    step = max(1, BLOCK_NUMBERS // (width * max(len(sizes), resamples)))
    for start in range(0, len(systems), step):
        summed = [_summed(metric.summands(rows), number) for rows in systems[start : start + step]]
        yield from _block(metric, summed, counts, sizes)


def _summed(values: np.ndarray, number: np.ndarray | None) -> np.ndarray:
    return values if number is None else sum_by_cluster(values, number)


@lru_cache(maxsize=1)  # tables of one test set follow each other
def _draw(units: int, resamples: int, seed: int) -> list[np.ndarray]:
    """How often each unit is drawn, in chunks [CHUNK, units]; hardly ever more than 255 times."""
    rng, draw = np.random.default_rng(seed), uniform_draw(units)
    chunks = (draw(rng, min(CHUNK, resamples - start)) for start in range(0, resamples, CHUNK))
    return [c.astype(np.uint8 if c.max() < 256 else np.uint32) for c in chunks]


def _block(
    metric: SumMetric, summed: Sequence[np.ndarray], counts: Sequence[np.ndarray], sizes: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield the scores of systems whose summands [U, m] lie in one matrix."""
    width = summed[0].shape[1]
    matrix, scales = _whole(np.concatenate(summed, axis=1))
    totals, n = [], []
    for chunk in counts:
        drawn = chunk.astype(matrix.dtype)
        totals.append((drawn @ matrix).astype(np.float64) / scales)
        n.append((chunk.astype(np.float64) @ sizes)[:, 0])
    joined, number = np.concatenate(totals), np.concatenate(n)
    for i in range(len(summed)):
        yield np.asarray(metric.from_totals(joined[:, i * width : (i + 1) * width], number))


def _whole(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return *matrix* [U, M] times a factor for each column and these factors: whole numbers in single precision where
    factors up to 12 make them so, else the matrix itself."""
    scales = np.zeros(matrix.shape[1])
    for k in range(1, LARGEST_SEEDS + 1):
        left = np.flatnonzero(scales == 0)
        part = matrix[:, left] * k
        scales[left[(np.abs(part - np.rint(part)) < 1e-9).all(axis=0)]] = k
    bound = len(matrix) * np.abs(matrix * scales).max(initial=0)
    if (scales == 0).any() or bound >= LARGEST_EXACT:
        return matrix, np.ones(matrix.shape[1])
    return np.rint(matrix * scales).astype(np.float32), scales
