"""Gates that follow from what a system said, and what they come to when that is read again.

A gate is a check of a record, ``{"name", "ok", "detail"}``; the engine makes those that need the training data too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.intervals import wilson

BASELINE: Final = "pixel-statistics"
CHANCE: Final = "gate:above-chance"
FLOOR: Final = "gate:above-pixel-statistics"
COMMONEST: Final = "gate:above-commonest-caption"
COLLAPSED: Final = "gate:not-collapsed"

Gate = dict[str, Any]


def above_chance(correct: int, targets: np.ndarray) -> Gate:
    """The lower end of Wilson's interval lies above the share of the commonest class."""
    chance = float(np.bincount(targets).max() / len(targets))
    low, _ = wilson(correct, len(targets))
    return {"name": CHANCE, "ok": bool(low > chance), "detail": f"lower end {low:.4f}, commonest class {chance:.4f}"}


def above_baseline(accuracy: float, floor: float) -> Gate:
    """The accuracy lies above that of a linear model on band means and standard deviations."""
    detail = f"accuracy {accuracy:.4f}, {BASELINE} {floor:.4f}"
    return {"name": FLOOR, "ok": accuracy > floor, "detail": detail}


def above_commonest(metric: str, value: float, floor: float) -> Gate:
    """The primary metric lies above that of the commonest training sentence, said of every image."""
    detail = f"{metric} {value:.4f}, one caption for all {floor:.4f}"
    return {"name": COMMONEST, "ok": value > floor, "detail": detail}


def not_collapsed(labels: np.ndarray, probabilities: np.ndarray) -> Gate:
    """More than one class is predicted and the outputs differ between images."""
    spread = float(probabilities.std(axis=0).max())
    detail = f"{len(np.unique(labels))} classes predicted, largest spread of a probability {spread:.2e}"
    return {"name": COLLAPSED, "ok": len(np.unique(labels)) > 1 and spread > 1e-6, "detail": detail}


def several_captions(captions: Sequence[str]) -> Gate:
    """More than one sentence is said."""
    distinct = len(set(captions))
    return {"name": COLLAPSED, "ok": distinct > 1, "detail": f"{distinct} distinct captions"}


def several_answers(answers: np.ndarray) -> Gate:
    """More than one answer is given."""
    given = len(np.unique(answers))
    return {"name": COLLAPSED, "ok": given > 1, "detail": f"{given} different answers"}


def decided(value: float, floor: float) -> bool:
    """Whether a value lies above or below a printed floor for certain."""
    return abs(value - floor) > 1e-4


def spread_is_kept(labels: np.ndarray, probabilities: np.ndarray) -> bool:
    """Whether probabilities kept as float16 still tell whether outputs had collapsed."""
    return len(np.unique(labels)) == 1 or float(probabilities.std(axis=0).max()) > 1e-3


def same_detail(a: str, b: str) -> bool:
    """Whether two details of a gate say the same, numbers up to the last digit printed.

    A spread, printed with an exponent, may differ by what is lost as probabilities are kept as float16.
    """
    words = [text.replace(",", " ").split() for text in (a, b)]
    return len(words[0]) == len(words[1]) and all(map(_same_word, *words))


def _same_word(a: str, b: str) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return math.isclose(x, y, rel_tol=1e-2, abs_tol=1e-3) if "e" in a else abs(x - y) < 1.01e-4


def floor_of(gates: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return what the gate called *name* was held against: the last number of its detail, which cannot be computed
    without the training data; ``None`` where it has none."""
    words = next((str(gate["detail"]).split() for gate in gates if gate["name"] == name), [])
    try:
        return float(words[-1]) if words else None
    except ValueError:
        return None
