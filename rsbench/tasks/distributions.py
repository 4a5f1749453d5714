"""Probabilities as people write them: rounded, or as logits; checked and divided by their sums."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError

FLOOR: Final = 2e-3  # bfloat16 moves a sum of 1 by 2**-9 at most
CEILING: Final = 0.5
FEWEST_TO_MENTION: Final = 1e-5  # what float32 loses


def matrix_of(entries: Mapping[str, Mapping[str, Any]], field: str, classes: int) -> np.ndarray:
    """Return float64 [N, K], the lists of numbers called *field* of entries by id.

    Raises:
        UserError: a list has another length, or holds what is no finite number; the sentence names the id.
    """
    return np.array([_row(entry[field], field, classes, name) for name, entry in entries.items()])


def _row(values: Any, field: str, classes: int, name: str) -> np.ndarray:
    if not isinstance(values, list) or len(values) != classes:
        count = len(values) if isinstance(values, list) else "no list of"
        raise UserError(
            f"Prediction '{name}' has {count} {field} for {classes} classes; where references lack a class, name all "
            "by --classes."
        )
    try:
        row = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        row = np.array(np.nan)
    if row.ndim != 1 or not np.isfinite(row).all() or any(isinstance(v, bool) for v in values):
        one = {"probabilities": "probability"}.get(field, "logit")
        raise UserError(f"Prediction '{name}' has a {one} that is not a finite number.")
    return row


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of logits, float64 [N, K] both."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def tolerance(values: np.ndarray) -> tuple[float, int | None]:
    """Return how far rounding can move the sum of a row of *values* [N, K], and to how many decimals they are rounded.

    Each number is off by half a unit of the last decimal at most, so K of them by K times that; 0.002 at least and 0.5
    at most.  More than six decimals are no rounding, ``None``.
    """
    for decimals in range(1, 7):
        if np.abs(values - values.round(decimals)).max() < 1e-9:
            return min(max(values.shape[1] * 0.5 * 10.0**-decimals, FLOOR), CEILING), decimals
    return FLOOR, None


def normalized(values: np.ndarray, ids: Sequence[str]) -> tuple[np.ndarray, str | None]:
    """Return *values* [N, K] divided by their sums, and a sentence on how far the sums were off.

    Raises:
        UserError: one is negative, or a sum is further from 1 than rounding can bring it; the sentence names the id.
    """
    hint = "for logits say --logits"
    lowest = values.min(axis=1)
    if lowest.min() < 0:
        row = int(lowest.argmin())
        raise UserError(f"Prediction '{ids[row]}' has a negative probability, {lowest[row]}; {hint}.")
    values = np.minimum(values, 1e6)  # 1e308 twice has no sum
    sums = np.array([math.fsum(row) for row in values.tolist()])
    off = np.abs(sums - 1)
    worst = int(off.argmax())
    allowed, decimals = tolerance(values)
    numbers = f"{values.shape[1]} numbers" + (f" of {decimals} decimals" if decimals else "")
    if off[worst] > allowed + 1e-9:
        raise UserError(
            f"The probabilities of prediction '{ids[worst]}' are not a distribution: they sum to {sums[worst]:.6g}, "
            f"and {numbers} may be off 1 by {allowed:.4g}. Divide them by their sum; {hint}."
        )
    note = None
    if off[worst] > FEWEST_TO_MENTION:
        note = (
            f"Probabilities were divided by their sums: that of prediction '{ids[worst]}' is furthest off 1, by "
            f"{off[worst]:.4g} ({numbers} may be off by {allowed:.4g})."
        )
    return values / sums[:, None], note
