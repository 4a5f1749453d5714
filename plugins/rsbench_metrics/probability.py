"""Metrics of predicted probabilities.  They are undefined (NaN) where only labels were predicted."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

import numpy as np

from rsbench.metrics.contract import MeanMetric, MetricContext, SumMetric
from rsbench.tasks.classification import Predictions

SMALLEST: Final = np.finfo(np.float64).tiny


class ProbabilityMetric(SumMetric):
    """A metric whose rows come from probabilities float64 [N, K]."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Predictions, references: np.ndarray) -> np.ndarray:
        """Return rows float64 [N, k]; a single column of NaN where there are no probabilities."""
        if predictions.probabilities is None:
            return np.full((len(references), 1), np.nan)
        return self.rows(predictions.probabilities, predictions.labels, references)

    @abstractmethod
    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Return one row of statistics per sample."""


class MeanProbabilityMetric(MeanMetric, ProbabilityMetric):
    """The mean of one number a sample."""


class TopK(MeanProbabilityMetric):
    """Share of samples with fewer than k classes strictly more probable than, or tied with and before, the true one."""

    def __init__(self, context: MetricContext, k: int) -> None:
        super().__init__(context)
        self.k = k

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """1 where the reference is among the k most probable; ties go to the lower class number."""
        own = probabilities[np.arange(len(references)), references][:, None]
        before = np.arange(probabilities.shape[1])[None, :] < references[:, None]
        rank = ((probabilities > own) | ((probabilities == own) & before)).sum(1)
        return (rank < self.k).astype(np.float64)[:, None]


class NegativeLogLikelihood(MeanProbabilityMetric):
    """Mean of -ln p(reference), in nats; a probability of 0 counts as the smallest positive float64."""

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """-ln p of the reference."""
        own = probabilities[np.arange(len(references)), references]
        return -np.log(np.maximum(own, SMALLEST))[:, None]


class Brier(MeanProbabilityMetric):
    """Sum over classes of the squared error, in [0, 2]."""

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Squared distance to the one-hot reference."""
        own = probabilities[np.arange(len(references)), references]
        return ((probabilities**2).sum(1) - 2 * own + 1)[:, None]


class Overconfidence(MeanProbabilityMetric):
    """Mean top-1 probability minus accuracy: positive where a model is too sure."""

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Confidence minus correctness."""
        return (_confidence(probabilities, labels) - (labels == references))[:, None]


class ConfidenceGap(ProbabilityMetric):
    """Mean confidence of correct minus that of incorrect predictions; NaN where there are none of either."""

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """[confidence if correct, correct, confidence if incorrect, incorrect]."""
        confidence, correct = _confidence(probabilities, labels), (labels == references).astype(np.float64)
        return np.stack([confidence * correct, correct, confidence * (1 - correct), 1 - correct], axis=1)

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Difference of two means; NaN for rows without probabilities."""
        if totals.shape[-1] == 1:
            return np.full(totals.shape[:-1], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return totals[..., 0] / totals[..., 1] - totals[..., 2] / totals[..., 3]

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Those of the two means [4]."""
        del n
        sure, right, unsure, wrong = totals
        return np.array([1 / right, -sure / right**2, -1 / wrong, unsure / wrong**2])


class ExpectedCalibrationError(ProbabilityMetric):
    """Sum over bins of n_b / N |accuracy - confidence|, in ``bins`` equal-width, right-closed bins (i/b, (i+1)/b].

    It is resampled: of a model that is well calibrated most bins' gaps lie near 0, where the absolute value has a kink.
    """

    smooth = False

    def __init__(self, context: MetricContext, bins: int = 15) -> None:
        super().__init__(context)
        self.bins = bins

    def rows(self, probabilities: np.ndarray, labels: np.ndarray, references: np.ndarray) -> np.ndarray:
        """[correctness - confidence in its bin (bins columns), count in its bin (bins columns)]."""
        confidence = _confidence(probabilities, labels)
        edges = np.arange(1, self.bins) / self.bins
        number = np.searchsorted(edges, confidence, side="left")
        rows = np.zeros((len(labels), 2 * self.bins))
        at = np.arange(len(labels))
        rows[at, number] = (labels == references) - confidence
        rows[at, self.bins + number] = 1.0
        return rows

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Weighted mean of the bins' absolute gaps."""
        if totals.shape[-1] == 1:
            return np.full(totals.shape[:-1], np.nan)
        return np.abs(totals[..., : self.bins]).sum(-1) / n


class MaximumCalibrationError(ExpectedCalibrationError):
    """The largest |accuracy - confidence| of a bin that is not empty."""

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Maximum of the bins' absolute gaps."""
        if totals.shape[-1] == 1:
            return np.full(totals.shape[:-1], np.nan)
        count = totals[..., self.bins :]
        gaps = np.abs(totals[..., : self.bins]) / np.maximum(count, 1)
        return np.where(count > 0, gaps, 0.0).max(-1)


def _confidence(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of the predicted label [N]."""
    return probabilities[np.arange(len(labels)), labels]
