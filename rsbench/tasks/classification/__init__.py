"""Scene classification: one label of K for each image.

Network contract: ``forward(images: float32 [B, C, H, W]) -> logits float [B, K]``.
Estimator contract (``ModelSpec.kind == "estimator"``): see :class:`Estimator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Estimator(Protocol):
    """A model that is fitted in one go and not by gradient steps, such as a baseline.

    Images come as stored (``uint8`` or ``uint16`` [N, C, H, W]), in blocks, so that a set need not fit in memory.
    """

    def fit(self, blocks: Iterable[np.ndarray], labels: np.ndarray) -> None:
        """Fit to the training split: consecutive *blocks* of images whose lengths sum to ``len(labels)`` (int64)."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities float64 [N, K] whose rows sum to 1."""


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicted.

    Attributes:
        ids: sample ids, N of them, unique.
        labels: int64 [N], the predicted class (arg-max before any rounding).
        probabilities: float64 [N, K] with rows that sum to 1, or ``None`` where only labels are known.
    """

    ids: Sequence[str]
    labels: np.ndarray
    probabilities: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)


def confusion_matrix(labels: np.ndarray, references: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 [K, K]: rows references, columns predictions."""
    codes = references * classes + labels
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)


def breakdown(predictions: Predictions, references: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Return the record's ``by_group``: figures per class, the confusion matrix, and reliability bins.

    ``class[name]`` holds n, correct, accuracy (recall), precision and f1; ``None`` where a denominator is 0.
    """
    matrix = confusion_matrix(predictions.labels, references, len(classes))
    return {
        "class": {name: _class_figures(matrix, k) for k, name in enumerate(classes)},
        "confusion_matrix": matrix.tolist(),
        "reliability": reliability(predictions, references),
    }


def _class_figures(matrix: np.ndarray, k: int) -> dict[str, Any]:
    correct, support, predicted = int(matrix[k, k]), int(matrix[k].sum()), int(matrix[:, k].sum())
    return {
        "n": support,
        "correct": correct,
        "accuracy": correct / support if support else None,
        "precision": correct / predicted if predicted else None,
        "f1": 2 * correct / (support + predicted) if support + predicted else None,
    }


def reliability(predictions: Predictions, references: np.ndarray, bins: int = 15) -> list[dict[str, Any]] | None:
    """Return right-closed confidence bins with count, accuracy and mean confidence; ``None`` without probabilities."""
    if predictions.probabilities is None:
        return None
    confidence = predictions.probabilities[np.arange(len(references)), predictions.labels]
    number = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    correct = predictions.labels == references
    table = []
    for b in range(bins):
        inside = number == b
        count = int(inside.sum())
        table.append(
            {
                "low": b / bins,
                "high": (b + 1) / bins,
                "count": count,
                "accuracy": float(correct[inside].mean()) if count else None,
                "confidence": float(confidence[inside].mean()) if count else None,
            }
        )
    return table
