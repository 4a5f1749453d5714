"""What stored predictions of a configuration's runs say of its metrics: rows by sample, and what they sum up to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rsbench.metrics.contract import Metric, Unavailable
from rsbench.metrics.evaluate import build
from rsbench.metrics.guard import read_only, reduced
from rsbench.metrics.influence import effects, units_of
from rsbench.metrics.two_level import System, summarize
from rsbench.records.store import LoadedRecord
from rsbench.records.verify import TOLERANCE, check_content
from rsbench.registry import registry
from rsbench.tasks.tables import Columns
from rsbench.tasks.task import Statistics, get_task, metric_context

NO_PREDICTIONS: Final = "no predictions available"


@dataclass(frozen=True)
class Rows:
    """Rows [N, k] of one run in the order of the sample ids, what samples share, [N] or ``None``, and a digest of the
    ids."""

    rows: np.ndarray
    clusters: np.ndarray | None
    samples: bytes

    def part(self, inside: np.ndarray) -> Rows:
        """Return those of the samples *inside*, bool [N]."""
        clusters = None if self.clusters is None else self.clusters[inside]
        return Rows(read_only(self.rows[inside]), clusters, self.samples)


@dataclass(frozen=True)
class Measured:
    """A system under one metric; those of the same *samples* can be compared."""

    system: System
    samples: bytes


def metric_of(name: str, plan: Mapping[str, Any]) -> Metric:
    """Return a metric for runs of a plan."""
    return build(registry().get("metric", name), metric_context(plan))


def measure(group: Sequence[LoadedRecord], names: Sequence[str], issues: list[str]) -> dict[str, Measured]:
    """Return what the runs of a configuration say of metrics; those of which they say nothing are left out.

    What contradicts a record is added to *issues*.
    """
    runs = rows_of(group, names, issues)
    plan = group[0].record["plan"]
    found = {name: summed(metric_of(name, plan), [run[name] for run in runs]) for name in names if _in_all(name, runs)}
    for name, one in found.items():
        if one is None:
            issues.append(f"no standard error of {name}")
    return {name: one for name, one in found.items() if one is not None}


def _in_all(name: str, runs: Sequence[Mapping[str, Rows]]) -> bool:
    return bool(runs) and all(name in run for run in runs)


def summed(metric: Metric, runs: Sequence[Rows]) -> Measured | None:
    """Return what the rows of each run sum up to.

    ``None`` where runs have different samples, fewer than two of them, or a score that is undefined or varies so.
    """
    first = runs[0]
    apart = [effects(metric, run.rows, run.clusters) for run in runs]
    known = [e for e in apart if e is not None]
    if len(known) < len(runs) or any(run.samples != first.samples for run in runs):
        return None
    scores = [reduced(metric, run.rows) for run in runs]
    return Measured(summarize(scores, known, units_of(first.rows, first.clusters)), first.samples)


def rows_of(group: Sequence[LoadedRecord], names: Sequence[str], issues: list[str]) -> list[dict[str, Rows]]:
    """Return the rows of each run by metric, without those that cannot be made; none at all where predictions are not
    available or are not those that a record was made from."""
    found = [_read(loaded, names, issues) for loaded in group]
    return [run for run in found if run is not None] if all(run is not None for run in found) else []


def _read(loaded: LoadedRecord, names: Sequence[str], issues: list[str]) -> dict[str, Rows] | None:
    """The rows of one record, which must give the values that it holds."""
    record = loaded.record
    path = loaded.artifact("predictions")
    if path is None:
        issues.append(NO_PREDICTIONS)
        return None
    content = path.read_bytes()
    wrong = check_content(path.name, content, record["artifacts"]["predictions"])
    if wrong:
        issues.append(f"{wrong[0]} ({record['run_id']})")
        return None
    columns, rows = Columns(path, content), {}
    for name in names:
        metric = metric_of(name, record["plan"])
        try:
            statistics = get_task(record["plan"]["task"]).statistics(columns, registry().get("metric", name), metric)
            order, samples = _ORDERS.of(statistics)
            shared = None if statistics.clusters is None else statistics.clusters[order]
            rows[name] = Rows(read_only(statistics.rows[order]), shared, samples)
            stored, found = record["metrics"][name]["value"], reduced(metric, rows[name].rows)
        except Unavailable as error:
            rows.pop(name, None)
            issues.append(f"{name}: {error} ({record['run_id']})")
            continue
        if stored is None or not abs(stored - found) <= TOLERANCE:
            issues.append(f"{name} {stored} is stored, its predictions give {found:.4f} ({record['run_id']})")
    return rows


class _Orders:
    """What sorts the samples of a file; sorting thousands of ids for each of thousands of files would take longest."""

    def __init__(self, kept: int = 8) -> None:
        self.kept = kept
        self.known: dict[bytes, tuple[np.ndarray, bytes]] = {}

    def of(self, found: Statistics) -> tuple[np.ndarray, bytes]:
        """Return the order that sorts the samples by id, int64 [N], and a digest of the sorted ids."""
        known = self.known.get(found.ids_key)
        if known is None:
            ids = np.array(found.ids())
            order = np.argsort(ids)
            known = order, hashlib.sha256("\0".join(ids[order].tolist()).encode()).digest()
            if len(self.known) >= self.kept:
                self.known.clear()
            self.known[found.ids_key] = known
        return known


_ORDERS: Final = _Orders()
