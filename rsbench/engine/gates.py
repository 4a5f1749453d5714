"""Smell gates: signs that a result is not what it claims to be.  A row that fails one is flagged and unranked."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.engine.data import RunData
from rsbench.files import write_atomically
from rsbench.metrics.intervals import wilson
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.classification import Predictions
from rsbench.tasks.context import ModelContext

BASELINE: Final = "pixel-statistics"


def check(plan: RunPlan, data: RunData, context: ModelContext, made: Predictions) -> list[dict[str, Any]]:
    """Return the gates of a test evaluation of a classifier."""
    assert made.probabilities is not None
    targets = data.store.labels[data.test]
    correct = int((made.labels == targets).sum())
    results = [above_chance(correct, targets), not_collapsed(made.labels, made.probabilities)]
    floor = baseline_accuracy(plan, data, context)
    if floor is not None:
        results.append(above_baseline(correct / len(targets), floor))
    return results


def above_chance(correct: int, targets: np.ndarray) -> dict[str, Any]:
    """The lower end of Wilson's interval lies above the share of the commonest class."""
    chance = float(np.bincount(targets).max() / len(targets))
    low, _ = wilson(correct, len(targets))
    detail = f"lower end {low:.4f}, commonest class {chance:.4f}"
    return {"name": "gate:above-chance", "ok": bool(low > chance), "detail": detail}


def above_baseline(accuracy: float, floor: float) -> dict[str, Any]:
    """The accuracy lies above that of a linear model on band means and standard deviations."""
    detail = f"accuracy {accuracy:.4f}, {BASELINE} {floor:.4f}"
    return {"name": "gate:above-pixel-statistics", "ok": accuracy > floor, "detail": detail}


def not_collapsed(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """More than one class is predicted and the outputs differ between images."""
    spread = float(probabilities.std(axis=0).max())
    detail = f"{len(np.unique(labels))} classes predicted, largest spread of a probability {spread:.2e}"
    return {"name": "gate:not-collapsed", "ok": len(np.unique(labels)) > 1 and spread > 1e-6, "detail": detail}


def baseline_accuracy(plan: RunPlan, data: RunData, context: ModelContext) -> float | None:
    """Test accuracy of the pixel-statistics control under this protocol, kept beside the store; ``None`` if the
    control is not installed."""
    if BASELINE not in registry().specs("model"):
        return None
    path = Path(data.store.path) / "gates" / f"{plan.protocol['fingerprint'][:16]}.json"
    if path.is_file():
        return float(json.loads(path.read_text())["accuracy"])
    spec = registry().get("model", BASELINE)
    estimator = load_attribute(spec.factory)(context)
    estimator.fit(data.blocks(data.store.image_index[data.train]), data.store.labels[data.train])
    test = data.store.image_index[data.test]
    predicted = np.concatenate([estimator.predict(b).argmax(1) for b in data.blocks(test)])
    accuracy = float((predicted == data.store.labels[data.test]).mean())
    with suppress(OSError):  # a read-only store: the control is fitted again next time
        write_atomically(path, json.dumps({"accuracy": accuracy}))
    return accuracy
