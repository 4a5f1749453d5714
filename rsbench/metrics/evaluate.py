"""Every metric of a protocol on one set of predictions, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_interval
from rsbench.specs import MetricSpec, load_attribute

WILSON: Final = "overall_accuracy"


def build(spec: MetricSpec, context: MetricContext) -> Metric:
    """Build a metric from its spec."""
    return load_attribute(spec.factory)(context, **spec.options)


def evaluate(
    specs: Sequence[MetricSpec],
    predictions: Any,
    references: Any,
    context: MetricContext,
    *,
    primary: str,
    clusters: np.ndarray | None = None,
) -> dict[str, dict[str, Any]]:
    """Return name -> the record's entry of each metric; ``value`` is ``None`` where it is undefined.

    Overall accuracy without clusters has Wilson's interval, everything else the percentile bootstrap's.
    """
    results = {}
    for spec in specs:
        metric = build(spec, context)
        rows = metric.statistics(predictions, references)
        value = metric.reduce(rows)
        defined = math.isfinite(value)
        interval, method = _interval(spec, metric, rows, clusters) if defined else (None, None)
        results[spec.name] = {
            "value": value if defined else None,
            "ci95": list(interval) if interval else None,
            "method": method,
            "n": len(rows),
            "clusters": None if clusters is None else len(np.unique(clusters)),
            "version": spec.version,
            "higher_is_better": spec.higher_is_better,
            "unit": spec.unit,
            "primary": spec.name == primary,
        }
    return results


def _interval(
    spec: MetricSpec, metric: Metric, rows: np.ndarray, clusters: np.ndarray | None
) -> tuple[tuple[float, float] | None, str]:
    if spec.name == WILSON and clusters is None:
        return wilson(int(rows.sum()), len(rows)), "wilson"
    return bootstrap_interval(metric, rows, clusters), "bootstrap-percentile"
