"""Metrics of visual question answering.

A question's statistics are its type and whether the answer is correct, in one number; all accuracies are functions of
the same totals, so the bootstrap draws and sums once for all.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from rsbench.metrics.contract import MeanMetric, MetricContext, SumMetric
from rsbench.tasks.vqa import AnswerReferences, Answers


class TypedAccuracy(SumMetric):
    """A function of right and wrong answers per type of question.

    Args:
        only: the one type that counts; empty for all.
        without: a type that does not count; empty for none.
    """

    def __init__(self, context: MetricContext, only: str = "", without: str = "") -> None:
        self.types = len(context.question_types)
        kept = [t != without and (t == only or not only) for t in context.question_types]
        self.kept = np.flatnonzero(kept)

    def statistics(self, predictions: Answers, references: AnswerReferences) -> np.ndarray:
        """Return 2 * type + correct of each question, float64 [N, 1]."""
        correct = predictions.answers == references.answers
        return (2 * predictions.question_types + correct).astype(np.float64)[:, None]

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        """Return float64 [N, 2 T], a one in the column that each row names."""
        return (statistics == np.arange(2 * self.types)).astype(np.float64)

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Score right answers and questions of the types that count."""
        del n
        wrong, right = totals[..., ::2][..., self.kept], totals[..., 1::2][..., self.kept]
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.score(right, right + wrong)

    def totals(self, statistics: np.ndarray) -> np.ndarray:
        """Return how often each column is named [2 T]."""
        return np.bincount(statistics[:, 0].astype(np.int64), minlength=2 * self.types).astype(np.float64)

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weight of the column that each row names [N]."""
        return weights[statistics[:, 0].astype(np.int64)]

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Return the derivatives by wrong and right answers of each type [2 T]; 0 for types that do not count."""
        del n
        wrong, right = totals[::2][self.kept], totals[1::2][self.kept]
        found = np.zeros((self.types, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            found[self.kept] = np.nan_to_num(self.slope(right, right + wrong), posinf=0, neginf=0)
        return found.ravel()

    @abstractmethod
    def score(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return scores [...] of right answers and questions, [..., types that count]."""

    @abstractmethod
    def slope(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return the derivatives of the score by wrong and right answers, [types that count, 2]."""


class PooledAccuracy(TypedAccuracy):
    """Right answers over questions, pooled over types; NaN where there is no question."""

    def score(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Right over asked."""
        return right.sum(-1) / asked.sum(-1)

    def slope(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """The same for all types."""
        score = right.sum() / asked.sum()
        return np.broadcast_to(np.array([-score, 1 - score]) / asked.sum(), (len(asked), 2))


class MeanAccuracy(TypedAccuracy):
    """Unweighted mean of the accuracies of the types.

    Args:
        present_only: take the mean over types that have questions; otherwise it is NaN where one has none.
        without: a type that does not count; empty for none.
    """

    def __init__(self, context: MetricContext, present_only: bool = False, without: str = "") -> None:
        super().__init__(context, without=without)
        self.present_only = present_only

    def score(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Mean over types of right over asked."""
        if not self.present_only:
            return (right / asked).mean(-1)
        return np.where(asked > 0, right / asked, 0.0).sum(-1) / (asked > 0).sum(-1)

    def slope(self, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Those of each type's accuracy, over the number of types."""
        score = right / asked
        return np.stack([-score, 1 - score], axis=1) / asked[:, None] / (asked > 0).sum()


class UnparsableRate(MeanMetric):
    """Share of answers -1, which are none of the closed list.  Statistics [N, 1]: 1 where unparsable."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def statistics(self, predictions: Answers, references: AnswerReferences) -> np.ndarray:
        """Return float64 [N, 1]."""
        del references
        return (predictions.answers == -1).astype(np.float64)[:, None]


class CountMeanAbsoluteError(SumMetric):
    """Mean absolute error over count questions with known true and predicted counts; NaN without."""

    power = 1

    def __init__(self, context: MetricContext) -> None:
        self.count_type = context.question_types.index("count") if "count" in context.question_types else -1

    def statistics(self, predictions: Answers, references: AnswerReferences) -> np.ndarray:
        """Return [1, error to the power] of each question that counts and [0, 0] of others, float64 [N, 2]."""
        rows = np.zeros((len(predictions), 2))
        if predictions.counts is not None:
            error = np.abs(predictions.counts - references.counts) ** self.power
            known = np.isfinite(error) & (predictions.question_types == self.count_type)
            rows[known, 0], rows[known, 1] = 1.0, error[known]
        return rows

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Mean over the known ones, to the inverse power."""
        del n
        with np.errstate(divide="ignore", invalid="ignore"):
            return (totals[..., 1] / totals[..., 0]) ** (1 / self.power)

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Those of the root of the mean [2]."""
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = float(self.from_totals(totals, n)) / self.power / totals
        return slope * np.array([-1, 1])


class CountRootMeanSquaredError(CountMeanAbsoluteError):
    """Root of the mean squared error, over the same questions."""

    power = 2
