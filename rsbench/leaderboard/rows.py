"""Per-sample rows of one metric for the runs of a configuration, from their stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, SumMetric, Unavailable
from rsbench.metrics.evaluate import build
from rsbench.metrics.guard import reduced
from rsbench.records.store import LoadedRecord
from rsbench.records.verify import TOLERANCE, check_content
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.kinds import Statistics, kind_of, metric_context
from rsbench.tasks.tables import Columns

# Metrics that are linear in their totals, so that the mean over seeds is the score of summands averaged over seeds.
MEANS: Final = ("overall_accuracy", "top3_accuracy", "top5_accuracy", "nll", "brier", "OA", "ROUGE-L", "CIDEr-D")


class _Averaged(SumMetric):
    """A metric that is linear in its totals, on summands averaged over seeds in place of statistics."""

    def __init__(self, metric: SumMetric) -> None:
        self.metric = metric

    def statistics(self, predictions: Any, references: Any) -> np.ndarray:
        """Return summands."""
        return self.metric.summands(self.metric.statistics(predictions, references))

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """As the metric itself."""
        return self.metric.from_totals(totals, n)


@dataclass(frozen=True)
class Rows:
    """Rows [N, k] in the order of the sample ids, and what samples share, [N] or ``None``."""

    rows: np.ndarray
    clusters: np.ndarray | None


def metric_over_seeds(name: str, plan: Mapping[str, Any]) -> Metric:
    """Return a metric for rows that :func:`rows_of` gives."""
    metric = build(registry().get("metric", name), metric_context(plan))
    return _Averaged(metric) if name in MEANS and isinstance(metric, SumMetric) else metric


def rows_of(group: Sequence[LoadedRecord], metric: Metric, name: str, doubts: list[str] | None = None) -> Rows | None:
    """Per-sample rows in id order, averaged over seeds where that keeps their meaning, else of the middle seed.

    ``None`` where predictions are not at hand or are not those that a record was made from; what speaks against a
    record is added to *doubts*.
    """
    doubts = [] if doubts is None else doubts
    read = [_read(record, metric, name, doubts) for record in group]
    found = [rows for rows in read if rows is not None]
    if len(found) < len(group):
        return None
    if name in MEANS:
        return Rows(np.mean([r.rows for r in found], axis=0), found[0].clusters)
    order = sorted(range(len(group)), key=lambda i: group[i].record["metrics"][name]["value"])
    return found[order[len(order) // 2]]


def _read(loaded: LoadedRecord, metric: Metric, name: str, doubts: list[str]) -> Rows | None:
    """The rows of one record, which must give the value that it holds."""
    record = loaded.record
    path = loaded.artifact("predictions")
    if path is None:
        doubts.append("no predictions at hand")
        return None
    content = path.read_bytes()
    wrong = check_content(path.name, content, record["artifacts"]["predictions"])
    if wrong:
        doubts.append(f"{wrong[0]} ({record['run_id']})")
        return None
    try:
        rows = _rows(Columns(path, content), metric, registry().get("metric", name), record["plan"]["task"])
        stored, found = record["metrics"][name]["value"], reduced(metric, rows.rows)
    except Unavailable as error:
        doubts.append(f"{name}: {error} ({record['run_id']})")
        return None
    if stored is None or not abs(stored - found) <= TOLERANCE:
        doubts.append(f"{name} {stored} is stored, its predictions give {found:.4f} ({record['run_id']})")
    return rows


def _rows(columns: Columns, metric: Metric, spec: MetricSpec, task: str) -> Rows:
    inner = metric.metric if isinstance(metric, _Averaged) else metric
    found = kind_of(task).statistics(columns, spec, inner)
    rows = inner.summands(found.rows) if isinstance(metric, _Averaged) and isinstance(inner, SumMetric) else found.rows
    order = _ORDERS.of(found)
    return Rows(rows[order], None if found.clusters is None else found.clusters[order])


class _Orders:
    """What sorts the samples of a file; sorting thousands of ids for each of thousands of files would take longest."""

    def __init__(self, kept: int = 8) -> None:
        self.kept = kept
        self.known: dict[bytes, np.ndarray] = {}

    def of(self, found: Statistics) -> np.ndarray:
        """Return the order that sorts the samples by id, int64 [N]."""
        order = self.known.get(found.ids_key)
        if order is None:
            order = np.argsort(np.array(found.ids()))
            if len(self.known) >= self.kept:
                self.known.clear()
            self.known[found.ids_key] = order
        return order


_ORDERS: Final = _Orders()
