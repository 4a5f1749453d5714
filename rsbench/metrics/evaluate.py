"""Every metric of a protocol on one set of predictions, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext, Unavailable
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_intervals
from rsbench.specs import MetricSpec, load_attribute

WILSON: Final = "overall_accuracy"
BOOTSTRAP: Final = "bootstrap-percentile"


def build(spec: MetricSpec, context: MetricContext) -> Metric:
    """Build a metric from its spec."""
    return load_attribute(spec.factory)(context, **spec.options)


def collect(
    specs: Sequence[MetricSpec], predictions: Any, references: Any, context: MetricContext
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return name -> statistics float64 [N, k], and name -> reason for metrics that cannot be computed here."""
    rows, reasons = {}, {}
    for spec in specs:
        try:
            rows[spec.name] = build(spec, context).statistics(predictions, references)
        except Unavailable as error:
            reasons[spec.name] = str(error)
    return rows, reasons


def evaluate(
    specs: Sequence[MetricSpec],
    predictions: Any,
    references: Any,
    context: MetricContext,
    *,
    primary: str,
    clusters: np.ndarray | None = None,
    kept: Mapping[str, np.ndarray] | None = None,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return name -> the record's entry of each metric; ``value`` is ``None`` where it is undefined or unavailable.

    Overall accuracy without clusters has Wilson's interval, everything else the percentile bootstrap's.

    Args:
        clusters: [N], the cluster of each sample, where samples share one.
        kept: name -> statistics that were computed before; then references are not needed for these metrics.
        reasons: name -> why a metric has none.
    """
    metrics = [build(spec, context) for spec in specs]
    rows: list[np.ndarray] = []
    notes: list[str | None] = []
    for spec, metric in zip(specs, metrics, strict=True):
        found, note = _statistics(spec, metric, predictions, references, kept or {}, reasons or {})
        rows.append(found)
        notes.append(note)
    values = [
        math.nan if note else metric.reduce(part) for metric, part, note in zip(metrics, rows, notes, strict=True)
    ]
    intervals = _intervals(specs, metrics, rows, values, clusters)
    results = {}
    for spec, value, note in zip(specs, values, notes, strict=True):
        interval, method = intervals.get(spec.name, (None, None))
        results[spec.name] = {
            "value": value if math.isfinite(value) else None,
            "ci95": list(interval) if interval else None,
            "method": method,
            "n": len(predictions),
            "clusters": None if clusters is None else len(np.unique(clusters)),
            "version": spec.version,
            "higher_is_better": spec.higher_is_better,
            "unit": spec.unit,
            "primary": spec.name == primary,
        } | ({"note": note} if note else {})
    return results


def _statistics(
    spec: MetricSpec,
    metric: Metric,
    predictions: Any,
    references: Any,
    kept: Mapping[str, np.ndarray],
    reasons: Mapping[str, str],
) -> tuple[np.ndarray, str | None]:
    """Return rows or, where there are none, the reason."""
    nothing = np.empty((0, 0))
    if spec.name in kept:
        return kept[spec.name], None
    if spec.name in reasons or references is None:
        return nothing, reasons.get(spec.name, "no statistics of it were kept")
    try:
        return metric.statistics(predictions, references), None
    except Unavailable as error:
        return nothing, str(error)


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
