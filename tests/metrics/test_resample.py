from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.confusion import MacroF1, OverallAccuracy
from rsbench_metrics.probability import NegativeLogLikelihood
from rsbench_metrics.specs import METRICS
from scipy import stats

from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.evaluate import build, evaluate
from rsbench.metrics.influence import effects
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_intervals, replicates
from rsbench.tasks.classification import Predictions


def bootstrap_interval(metric: Metric, rows: np.ndarray, seed: int = 0) -> tuple[float, float] | None:
    return bootstrap_intervals([metric], [rows], resamples=10_000, seed=seed)[0]


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


@pytest.mark.parametrize("by_influence", [False, True])
def test_clusters_widen_the_interval(by_influence: bool) -> None:
    """Fifty copies of ten samples hold the information of ten samples."""
    few = np.array([1.0, 0, 1, 1, 0, 1, 1, 0, 1, 1])[:, None]
    copied = np.repeat(few, 50, axis=0)
    clusters = np.repeat(np.arange(10), 50)
    if by_influence:
        deviation = [np.sqrt((effects(ACCURACY, *case) ** 2).sum()) for case in ((few,), (copied, clusters), (copied,))]  # type: ignore[operator]
    else:
        deviation = [replicates([ACCURACY], [c[0]], *c[1:])[0].std() for c in ((few,), (copied, clusters), (copied,))]
    alone, together, naive = deviation
    assert together == pytest.approx(alone, rel=1e-9)
    assert naive < 0.2 * together


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


def test_order_of_the_file_does_not_matter() -> None:
    """Resampled metrics are drawn in the order of the ids, so that two files with the same rows have one interval."""
    predictions, truth = sample()
    order = np.random.default_rng(1).permutation(len(truth))
    assert predictions.probabilities is not None
    ids = [predictions.ids[i] for i in order]
    shuffled = Predictions(ids, predictions.labels[order], predictions.probabilities[order])
    first = evaluate(METRICS, predictions, truth, CONTEXT, primary="macro_f1")
    again = evaluate(METRICS, shuffled, truth[order], CONTEXT, primary="macro_f1")
    for name, entry in first.items():
        assert entry["ci95"] == pytest.approx(again[name]["ci95"], rel=1e-12), name
    assert {e["method"] for e in first.values()} == {"wilson", "influence-t", "bootstrap-percentile-2"}
    assert first["ece"]["method"] == first["mce"]["method"] == "bootstrap-percentile-2"


@pytest.mark.parametrize("case", ["all right", "one sample", "one cluster"])
def test_what_does_not_vary_has_no_interval(case: str) -> None:
    """Never one of no width, nor NaN; a proportion has Wilson's, which holds for all right and for a single sample."""
    predictions, truth = sample(1 if case == "one sample" else 60)
    truth = predictions.labels if case == "all right" else truth
    clusters = np.zeros(60) if case == "one cluster" else None
    found = evaluate(METRICS, predictions, truth, CONTEXT, primary="macro_f1", clusters=clusters)
    assert found["macro_f1"]["value"] is not None
    assert (found["macro_f1"]["ci95"], found["macro_f1"]["method"]) == (None, None)
    for name, entry in found.items():
        assert entry["ci95"] is None or entry["ci95"][0] < entry["ci95"][1], name
    if clusters is None:
        assert found["overall_accuracy"]["ci95"] == list(wilson(int((predictions.labels == truth).sum()), len(truth)))
    else:
        assert all(entry["ci95"] is None for entry in found.values())


def test_intervals_stay_in_the_range_of_their_metric() -> None:
    predictions, truth = sample(60)
    truth = predictions.labels.copy()
    truth[0] = (truth[0] + 1) % 4
    found = evaluate(METRICS, predictions, truth, CONTEXT, primary="macro_f1")
    assert found["macro_f1"]["ci95"][1] == 1.0


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
