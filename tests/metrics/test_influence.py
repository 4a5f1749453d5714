"""Influence values: derivatives by hand against differences, standard errors against the jackknife and the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.bleu import Bleu
from rsbench_metrics.probability import ExpectedCalibrationError
from rsbench_metrics.specs import METRICS
from rsbench_metrics.specs_vqa import VQA_METRICS

from rsbench.metrics.contract import Metric, MetricContext, SumMetric
from rsbench.metrics.evaluate import build
from rsbench.metrics.influence import effects, has_influence, influence
from rsbench.metrics.resample import replicates
from rsbench.tasks.classification import Predictions
from rsbench.tasks.vqa import AnswerReferences, Answers

CLASSES = MetricContext("classification", tuple("abcdefg"))  # g does not occur
TYPES = MetricContext("vqa", ("no", "yes"), ("comp", "count", "presence", "rural_urban"))


def classified(n: int) -> tuple[Predictions, np.ndarray]:
    rng = np.random.default_rng(n)
    truth = rng.integers(0, 6, n)
    logits = rng.normal(0, 1, (n, 7))
    logits[:, 6] = -9
    logits[np.arange(n), truth] += 2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions([f"{i:04d}" for i in range(n)], p.argmax(1), p), truth


def answered(n: int) -> tuple[Answers, AnswerReferences]:
    rng = np.random.default_rng(n)
    kinds, true = rng.integers(0, 4, n), rng.integers(0, 2, n)
    said, counts = np.where(rng.random(n) < 0.7, true, 1 - true), rng.integers(0, 20, n).astype(float)
    made = Answers([str(i) for i in range(n)], said, kinds, [""] * n, counts + rng.integers(-2, 3, n))
    return made, AnswerReferences(true, counts)


def cases(n: int) -> dict[str, tuple[Metric, np.ndarray]]:
    """Name -> metric and rows, of every metric that is a sum with derivatives."""
    found: dict[str, tuple[Metric, np.ndarray]] = {}
    for specs, context, outcome in ((METRICS, CLASSES, classified(n)), (VQA_METRICS, TYPES, answered(n))):
        for spec in specs:
            metric = build(spec, context)
            found[spec.name] = metric, metric.statistics(*outcome)
    rng = np.random.default_rng(n)
    length, closest = rng.integers(8, 14, n), rng.integers(9, 15, n)
    guesses = np.maximum(length[:, None] - np.arange(4), 0)
    rows = np.column_stack([length, closest, guesses, rng.binomial(guesses, [0.8, 0.5, 0.3, 0.2])]).astype(float)
    found["BLEU-4"] = Bleu(MetricContext("captioning"), 4), rows
    return {name: case for name, case in found.items() if has_influence(case[0])}


NAMES = sorted(cases(60))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_by_hand_are_those_by_differences(name: str) -> None:
    metric, rows = cases(400)[name]
    assert isinstance(metric, SumMetric)
    totals, n = metric.totals(rows), float(len(rows))
    assert totals == pytest.approx(metric.summands(rows).sum(axis=0))
    found = influence(metric, rows)
    assert found.mean() == pytest.approx(0, abs=1e-12)
    slope = metric.summands(rows) @ SumMetric.gradient(metric, totals, n)
    assert found == pytest.approx(n * (slope - slope.mean()), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("clustered", [False, True])
def test_standard_error_is_that_of_the_jackknife(name: str, clustered: bool) -> None:
    metric, rows = cases(400)[name]
    clusters = np.arange(400) // 5 if clustered else None
    units = np.arange(400) if clusters is None else clusters
    left_out = np.array([metric.reduce(rows[units != u]) for u in np.unique(units)])
    jackknife = np.sqrt((len(left_out) - 1) * left_out.var())
    found = effects(metric, rows, clusters)
    assert found is not None
    assert np.sqrt((found**2).sum()) == pytest.approx(jackknife, rel=0.03)


def test_covariance_of_two_systems_is_that_of_the_bootstrap() -> None:
    """Products of effects, by derivatives and from replicates, of two systems on the same samples."""
    spec = next(s for s in METRICS if s.name == "macro_f1")
    metric = build(spec, CLASSES)
    made, truth = classified(500)
    other = np.where(np.random.default_rng(1).random(500) < 0.1, 0, made.labels)
    a, b = metric.statistics(made, truth), metric.statistics(Predictions(made.ids, other), truth)
    x, y = effects(metric, a), effects(metric, b)
    drawn = replicates([metric] * 2, [a, b], resamples=20_000)
    assert x is not None
    assert y is not None
    assert x @ y == pytest.approx(np.cov(drawn)[0, 1], rel=0.05)


def test_a_metric_with_kinks_is_resampled() -> None:
    metric = ExpectedCalibrationError(CLASSES)
    rows = metric.statistics(*classified(300))
    assert not has_influence(metric)
    found = effects(metric, rows)
    assert found is not None
    assert len(found) == 2000
    assert (found**2).sum() == pytest.approx(replicates([metric], [rows])[0].var(ddof=1))


class Squared(SumMetric):
    """The square of a mean: a plugin's metric without derivatives of its own."""

    def statistics(self, predictions: np.ndarray, references: object) -> np.ndarray:
        return predictions

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        return (totals[..., 0] / n) ** 2


def test_a_plugins_metric_is_differentiated() -> None:
    rows = np.random.default_rng(0).normal(3, 1, (200, 1))
    mean = rows.mean()
    assert influence(Squared(), rows) == pytest.approx(2 * mean * (rows[:, 0] - mean), rel=1e-8)


def test_what_does_not_vary_has_no_effects() -> None:
    assert effects(Squared(), np.ones((1, 1))) is None
    assert effects(Squared(), np.ones((8, 1)), np.zeros(8)) is None
    assert effects(Squared(), np.array([[1.0], [np.nan]])) is None
    assert not effects(Squared(), np.ones((8, 1))).any()  # type: ignore[union-attr]
