"""The bootstrap: percentile intervals and paired differences, over samples or over clusters of samples.

A :class:`SumMetric` is resampled as a matrix product: resampled totals are counts [R, U] times summands [U, m].
Drawing the counts of distinct rows from a multinomial is exactly drawing samples with replacement.  The same seed and
number of samples give the same draws whatever is evaluated beside a metric, and in whatever chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric

RESAMPLES: Final = 10_000
CHUNK_NUMBERS: Final = 4_000_000  # numbers held at once, of each kind

# Given a generator and a number of resamples, how often each row is drawn: float64 [resamples, U].
Draw = Callable[[np.random.Generator, int], np.ndarray]


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
    return bootstrap_intervals([metric], [statistics], clusters, resamples=resamples, level=level, seed=seed)[0]


def bootstrap_intervals(
    metrics: Sequence[Metric],
    statistics: Sequence[np.ndarray],
    clusters: np.ndarray | None = None,
    *,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> list[tuple[float, float] | None]:
    """Return the interval of each metric over its rows [N, k]: the same as one by one, but drawn once for all."""
    drawn = resampled_scores(metrics, statistics, clusters, resamples=resamples, seed=seed)
    return [percentile_interval(scores, level) for scores in drawn]


def percentile_interval(scores: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """Return the middle share *level* of resampled scores [R]; ``None`` where none is finite."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
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
    denominator so that it is never 0.  Resamples in which the metric is undefined do not count.
    """
    joint = _SumDifference(metric, a.shape[1]) if isinstance(metric, SumMetric) else _Difference(metric, a.shape[1])
    rows = np.concatenate([a, b], axis=1)
    scores = resampled_scores([joint], [rows], clusters, resamples=resamples, seed=seed)[0]
    return paired_result(scores, metric.reduce(a) - metric.reduce(b), level)


def paired_result(scores: np.ndarray, difference: float, level: float = 0.95) -> PairedResult:
    """Sum up resampled differences *scores* [R] of two systems whose observed one is *difference*."""
    low, high = percentile_interval(scores, level) or (np.nan, np.nan)
    return PairedResult(difference, low, high, two_sided(scores))


def two_sided(scores: np.ndarray) -> float:
    """Return the p-value of resampled differences *scores* [R], as :func:`paired_bootstrap` defines it."""
    finite = scores[np.isfinite(scores)]
    below, above = (finite <= 0).sum() + 1, (finite >= 0).sum() + 1
    return float(min(1.0, 2 * min(below, above) / (len(finite) + 1)))


def resampled_scores(
    metrics: Sequence[Metric],
    statistics: Sequence[np.ndarray],
    clusters: np.ndarray | None,
    *,
    resamples: int,
    seed: int,
) -> list[np.ndarray]:
    """Return the score of each resample for each metric, float64 [resamples]."""
    number = cluster_numbers(clusters)
    scores: dict[int, np.ndarray] = {}
    pools: dict[bytes, _Pool] = {}
    for i, (metric, rows) in enumerate(zip(metrics, statistics, strict=True)):
        if isinstance(metric, SumMetric):
            pool = _pool(metric, rows, number)
            pools.setdefault(pool.key, pool).add(metric, i)
        else:
            scores[i] = _by_index(metric, rows, number, resamples, _generator(seed))
    alike: dict[bytes, list[_Pool]] = {}
    for pool in pools.values():
        alike.setdefault(pool.draw_key, []).append(pool)
    for group in alike.values():
        scores |= _by_product(group, resamples, _generator(seed))
    return [scores[i] for i in range(len(metrics))]


def cluster_numbers(clusters: np.ndarray | None) -> np.ndarray | None:
    """Number clusters [N] from 0, in the order of their names."""
    return None if clusters is None else np.unique(clusters, return_inverse=True)[1].ravel()


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


class _Difference(Metric):
    """Score of the first columns minus that of the rest."""

    def __init__(self, metric: Metric, columns: int) -> None:
        self.metric, self.columns = metric, columns

    def statistics(self, predictions: object, references: object) -> np.ndarray:
        raise TypeError("a difference is made of rows, not of predictions")

    def reduce(self, statistics: np.ndarray) -> float:
        return self.metric.reduce(statistics[:, : self.columns]) - self.metric.reduce(statistics[:, self.columns :])


class _SumDifference(SumMetric):
    """The same for metrics of sums; the halves of its summands are those of the two systems."""

    def __init__(self, metric: SumMetric, columns: int) -> None:
        self.metric, self.columns = metric, columns

    def statistics(self, predictions: object, references: object) -> np.ndarray:
        raise TypeError("a difference is made of rows, not of predictions")

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        halves = (statistics[:, : self.columns], statistics[:, self.columns :])
        return np.concatenate([self.metric.summands(half) for half in halves], axis=1)

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        half = totals.shape[-1] // 2
        return self.metric.from_totals(totals[..., :half], n) - self.metric.from_totals(totals[..., half:], n)


class _Pool:
    """What is drawn from: summands [U, m], the samples in each of the U, and the metrics that are made of them.

    Attributes:
        draw_key: of how it is drawn; pools that are drawn alike share the counts.
        key: of the content too; metrics of the same totals share those.
    """

    def __init__(self, summands: np.ndarray, samples: np.ndarray, draw: Draw, draw_key: bytes) -> None:
        self.summands, self.samples, self.draw, self.draw_key = summands, samples, draw, draw_key
        self.key = b"|".join([draw_key, str(summands.shape).encode(), summands.tobytes()])
        self.members: list[tuple[SumMetric, int]] = []

    def add(self, metric: SumMetric, position: int) -> None:
        self.members.append((metric, position))


def _pool(metric: SumMetric, rows: np.ndarray, number: np.ndarray | None) -> _Pool:
    """Clusters, or distinct rows where these are less than half of all, or else samples."""
    n = len(rows)
    _, first, place, count = np.unique(_as_bytes(rows), return_index=True, return_inverse=True, return_counts=True)
    repeated = len(first) < n / 2
    if number is not None:
        size = np.bincount(number)
        if repeated:
            sums = _cross_table(number, place.ravel()) @ metric.summands(rows[first])
        else:
            sums = sum_by_cluster(metric.summands(rows), number)
        return _Pool(sums, size.astype(np.float64), uniform_draw(len(size)), b"clusters" + size.tobytes())
    if not repeated:
        return _Pool(metric.summands(rows), np.ones(n), uniform_draw(n), b"samples")
    # In the order of their summands, so that draws do not depend on how a metric writes its rows.
    summands = metric.summands(rows[first])
    order = np.argsort(_as_bytes(summands), kind="stable")
    shares = count[order] / n
    return _Pool(summands[order], np.ones(len(order)), _multinomial(n, shares), b"distinct" + shares.tobytes())


def sum_by_cluster(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Sum values [N, m] of each cluster; *number* [N] holds every cluster's number, from 0."""
    size = np.bincount(number)
    return np.add.reduceat(values[np.argsort(number, kind="stable")], np.cumsum(size) - size, axis=0)


def _cross_table(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return how often each pair of whole numbers occurs, float64 [max a + 1, max b + 1]."""
    columns = int(b.max()) + 1
    table = np.bincount(a * columns + b, minlength=(int(a.max()) + 1) * columns)
    return table.reshape(-1, columns).astype(np.float64)


def _as_bytes(rows: np.ndarray) -> np.ndarray:
    """View rows [N, k] as N opaque items, which sort faster than rows do."""
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def uniform_draw(n: int) -> Draw:
    """How often each of n rows comes when n are drawn with replacement."""

    def draw(rng: np.random.Generator, size: int) -> np.ndarray:
        draws = rng.integers(0, n, (size, n), dtype=np.int32)
        draws += (np.arange(size, dtype=np.int32) * n)[:, None]
        return np.bincount(draws.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)

    return draw


def _multinomial(n: int, shares: np.ndarray) -> Draw:
    """How often each distinct row comes when n samples are drawn with replacement."""
    return lambda rng, size: rng.multinomial(n, shares, size=size).astype(np.float64)


def _by_product(pools: Sequence[_Pool], resamples: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Return position -> scores for pools that are drawn alike: counts are drawn once for all."""
    scores: dict[int, list[np.ndarray]] = {i: [] for pool in pools for _, i in pool.members}
    step = max(1, CHUNK_NUMBERS // max(max(pool.summands.shape) for pool in pools))
    for start in range(0, resamples, step):
        counts = pools[0].draw(rng, min(step, resamples - start))
        n = counts @ pools[0].samples
        for pool in pools:
            totals = counts @ pool.summands
            for metric, i in pool.members:
                scores[i].append(np.asarray(metric.from_totals(totals, n)))
    return {i: np.concatenate(parts) for i, parts in scores.items()}


def _by_index(
    metric: Metric, rows: np.ndarray, number: np.ndarray | None, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw samples, or whole clusters, and score their rows: for metrics that are not functions of a sum."""
    if number is None:
        return np.array([metric.reduce(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(resamples)])
    members = [np.flatnonzero(number == g) for g in range(int(number.max()) + 1)]
    scores = np.empty(resamples)
    for i in range(resamples):
        chosen = rng.integers(0, len(members), len(members))
        scores[i] = metric.reduce(rows[np.concatenate([members[c] for c in chosen])])
    return scores
