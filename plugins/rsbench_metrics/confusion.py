"""Metrics of the confusion matrix.  A sample's statistics are the number of its cell."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from rsbench.metrics.contract import MetricContext, SumMetric
from rsbench.tasks.classification import Predictions


class OverallAccuracy(SumMetric):
    """Share of samples whose predicted label is the reference.  Statistics [N, 1]: 1 where correct."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        """Return float64 [N, 1]."""
        return (predictions.labels == references).astype(np.float64)[:, None]

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Correct over all."""
        return totals[..., 0] / n


class ConfusionMetric(SumMetric):
    """A function of the confusion matrix [..., K, K], rows references, columns predictions."""

    def __init__(self, context: MetricContext) -> None:
        self.classes = len(context.classes)

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        """Return the cell of each sample, reference * K + prediction, float64 [N, 1]."""
        return (references * self.classes + predictions.labels).astype(np.float64)[:, None]

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        """Return float64 [N, K * K] with a 1 in each sample's cell."""
        rows = np.zeros((len(statistics), self.classes**2))
        rows[np.arange(len(statistics)), statistics[:, 0].astype(np.int64)] = 1.0
        return rows

    def reduce(self, statistics: np.ndarray) -> float:
        """Return the score of the confusion matrix of all samples."""
        matrix = np.bincount(statistics[:, 0].astype(np.int64), minlength=self.classes**2)
        return float(self.from_totals(matrix.astype(np.float64), float(len(statistics))))

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Reshape the totals to matrices and score them."""
        del n
        matrix = totals.reshape(*totals.shape[:-1], self.classes, self.classes)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.score(matrix)

    @abstractmethod
    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Return scores [...] of matrices [..., K, K]."""


class AverageAccuracy(ConfusionMetric):
    """Mean recall over classes with at least one reference (scikit-learn's ``balanced_accuracy_score``)."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Mean over present classes of correct / support."""
        support = matrix.sum(-1)
        recall = np.where(support > 0, _diagonal(matrix) / support, 0.0)
        return recall.sum(-1) / (support > 0).sum(-1)


class MacroF1(ConfusionMetric):
    """Mean F1 over the union of classes that occur in references or predictions."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Mean over occurring classes of 2 TP / (support + predicted)."""
        f1, _, occurs = _f1(matrix)
        return f1.sum(-1) / occurs.sum(-1)


class WeightedF1(ConfusionMetric):
    """F1 weighted by the number of references of each class."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Support-weighted mean of F1."""
        f1, support, _ = _f1(matrix)
        return (f1 * support).sum(-1) / support.sum(-1)


class CohenKappa(ConfusionMetric):
    """(po - pe) / (1 - pe); NaN where references and predictions are one and the same class throughout."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Observed against expected agreement."""
        n = matrix.sum((-1, -2))
        observed = _diagonal(matrix).sum(-1) / n
        expected = (matrix.sum(-1) * matrix.sum(-2)).sum(-1) / n**2
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)


class MatthewsCorrelation(ConfusionMetric):
    """R_K of Gorodkin 2004; 0 where a denominator is 0, as in scikit-learn."""

    def score(self, matrix: np.ndarray) -> np.ndarray:
        """Covariance of references and predictions over their standard deviations."""
        n = matrix.sum((-1, -2))
        support, predicted = matrix.sum(-1), matrix.sum(-2)
        covariance = _diagonal(matrix).sum(-1) * n - (support * predicted).sum(-1)
        spread = (n**2 - (support**2).sum(-1)) * (n**2 - (predicted**2).sum(-1))
        return np.where(spread > 0, covariance / np.sqrt(spread), 0.0)


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _f1(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return F1 per class (0 where it does not occur), support, and whether it occurs."""
    support, predicted = matrix.sum(-1), matrix.sum(-2)
    total = support + predicted
    return np.where(total > 0, 2 * _diagonal(matrix) / total, 0.0), support, total > 0
