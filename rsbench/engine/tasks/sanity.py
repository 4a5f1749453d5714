"""Sanity checks: signs that a result is not what it claims to be.  A row that fails one is flagged and unranked."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rsbench import reading
from rsbench.engine.input.run_data import RunData
from rsbench.files import write_atomically
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.classification import Predictions
from rsbench.tasks.context import ModelContext
from rsbench.tasks.sanity_checks import BASELINE, above_baseline, above_chance, not_collapsed


def check(plan: RunPlan, data: RunData, context: ModelContext, made: Predictions) -> list[dict[str, Any]]:
    """Return the sanity checks of a test evaluation of a classifier.

    Args:
        plan, data: of the run.
        context: what the baseline's factory is told.
        made: predictions of the test split, in its order, with probabilities [N, K].
    """
    assert made.probabilities is not None
    targets = data.store.labels[data.test]
    correct = int((made.labels == targets).sum())
    results = [above_chance(correct, targets), not_collapsed(made.labels, made.probabilities)]
    floor = baseline_accuracy(plan, data, context)
    if floor is not None:
        results.append(above_baseline(correct / len(targets), floor))
    return results


def baseline_accuracy(plan: RunPlan, data: RunData, context: ModelContext) -> float | None:
    """Test accuracy of the pixel-statistics baseline under this protocol, kept beside the store; ``None`` if the
    baseline is not installed."""
    if BASELINE not in registry().specs("model"):
        return None
    drawn = f"-s{plan.seed}" if plan.protocol.get("labels") else ""
    path = Path(data.store.path) / "gates" / f"{plan.protocol['fingerprint'][:16]}{drawn}.json"
    if (kept := _kept(path)) is not None:
        return kept
    spec = registry().get("model", BASELINE)
    estimator = load_attribute(spec.factory)(context)
    estimator.fit(data.blocks(data.store.image_index[data.train]), data.store.labels[data.train])
    test = data.store.image_index[data.test]
    predicted = np.concatenate([estimator.predict(b).argmax(1) for b in data.blocks(test)])
    accuracy = float((predicted == data.store.labels[data.test]).mean())
    with suppress(OSError):  # a read-only store: the baseline is fitted again next time
        write_atomically(path, json.dumps({"accuracy": accuracy}))
    return accuracy


def _kept(path: Path) -> float | None:
    """Return an accuracy that was kept; ``None`` where there is none, or what is there is damaged."""
    note = reading.kept(path)
    found = note.get("accuracy") if isinstance(note, dict) else None
    return found if isinstance(found, float) and 0 <= found <= 1 else None
