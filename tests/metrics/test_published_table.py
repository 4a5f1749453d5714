"""The per-class results that BMTA's paper reports, as counts: 3938 of 4050 correct."""

from __future__ import annotations

import numpy as np
import pytest
from rsbench_metrics.specs import METRICS

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate
from rsbench.tasks.classification import Predictions, breakdown

SUPPORT = (472, 442, 458, 391, 378, 299, 379, 450, 375, 406)
CORRECT = (451, 436, 450, 378, 373, 292, 358, 440, 361, 399)
PERCENT = (95.55, 98.64, 98.25, 96.68, 98.68, 97.66, 94.46, 97.78, 96.27, 98.28)


def test_counts_give_the_reported_figures() -> None:
    """The errors' columns are not reported; spread over the other classes, kappa is the printed one to its digits."""
    truth = np.repeat(np.arange(10), SUPPORT)
    labels = truth.copy()
    for k, (n, right) in enumerate(zip(SUPPORT, CORRECT, strict=True)):
        wrong = np.flatnonzero(truth == k)[: n - right]
        labels[wrong] = (k + 1 + np.arange(len(wrong)) % 9) % 10
    predictions = Predictions([str(i) for i in range(len(truth))], labels)
    classes = tuple("abcdefghij")
    found = evaluate(METRICS, predictions, truth, MetricContext("classification", classes), primary="overall_accuracy")
    assert found["overall_accuracy"]["value"] == pytest.approx(3938 / 4050, abs=1e-12)
    assert found["overall_accuracy"]["ci95"] == pytest.approx((0.9668, 0.9769), abs=2e-4)
    assert found["cohen_kappa"]["value"] == pytest.approx(0.9692, abs=5e-5)
    assert found["mcc"]["value"] == pytest.approx(0.9692, abs=5e-5)
    recalls = [figures["accuracy"] * 100 for figures in breakdown(predictions, truth, classes)["class"].values()]
    assert recalls == pytest.approx(PERCENT, abs=0.00501)
    assert found["average_accuracy"]["value"] * 100 == pytest.approx(np.mean(recalls))
