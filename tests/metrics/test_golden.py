"""Metrics and statistics against reference values of scikit-learn, scipy and statsmodels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rsbench_metrics.probability import ExpectedCalibrationError, MaximumCalibrationError
from rsbench_metrics.specs import METRICS

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build
from rsbench.metrics.intervals import holm, mcnemar_exact, wilson
from rsbench.tasks.classification import Predictions, breakdown

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "classification.json").read_text())["cases"]
STATISTICS = json.loads((GOLDEN / "statistics.json").read_text())
# Where the reference has variants: recall over present classes, F1 over the union of occurring ones.
NAMES = {
    "overall_accuracy": "overall_accuracy",
    "average_accuracy": "average_accuracy_present_classes",
    "macro_f1": "macro_f1_union_present",
    "weighted_f1": "weighted_f1",
    "cohen_kappa": "cohen_kappa",
    "mcc": "matthews_corrcoef",
    "top3_accuracy": "top3_accuracy",
    "top5_accuracy": "top5_accuracy",
    "nll": "nll",
    "ece": "ece_15",
    "mce": "mce_15",
    "brier": "brier_multiclass_sum",
    "overconfidence": "overconfidence",
}


def load(case: dict) -> tuple[Predictions, np.ndarray, MetricContext]:
    logits = np.array(case["logits"])
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = shifted / shifted.sum(1, keepdims=True)
    ids = [str(i) for i in range(len(logits))]
    predictions = Predictions(ids, np.array(case["predictions"]), probabilities)
    return predictions, np.array(case["targets"]), MetricContext("classification", tuple(case["class_names"]))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", NAMES)
def test_metric_equals_reference(case: str, name: str) -> None:
    predictions, targets, context = load(CASES[case])
    metric = build(next(m for m in METRICS if m.name == name), context)
    value = metric.reduce(metric.statistics(predictions, targets))
    expected = CASES[case]["expected"][NAMES[name]]
    assert np.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bins", [10, 20])
def test_other_bin_numbers(case: str, bins: int) -> None:
    predictions, targets, context = load(CASES[case])
    for metric, name in (
        (ExpectedCalibrationError(context, bins), "ece"),
        (MaximumCalibrationError(context, bins), "mce"),
    ):
        value = metric.reduce(metric.statistics(predictions, targets))
        assert value == pytest.approx(CASES[case]["expected"][f"{name}_{bins}"], abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_breakdown_equals_reference(case: str) -> None:
    predictions, targets, context = load(CASES[case])
    expected = CASES[case]["expected"]
    result = breakdown(predictions, targets, context.classes)
    assert result["confusion_matrix"] == expected["confusion_matrix"]
    for k, name in enumerate(context.classes):
        figures = result["class"][name]
        assert figures["n"] == expected["support"][k]
        assert figures["accuracy"] == pytest.approx(expected["per_class_accuracy"][k], abs=1e-9)
        assert (figures["f1"] or 0) == pytest.approx(expected["per_class_f1"][k], abs=1e-9)
    for ours, theirs in zip(result["reliability"], expected["reliability_15"], strict=True):
        assert ours["count"] == theirs["count"]
        assert ours["accuracy"] == pytest.approx(theirs["accuracy"], abs=1e-9)
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=1e-9)


def test_confidence_gap_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    predictions = Predictions(["a", "b", "c"], np.array([0, 0, 1]), probabilities)
    metric = build(next(m for m in METRICS if m.name == "confidence_gap"), MetricContext("classification", ("x", "y")))
    assert metric.reduce(metric.statistics(predictions, np.array([0, 1, 1]))) == pytest.approx(0.8 - 0.6)
    assert np.isnan(metric.reduce(metric.statistics(predictions, np.array([0, 0, 1]))))


def test_wilson() -> None:
    for row in STATISTICS["wilson_95"]:
        assert wilson(row["k"], row["n"]) == pytest.approx((row["low"], row["high"]), abs=1e-9)


def test_mcnemar() -> None:
    for row in STATISTICS["mcnemar_exact"]:
        assert mcnemar_exact(row["only_a_correct"], row["only_b_correct"]) == pytest.approx(row["p"], abs=1e-9)


def test_holm() -> None:
    assert holm(STATISTICS["holm"]["p"]) == pytest.approx(STATISTICS["holm"]["adjusted"], abs=1e-9)


def test_paired_difference_against_the_bootstrap() -> None:
    """The reference's interval is of resampled differences; ours by influence is the same to within the two methods."""
    from rsbench_metrics.confusion import OverallAccuracy

    from rsbench.metrics.influence import effects
    from rsbench.metrics.two_level import SeedTerm, single, summarize

    row = STATISTICS["paired_bootstrap"]
    metric = OverallAccuracy(MetricContext("classification"))
    a, b = (np.array(row[k], dtype=np.float64)[:, None] for k in "ab")
    apart = effects(metric, a - b)
    assert apart is not None
    found = single(summarize([metric.reduce(a) - metric.reduce(b)], [apart], len(a)), SeedTerm())
    assert found.value == pytest.approx(row["mean_difference"])
    assert found.interval == pytest.approx((row["low"], row["high"]), abs=0.0101)
