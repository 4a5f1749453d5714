"""The two-stage contract of metrics.

``statistics`` turns predictions and references into one row of numbers per sample; ``reduce`` turns rows into the
score.  What a sample adds is in its row, so the same standard errors and the same bootstrap serve every metric.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

STEP: Final = 2.0**-17  # of a total, in central differences: about the cube root of the precision of float64
BLOCK: Final = 2_000_000  # totals in one call


@dataclass(frozen=True)
class MetricContext:
    """What a metric may depend on besides predictions and references."""

    task: str
    classes: tuple[str, ...] = ()
    question_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Golden:
    """A small case whose score is known from elsewhere; containers are those of the metric's task."""

    predictions: Any
    references: Any
    value: float
    context: MetricContext
    tolerance: float = 1e-9


class Unavailable(Exception):
    """A metric cannot be computed on this machine, or not for these texts; the message says why in one sentence."""


class Metric(ABC):
    """A two-stage metric.

    ``predictions`` and ``references`` are the task's own containers (for classification
    ``rsbench.tasks.classification.Predictions`` and an int64 array of labels [N]; for captioning
    ``rsbench.tasks.captioning.Captions`` and a sequence of N sequences of sentences; for VQA
    ``rsbench.tasks.vqa.Answers`` and ``AnswerReferences``).
    """

    @abstractmethod
    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        """Return float64 [N, k], one row per sample.

        Raises:
            Unavailable: it cannot be computed here; its value is then null, with the reason.
        """

    @abstractmethod
    def reduce(self, statistics: np.ndarray) -> float:
        """Return the score of rows [N, k]; NaN where it is not defined."""


class SumMetric(Metric):
    """A metric that depends on its rows through a sum alone.

    How much a sample moves the score follows from derivatives, so that standard errors need no resampling.  A metric
    whose score has kinks where its rows usually lie says ``smooth = False`` and is resampled.
    """

    smooth: ClassVar[bool] = True

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        """Return what rows [N, k] add to the totals, float64 [N, m]; the rows themselves unless these are shorter."""
        return statistics

    @abstractmethod
    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Return scores [...] of summed ``totals`` [..., m] over ``n`` [...] samples."""

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Return the derivatives [m] of the score by the totals [m].

        Central differences unless a metric gives its own: good to about ten digits, at 2 m calls of a vectorized
        :meth:`from_totals`.  Where a total is 0 and the difference undefined, so that no sample adds to it, it is 0.
        """
        step = STEP * np.where(totals == 0, n, np.abs(totals))
        found = np.empty(len(totals))
        for part in np.array_split(np.arange(len(totals)), 1 + len(totals) ** 2 // BLOCK):
            moved = np.zeros((len(part), len(totals)))
            moved[np.arange(len(part)), part] = step[part]
            with np.errstate(all="ignore"):
                ends = [np.asarray(self.from_totals(totals + s * moved, np.full(len(part), n))) for s in (1, -1)]
            found[part] = (ends[0] - ends[1]) / (2 * step[part])
        return np.where((totals == 0) & ~np.isfinite(found), 0.0, found)

    def totals(self, statistics: np.ndarray) -> np.ndarray:
        """Return the sum [m] of what rows [N, k] add."""
        return self.summands(statistics).sum(axis=0)

    def weighted(self, statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum [N] of what each of the rows [N, k] adds, for weights [m]."""
        return (self.summands(statistics) * weights).sum(axis=1)

    def reduce(self, statistics: np.ndarray) -> float:
        """Return the score of the summed rows."""
        return float(self.from_totals(self.totals(statistics), float(len(statistics))))


class MeanMetric(SumMetric):
    """The mean of one number a sample.  Statistics [N, 1]."""

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Sum over number."""
        return totals[..., 0] / n

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """One over the number."""
        return np.full(len(totals), 1 / n)
