"""Systems resampled together: the same scores as one by one, exact where they can be."""

from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.confusion import MacroF1, OverallAccuracy

from rsbench.metrics import joint
from rsbench.metrics.contract import Metric, MetricContext, SumMetric
from rsbench.metrics.joint import joint_scores
from rsbench.metrics.paired import RESAMPLES

CONTEXT = MetricContext("classification", tuple("abc"))


class Mean(SumMetric):
    """The mean of the rows."""

    def statistics(self, predictions: np.ndarray, references: object) -> np.ndarray:
        return predictions

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        return totals[..., 0] / n


class Median(Metric):
    """Not a function of a sum."""

    def statistics(self, predictions: np.ndarray, references: object) -> np.ndarray:
        return predictions

    def reduce(self, statistics: np.ndarray) -> float:
        return float(np.median(statistics))


def by_loops(metric: Metric, rows: np.ndarray, clusters: np.ndarray | None, resamples: int) -> np.ndarray:
    """The scores of whole resamples, drawn as the joint bootstrap draws: units with replacement, seed 0."""
    rng = np.random.Generator(np.random.PCG64(0))
    members = [[i] for i in range(len(rows))]
    if clusters is not None:
        members = [list(np.flatnonzero(clusters == c)) for c in np.unique(clusters)]
    drawn = rng.integers(0, len(members), (resamples, len(members)), dtype=np.int32)
    return np.array([metric.reduce(rows[[i for u in units for i in members[u]]]) for units in drawn])


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("kind", ["right-or-wrong", "over-three-seeds", "real-valued", "confusion"])
def test_against_loops(kind: str, clustered: bool) -> None:
    rng = np.random.default_rng(3)
    clusters = rng.integers(0, 12, 60) if clustered else None
    metric: Metric = Mean()
    if kind == "confusion":
        metric, systems = MacroF1(CONTEXT), [rng.integers(0, 9, (60, 1)).astype(float) for _ in range(3)]
    elif kind == "real-valued":
        systems = [rng.normal(size=(60, 1)) for _ in range(3)]
    else:
        seeds = 1 if kind == "right-or-wrong" else 3
        systems = [rng.integers(0, seeds + 1, (60, 1)) / seeds for _ in range(3)]
    found = list(joint_scores(metric, systems, clusters, resamples=50))
    assert len(found) == 3
    for scores, rows in zip(found, systems, strict=True):
        np.testing.assert_allclose(scores, by_loops(metric, rows, clusters, 50), rtol=0, atol=1e-12)


def test_a_metric_that_is_no_sum_is_drawn_alike_for_all() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 1))
    a, b = joint_scores(Median(), [rows, rows + 1], resamples=100)
    np.testing.assert_allclose(b - a, 1)


def test_blocks_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    systems = [rng.integers(0, 2, (80, 1)).astype(float) for _ in range(7)]
    whole = list(joint_scores(OverallAccuracy(CONTEXT), systems, resamples=300))
    monkeypatch.setattr(joint, "BLOCK_NUMBERS", 600)
    monkeypatch.setattr(joint, "CHUNK", 7)
    joint._draw.cache_clear()
    for a, b in zip(whole, joint_scores(OverallAccuracy(CONTEXT), systems, resamples=300), strict=True):
        np.testing.assert_array_equal(a, b)
    joint._draw.cache_clear()


def test_thirds_are_summed_exactly() -> None:
    """A system and its copy written otherwise differ by nothing at all, where float sums would."""
    rows = np.random.default_rng(2).integers(0, 4, (500, 1)) / 3
    assert (rows != 1 - (1 - rows)).any()
    a, b = joint_scores(Mean(), [rows, 1 - (1 - rows)], resamples=RESAMPLES)
    assert (a == b).all()
    assert (np.rint(a * 3 * 500) / 3 / 500 == a).all()


def test_no_system_has_no_scores() -> None:
    assert list(joint_scores(Mean(), [])) == []
