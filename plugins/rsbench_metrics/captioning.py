"""What metrics of captions have in common: each image has a value of its own."""

from __future__ import annotations

import numpy as np

from rsbench.metrics.contract import MeanMetric, MetricContext, SumMetric


class CaptionMetric(SumMetric):
    """A metric of sentences against several references each."""

    def __init__(self, context: MetricContext) -> None:
        del context

    def per_image(self, statistics: np.ndarray) -> np.ndarray:
        """Return float64 [N], the score of each image alone."""
        return self.from_totals(self.summands(statistics), 1.0)


class MeanCaptionMetric(MeanMetric, CaptionMetric):
    """The mean of one value an image.  Statistics [N, 1]."""
