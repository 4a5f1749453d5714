from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.confusion import MacroF1, OverallAccuracy
from rsbench_metrics.declared import METRICS
from rsbench_metrics.probability import NegativeLogLikelihood
from scipy import stats

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build, evaluate
from rsbench.metrics.resample import bootstrap_interval, paired_bootstrap
from rsbench.tasks.classification import Predictions

CONTEXT = MetricContext("classification", tuple("abcd"))
ACCURACY = OverallAccuracy(CONTEXT)


def sample(n: int = 500, seed: int = 0) -> tuple[Predictions, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    logits = rng.normal(0, 1, (n, 4))
    logits[np.arange(n), truth] += 1.5
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions([str(i) for i in range(n)], p.argmax(1), p), truth


def test_interval_agrees_with_scipy() -> None:
    predictions, truth = sample()
    for metric in (ACCURACY, NegativeLogLikelihood(CONTEXT)):
        rows = metric.statistics(predictions, truth)
        theirs = stats.bootstrap((rows[:, 0],), np.mean, method="percentile", random_state=1).confidence_interval
        assert bootstrap_interval(metric, rows) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_product_form_equals_index_form() -> None:
    """The shortcut for sums against plain resampling of indices through reduce."""
    predictions, truth = sample(200)
    metric = MacroF1(CONTEXT)
    rows = metric.statistics(predictions, truth)
    rng = np.random.default_rng(3)
    plain = [metric.reduce(rows[rng.integers(0, 200, 200)]) for _ in range(3000)]
    assert bootstrap_interval(metric, rows) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.01)


def test_seed_fixes_the_interval() -> None:
    predictions, truth = sample()
    metric = NegativeLogLikelihood(CONTEXT)
    rows = metric.statistics(predictions, truth)
    assert bootstrap_interval(metric, rows, seed=1) == bootstrap_interval(metric, rows, seed=1)
    assert bootstrap_interval(metric, rows, seed=1) != bootstrap_interval(metric, rows, seed=2)


def test_clusters_widen_the_interval() -> None:
    """Fifty copies of ten samples hold the information of ten samples."""
    few = np.array([1.0, 0, 1, 1, 0, 1, 1, 0, 1, 1])[:, None]
    copied = np.repeat(few, 50, axis=0)
    clusters = np.repeat(np.arange(10), 50)
    alone = bootstrap_interval(ACCURACY, few)
    together = bootstrap_interval(ACCURACY, copied, clusters)
    naive = bootstrap_interval(ACCURACY, copied)
    assert alone is not None
    assert together is not None
    assert naive is not None
    assert together == pytest.approx(alone, abs=0.051)
    assert naive[1] - naive[0] < 0.4 * (together[1] - together[0])


def test_paired_difference() -> None:
    rng = np.random.default_rng(0)
    a = (rng.random(800) < 0.9).astype(float)[:, None]
    b = a.copy()
    b[np.flatnonzero(a)[:30]] = 0
    found = paired_bootstrap(ACCURACY, a, b)
    assert found.difference == pytest.approx(30 / 800)
    assert 0 < found.low < found.difference < found.high
    assert found.p < 0.001
    same = paired_bootstrap(ACCURACY, a, a)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    back = paired_bootstrap(ACCURACY, b, a)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low), abs=2e-3)


def test_order_of_samples_does_not_matter() -> None:
    predictions, truth = sample()
    order = np.random.default_rng(1).permutation(len(truth))
    assert predictions.probabilities is not None
    shuffled = Predictions(
        [predictions.ids[i] for i in order], predictions.labels[order], predictions.probabilities[order]
    )
    for spec in METRICS:
        metric = build(spec, CONTEXT)
        a = metric.reduce(metric.statistics(predictions, truth))
        assert a == pytest.approx(metric.reduce(metric.statistics(shuffled, truth[order])), rel=1e-12)


def test_evaluation_of_labels_alone() -> None:
    predictions, truth = sample()
    found = evaluate(METRICS, Predictions(predictions.ids, predictions.labels), truth, CONTEXT, primary="macro_f1")
    assert found["nll"]["value"] is None
    assert found["nll"]["ci95"] is None
    assert found["ece"]["value"] is found["confidence_gap"]["value"] is None
    assert found["macro_f1"]["primary"]
    assert found["overall_accuracy"]["method"] == "wilson"
    low, high = found["macro_f1"]["ci95"]
    assert low < found["macro_f1"]["value"] < high


def test_against_scikit_learn_on_random_cases() -> None:
    from sklearn import metrics as sk

    for seed in range(5):
        predictions, truth = sample(150, seed)
        theirs = {
            "overall_accuracy": sk.accuracy_score(truth, predictions.labels),
            "average_accuracy": sk.balanced_accuracy_score(truth, predictions.labels),
            "macro_f1": sk.f1_score(truth, predictions.labels, average="macro"),
            "cohen_kappa": sk.cohen_kappa_score(truth, predictions.labels),
            "mcc": sk.matthews_corrcoef(truth, predictions.labels),
            "nll": sk.log_loss(truth, predictions.probabilities),
        }
        found = evaluate(METRICS, predictions, truth, CONTEXT, primary="macro_f1")
        for name, value in theirs.items():
            assert found[name]["value"] == pytest.approx(value, abs=1e-12)
