"""Every metric of a protocol on one set of predictions, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, MetricContext, Unavailable
from rsbench.metrics.guard import Unbuilt, guarded, read_only, reduced, statistics_of
from rsbench.metrics.influence import effects, has_influence, units_of
from rsbench.metrics.intervals import wilson
from rsbench.metrics.resample import bootstrap_intervals
from rsbench.metrics.two_level import SeedTerm, single, summarize
from rsbench.specs import MetricSpec, load_attribute

WILSON: Final = "wilson"
INFLUENCE: Final = "influence-t"
BOOTSTRAP: Final = "bootstrap-percentile-2"  # the first drew distinct rows, in the order of computed numbers

# An interval and how it was made, where there is one; and why there is none where the metric raised an error.
Interval = tuple[tuple[float, float] | None, str | None, str | None]
NONE: Final = (None, None, None)


def build(spec: MetricSpec, context: MetricContext) -> Metric:
    """Build a metric from its spec."""
    return load_attribute(spec.factory)(context, **spec.options)


def _built(spec: MetricSpec, context: MetricContext) -> Metric:
    try:
        with guarded(spec.factory):
            return build(spec, context)
    except Unavailable as error:
        return Unbuilt(str(error))


def collect(
    specs: Sequence[MetricSpec], predictions: Any, references: Any, context: MetricContext
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return name -> statistics float64 [N, k], and name -> reason for metrics that cannot be computed here.

    Args:
        specs: of the metrics.
        predictions, references: of N samples, in the form of their task.
        context: what the metrics' factories are told.
    """
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

    A metric that raises an error is ``None`` with that as its ``note``, and harms no other.  Proportions without
    clusters have Wilson's interval, means and functions of sums a t interval from influence values, other metrics the
    percentile bootstrap's.  There is none where the units are fewer than two or do not vary.

    Args:
        specs: of the metrics.
        predictions, references: of N samples, in the form of their task.
        context: what the metrics' factories are told.
        primary: name of the metric by which systems are ranked.
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
    intervals = _intervals(specs, metrics, rows, values, predictions.ids, clusters)
    results = {}
    for spec, value, note in zip(specs, values, notes, strict=True):
        interval, method, why = intervals.get(spec.name, NONE)
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
        } | ({"note": note or why} if note or why else {})
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
    ids: Sequence[str],
    clusters: np.ndarray | None,
) -> dict[str, Interval]:
    """Return name -> the interval of each metric that is defined."""
    found: dict[str, Interval] = {}
    drawn = []
    for i, (spec, metric) in enumerate(zip(specs, metrics, strict=True)):
        if not math.isfinite(values[i]):
            continue
        if spec.proportion and clusters is None:
            found[spec.name] = wilson(int(rows[i].sum()), len(rows[i])), WILSON, None
        elif has_influence(metric):
            found[spec.name] = _by_influence(spec, metric, rows[i], clusters)
        else:
            drawn.append(i)
    if drawn:  # in the order of the ids, whatever that of the file is
        order = np.argsort(np.array(ids))
        parts = [read_only(rows[i][order]) for i in drawn]
        made = _by_bootstrap([metrics[i] for i in drawn], parts, None if clusters is None else clusters[order])
        found |= {specs[i].name: interval for i, interval in zip(drawn, made, strict=True)}
    return found


def _by_influence(spec: MetricSpec, metric: Metric, rows: np.ndarray, clusters: np.ndarray | None) -> Interval:
    """Return the t interval within the metric's range; none where nothing varies."""
    try:
        with guarded(metric):
            varying = effects(metric, rows, clusters)
    except Unavailable as error:
        return None, None, f"no interval: {error}"
    if varying is None or not varying.any():
        return NONE
    low, high = single(summarize([metric.reduce(rows)], [varying], units_of(rows, clusters)), SeedTerm()).interval
    return within(spec, (float(low), float(high))), INFLUENCE, None


def _by_bootstrap(metrics: Sequence[Metric], rows: Sequence[np.ndarray], clusters: np.ndarray | None) -> list[Interval]:
    """Return percentile intervals, drawn together unless one of them raises an error."""
    try:
        with guarded(*metrics):
            made = bootstrap_intervals(metrics, rows, clusters)
        return [(ends, BOOTSTRAP, None) if ends and ends[0] < ends[1] else NONE for ends in made]
    except Unavailable as error:
        if len(metrics) == 1:
            return [(None, None, f"no interval: {error}")]
    return [_by_bootstrap([metric], [part], clusters)[0] for metric, part in zip(metrics, rows, strict=True)]


def within(spec: MetricSpec, interval: tuple[float, float]) -> tuple[float, float]:
    """Return the part of an interval that lies in the range of a metric."""
    least, most = spec.range
    low, high = interval
    return low if least is None else max(low, least), high if most is None else min(high, most)
