"""Metrics of the confusion matrix.  A sample's statistics are the number of its cell."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from rsbench.metrics.contract import MeanMetric, MetricContext, SumMetric
from rsbench.tasks.classification import Predictions

Slope = tuple[np.ndarray, np.ndarray, np.ndarray]  # derivatives by right answers, references and predictions, [K] each


class OverallAccuracy(MeanMetric):
    """Share of samples whose predicted label is the reference.  Statistics [N, 1]: 1 where correct."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        """Return float64 [N, 1]."""
        return (predictions.labels == references).astype(np.float64)[:, None]


class ConfusionMetric(SumMetric):
    """A function of three numbers for each of K classes: right answers, references and predictions.

    Totals [..., 3 K] are these three one after another.
    """

    def __init__(self, context: MetricContext) -> None:
        self.classes = len(context.classes)

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        """Return the cell of each sample, reference * K + prediction, float64 [N, 1]."""
        return (references * self.classes + predictions.labels).astype(np.float64)[:, None]

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        """Return float64 [N, 3 K]: ones for the class if right, for that of the reference and for the predicted one."""
        true, said = self._classes_of(statistics)
        rows = np.zeros((len(statistics), 3, self.classes))
        at = np.arange(len(statistics))
        rows[at, 0, true] = true == said
        rows[at, 1, true] = rows[at, 2, said] = 1.0
        return rows.reshape(len(statistics), -1)

    def totals(self, statistics: np.ndarray) -> np.ndarray:
        """Return the sums [3 K], by counting."""
        true, said = self._classes_of(statistics)
        parts = (true[true == said], true, said)
        return np.concatenate([np.bincount(part, minlength=self.classes) for part in parts]).astype(np.float64)

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weight of each sample's reference and prediction, and of being right [N]."""
        right, reference, predicted = weights.reshape(3, self.classes)
        true, said = self._classes_of(statistics)
        return reference[true] + predicted[said] + np.where(true == said, right[true], 0.0)

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Score the three numbers of each class."""
        right, support, predicted = np.moveaxis(totals.reshape(*totals.shape[:-1], 3, self.classes), -2, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.score(right, support, predicted, n)

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Return the derivatives [3 K]; 0 for a class that does not occur."""
        with np.errstate(divide="ignore", invalid="ignore"):
            right, support, predicted = totals.reshape(3, self.classes)
            found = np.concatenate(self.slope(right, support, predicted, n))
        return np.where(np.isfinite(found), found, 0.0)

    def _classes_of(self, statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return classes of references and of predictions, int64 [N]."""
        true, said = np.divmod(statistics[:, 0].astype(np.int64), self.classes)
        return true, said

    @abstractmethod
    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Return scores [...] of right answers, references and predictions [..., K] of n [...] samples.

        Args:
            right, support, predicted: [..., K], samples of each class that are predicted right, that there are, and
                that are predicted to be of it.
            n: [...], samples.
        """

    @abstractmethod
    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Return the derivatives of the score by each [K].

        Args:
            right, support, predicted: [K], as for :meth:`score`.
            n: samples.
        """


class AverageAccuracy(ConfusionMetric):
    """Mean recall over classes with at least one reference (scikit-learn's ``balanced_accuracy_score``)."""

    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Mean over present classes of correct / support."""
        return np.where(support > 0, right / support, 0.0).sum(-1) / (support > 0).sum(-1)

    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Those of each recall, over the number of classes."""
        share = 1 / support / (support > 0).sum()
        return share, -share * right / support, np.zeros(len(right))


class MacroF1(ConfusionMetric):
    """Mean F1 over the union of classes that occur in references or predictions."""

    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Mean over occurring classes of 2 TP / (support + predicted)."""
        return _f1(right, support, predicted).sum(-1) / (support + predicted > 0).sum(-1)

    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Those of each F1, over the number of classes."""
        share = 1 / (support + predicted) / (support + predicted > 0).sum()
        lost = -share * _f1(right, support, predicted)
        return 2 * share, lost, lost


class WeightedF1(ConfusionMetric):
    """F1 weighted by the number of references of each class."""

    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Support-weighted mean of F1."""
        return (_f1(right, support, predicted) * support).sum(-1) / n

    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Those of each F1 and of its weight."""
        f1, share = _f1(right, support, predicted), support / (support + predicted) / n
        return 2 * share, f1 / n - share * f1, -share * f1


class CohenKappa(ConfusionMetric):
    """(po - pe) / (1 - pe); NaN where references and predictions are one and the same class throughout."""

    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Observed against expected agreement."""
        observed = right.sum(-1) / n
        expected = (support * predicted).sum(-1) / np.square(n)
        return np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)

    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Those of observed and expected agreement."""
        expected = (support * predicted).sum() / n**2
        lost = (right.sum() / n - 1) / (1 - expected) ** 2 / n**2
        return np.full(len(right), 1 / n / (1 - expected)), lost * predicted, lost * support


class MatthewsCorrelation(ConfusionMetric):
    """R_K of Gorodkin 2004; 0 where a denominator is 0, as in scikit-learn."""

    def score(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Covariance of references and predictions over their standard deviations."""
        covariance = right.sum(-1) * n - (support * predicted).sum(-1)
        spread = (np.square(n) - (support**2).sum(-1)) * (np.square(n) - (predicted**2).sum(-1))
        return np.where(spread > 0, covariance / np.sqrt(spread), 0.0)

    def slope(self, right: np.ndarray, support: np.ndarray, predicted: np.ndarray, n: float) -> Slope:
        """Those of the covariance and of both variances."""
        score = self.score(right, support, predicted, n)
        of_support, of_predicted = n**2 - (support**2).sum(), n**2 - (predicted**2).sum()
        scale = np.sqrt(of_support * of_predicted)
        return (
            np.full(len(right), n / scale),
            score * support / of_support - predicted / scale,
            score * predicted / of_predicted - support / scale,
        )


def _f1(right: np.ndarray, support: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return F1 per class; 0 where it does not occur."""
    total = support + predicted
    return np.where(total > 0, 2 * right / total, 0.0)
