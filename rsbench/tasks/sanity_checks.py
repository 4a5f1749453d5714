"""Sanity checks that follow from what a system predicted, and what they come to when that is read again.

A sanity check is a check of a record, ``{"name", "ok", "detail"}``, whose name begins with ``gate:``, as such checks
were called first: verification makes them again, under the names that records have.  The engine makes those that need
the training data too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.intervals import wilson

BASELINE: Final = "pixel-statistics"
CHANCE: Final = "gate:above-chance"
ABOVE_BASELINE: Final = "gate:above-pixel-statistics"
COLLAPSED: Final = "gate:not-collapsed"

SanityCheck = dict[str, Any]


def above_chance(correct: int, targets: np.ndarray) -> SanityCheck:
    """The lower end of Wilson's interval lies above the share of the most frequent class."""
    chance = float(np.bincount(targets).max() / len(targets))
    low, _ = wilson(correct, len(targets))
    return {
        "name": CHANCE,
        "ok": bool(low > chance),
        "detail": f"lower end {low:.4f}, most frequent class {chance:.4f}",
    }


def above_baseline(accuracy: float, floor: float) -> SanityCheck:
    """The accuracy lies above that of a linear model on band means and standard deviations."""
    detail = f"accuracy {accuracy:.4f}, {BASELINE} {floor:.4f}"
    return {"name": ABOVE_BASELINE, "ok": accuracy > floor, "detail": detail}


def not_collapsed(labels: np.ndarray, probabilities: np.ndarray) -> SanityCheck:
    """More than one class is predicted and the outputs differ between images."""
    spread = float(probabilities.std(axis=0).max())
    detail = f"{len(np.unique(labels))} classes predicted, largest spread of a probability {spread:.2e}"
    return {"name": COLLAPSED, "ok": len(np.unique(labels)) > 1 and spread > 1e-6, "detail": detail}


def decided(value: float, floor: float) -> bool:
    """Whether a value lies above or below a printed floor for certain."""
    return abs(value - floor) > 1e-4


def spread_is_kept(labels: np.ndarray, probabilities: np.ndarray) -> bool:
    """Whether probabilities kept as float16 still tell whether outputs had collapsed."""
    return len(np.unique(labels)) == 1 or float(probabilities.std(axis=0).max()) > 1e-3


def same_detail(a: str, b: str) -> bool:
    """Whether two details of a sanity check say the same, numbers up to the last digit printed.

    A spread, printed with an exponent, may differ by what is lost as probabilities are kept as float16.
    """
    words = [text.replace(",", " ").replace("commonest", "most frequent").split() for text in (a, b)]
    return len(words[0]) == len(words[1]) and all(map(_same_word, *words))


def _same_word(a: str, b: str) -> bool:
    try:
        x, y = float(a), float(b)
    except ValueError:
        return a == b
    return math.isclose(x, y, rel_tol=1e-2, abs_tol=1e-3) if "e" in a else abs(x - y) < 1.01e-4


def floor_of(checks: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return what the sanity check called *name* was held against: the last number of its detail, which cannot be
    computed without the training data; ``None`` where it has none."""
    words = next((str(check["detail"]).split() for check in checks if check["name"] == name), [])
    try:
        return float(words[-1]) if words else None
    except ValueError:
        return None
