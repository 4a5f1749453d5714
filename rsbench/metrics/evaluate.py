"""Every metric of a protocol on one set of predictions, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext, Unavailable
from rsbench.metrics.guard import Unbuilt, read_only, reason_of, reduced, statistics_of
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_intervals
from rsbench.specs import MetricSpec, load_attribute

WILSON: Final = "overall_accuracy"
BOOTSTRAP: Final = "bootstrap-percentile"


def build(spec: MetricSpec, context: MetricContext) -> Metric:
    """Build a metric from its spec."""
    return load_attribute(spec.factory)(context, **spec.options)


def _built(spec: MetricSpec, context: MetricContext) -> Metric:
    try:
        return build(spec, context)
    except Exception as error:
        return Unbuilt(reason_of(error))


def collect(
    specs: Sequence[MetricSpec], predictions: Any, references: Any, context: MetricContext
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return name -> statistics float64 [N, k], and name -> reason for metrics that cannot be computed here."""
    rows, reasons = {}, {}
    for spec in specs:
        try:
            rows[spec.name] = statistics_of(_built(spec, context), predictions, references)
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

    A metric that raises an error is ``None`` with that as its ``note``, and harms no other.  Overall accuracy without
    clusters has Wilson's interval, everything else the percentile bootstrap's.

    Args:
        clusters: [N], the cluster of each sample, where samples share one.
        kept: name -> statistics that were computed before; then references are not needed for these metrics.
        reasons: name -> why a metric has none.
    """
    metrics = [_built(spec, context) for spec in specs]
    rows: list[np.ndarray] = []
    values: list[float] = []
    notes: list[str | None] = []
    for spec, metric in zip(specs, metrics, strict=True):
        found, value, note = _scored(spec, metric, predictions, references, kept or {}, reasons or {})
        rows.append(found)
        values.append(value)
        notes.append(note)
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


def _scored(
    spec: MetricSpec,
    metric: Metric,
    predictions: Any,
    references: Any,
    kept: Mapping[str, np.ndarray],
    reasons: Mapping[str, str],
) -> tuple[np.ndarray, float, str | None]:
    """Return rows, score and, where there is none for want of them, the reason."""
    nothing = np.empty((0, 0))
    if spec.name not in kept and (spec.name in reasons or references is None):
        return nothing, math.nan, reasons.get(spec.name, "no statistics of it were kept")
    try:
        rows = kept[spec.name] if spec.name in kept else statistics_of(metric, predictions, references)
        return read_only(rows), reduced(metric, rows), None
    except Unavailable as error:
        return nothing, math.nan, str(error)


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
