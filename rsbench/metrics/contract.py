"""The two-stage contract of metrics.

``statistics`` turns predictions and references into one row of numbers per sample; ``reduce`` turns rows into the
score.  Resampling rows is resampling samples, so one bootstrap serves every metric.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np


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
    """A metric that depends on its rows through a sum alone, which makes resampling a matrix product."""

    def summands(self, statistics: np.ndarray) -> np.ndarray:
        """Return what rows [N, k] add to the totals, float64 [N, m]; the rows themselves unless these are shorter."""
        return statistics

    @abstractmethod
    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Return scores [...] of summed ``totals`` [..., m] over ``n`` [...] samples."""

    def reduce(self, statistics: np.ndarray) -> float:
        """Return the score of the summed rows."""
        return float(self.from_totals(self.summands(statistics).sum(axis=0), float(len(statistics))))
