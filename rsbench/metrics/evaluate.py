"""Every metric of a protocol on one set of predictions, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_intervals
from rsbench.specs import MetricSpec, load_attribute

WILSON: Final = "overall_accuracy"
BOOTSTRAP: Final = "bootstrap-percentile"


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
    metrics = [build(spec, context) for spec in specs]
    rows = [metric.statistics(predictions, references) for metric in metrics]
    values = [metric.reduce(part) for metric, part in zip(metrics, rows, strict=True)]
    intervals = _intervals(specs, metrics, rows, values, clusters)
    results = {}
    for spec, value in zip(specs, values, strict=True):
        interval, method = intervals.get(spec.name, (None, None))
        results[spec.name] = {
            "value": value if math.isfinite(value) else None,
            "ci95": list(interval) if interval else None,
            "method": method,
            "n": len(references),
            "clusters": None if clusters is None else len(np.unique(clusters)),
            "version": spec.version,
            "higher_is_better": spec.higher_is_better,
            "unit": spec.unit,
            "primary": spec.name == primary,
        }
    return results


def _intervals(
    specs: Sequence[MetricSpec],
    metrics: Sequence[Metric],
    rows: Sequence[np.ndarray],
    values: Sequence[float],
    clusters: np.ndarray | None,
) -> dict[str, tuple[tuple[float, float] | None, str]]:
    """Return name -> (interval, method) of the metrics that are defined; one draw of resamples serves them all."""
    found: dict[str, tuple[tuple[float, float] | None, str]] = {}
    left = []
    for i, spec in enumerate(specs):
        if not math.isfinite(values[i]):
            continue
        if spec.name == WILSON and clusters is None:
            found[spec.name] = wilson(int(rows[i].sum()), len(rows[i])), "wilson"
        else:
            left.append(i)
    drawn = bootstrap_intervals([metrics[i] for i in left], [rows[i] for i in left], clusters)
    return found | {specs[i].name: (interval, BOOTSTRAP) for i, interval in zip(left, drawn, strict=True)}
