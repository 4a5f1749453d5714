"""A plugin's metrics on a board: three seeds are their mean, whatever the metric is a function of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_board import add

from rsbench.leaderboard.measures import Measures
from rsbench.metrics.contract import MeanMetric, Metric, MetricContext, SumMetric
from rsbench.records.store import load_all
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.classification import Predictions


class Far(MeanMetric):
    """Mean distance of class numbers."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        return np.abs(predictions.labels - references).astype(np.float64)[:, None]


class RootOfFar(Far):
    """A function of a sum, without derivatives of its own."""

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        return np.sqrt(totals[..., 0] / n)

    gradient = SumMetric.gradient


class MedianFar(Metric):
    """No function of a sum."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        return 1.0 + np.abs(predictions.labels - references).astype(np.float64)[:, None]

    def reduce(self, statistics: np.ndarray) -> float:
        return float(np.quantile(statistics, 0.9))


@pytest.mark.parametrize("kind", [Far, RootOfFar, MedianFar])
def test_three_seeds_are_the_mean_of_theirs(
    kind: type[Metric], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for system in ("a", "b"):
        for seed in range(3):
            add(tmp_path, system, 0.89 - 0.02 * seed, seed)
    spec = MetricSpec(name="far", summary="", factory="none:here", higher_is_better=False, range=(0.0, None))
    known = registry().get
    monkeypatch.setattr(registry(), "get", lambda what, name: spec if name == "far" else known(what, name))
    monkeypatch.setattr("rsbench.metrics.evaluate.load_attribute", lambda factory: kind)
    groups = [load_all(sorted(tmp_path.glob(f"{system}-*"))) for system in "ab"]
    values = []
    for loaded in groups[0]:
        path = loaded.artifact("predictions")
        assert path is not None
        from rsbench.tasks.task import get_task

        outcome = get_task("classification").read(path)
        metric = kind(MetricContext("classification"))  # type: ignore[call-arg]
        values.append(metric.reduce(metric.statistics(outcome.predictions, outcome.references)))
        loaded.record["metrics"]["far"] = {"value": values[-1]}
    for loaded in groups[1]:
        loaded.record["metrics"]["far"] = {"value": None}
    measures = Measures(groups, [False, False])
    measures.read(["far"], asked=(0, 1))
    found = measures.of(0, "far")
    assert found is not None
    assert found.system.scores == pytest.approx(values, abs=1e-12)
    assert found.system.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.system.s2 == pytest.approx(np.var(values, ddof=1))
    result, over_seeds = measures.difference(0, 1, "far")
    assert over_seeds
    assert result.se > 0
