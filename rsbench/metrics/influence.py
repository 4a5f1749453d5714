"""How much each sample, or cluster of samples, moves the score of one run: what standard errors are made of.

A metric of sums f(T) with T = sum of x_i has the influence values u_i = N (d_i - mean of d) with
d_i = sum over m of (df/dT_m) x_im, the infinitesimal jackknife (Efron 1982, The Jackknife, the Bootstrap and Other
Resampling Plans, chapter 6).  Any other metric has bootstrap replicates in their place.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric
from rsbench.metrics.resample import RESAMPLES, cluster_numbers, replicates, sum_by_cluster

ROUNDING: Final = 1e-13  # relative, of derivatives that are one number


def has_influence(metric: Metric) -> bool:
    """Whether a metric has influence values by derivatives; else it is resampled."""
    return isinstance(metric, SumMetric) and metric.smooth


def influence(metric: SumMetric, statistics: np.ndarray) -> np.ndarray:
    """Return the influence values of rows [N, k], float64 [N] with mean 0; NaN where a derivative is undefined."""
    n = float(len(statistics))
    with np.errstate(all="ignore"):
        slope = metric.weighted(statistics, metric.gradient(metric.totals(statistics), n))
        if np.ptp(slope) <= ROUNDING * np.abs(slope).max():
            return np.zeros(len(slope))
        return n * (slope - slope.mean())


def effects(
    metric: Metric, statistics: np.ndarray, clusters: np.ndarray | None = None, *, resamples: int = RESAMPLES
) -> np.ndarray | None:
    """Return numbers float64 [U] whose sum of squares is the sampling variance of the score.

    They are comparable between systems that are tested on the same samples: products of two systems' numbers sum to
    the covariance of their scores.

    Args:
        metric: of which the score is.
        statistics: rows [N, k], of all systems in the same order.
        clusters: [N], what samples share; then U is the number of clusters, else N.
        resamples: of metrics without derivatives; then U is this number.

    Returns:
        ``None`` where there are fewer than two units or the score varies in a way that is undefined.
    """
    number = cluster_numbers(clusters)
    units = units_of(statistics, clusters)
    if units < 2:
        return None
    if not has_influence(metric):
        return _from_replicates(replicates([metric], [statistics], clusters, resamples=resamples)[0])
    assert isinstance(metric, SumMetric)
    u = influence(metric, statistics)
    sums = u if number is None else sum_by_cluster(u, number)
    return sums / len(u) * np.sqrt(units / (units - 1)) if np.isfinite(sums).all() else None


def units_of(statistics: np.ndarray, clusters: np.ndarray | None) -> int:
    """Return the number of units that are drawn: clusters, or samples."""
    return len(statistics) if clusters is None else len(np.unique(clusters))


def _from_replicates(scores: np.ndarray) -> np.ndarray | None:
    """Resamples without a score count as if they had the mean; ``None`` where these are half of all or more."""
    finite = np.isfinite(scores)
    if 2 * finite.sum() <= len(scores):
        return None
    return np.where(finite, scores - scores[finite].mean(), 0.0) / np.sqrt(finite.sum() - 1)
