"""Two systems under one protocol, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from rsbench.errors import UserError
from rsbench.leaderboard.members import configuration
from rsbench.leaderboard.rows import Rows, metric_over_seeds, rows_of
from rsbench.metrics.contract import Metric
from rsbench.metrics.intervals import holm, mcnemar_exact
from rsbench.metrics.paired import paired_bootstrap
from rsbench.records.store import LoadedRecord
from rsbench.records.throughput import is_throughput
from rsbench.registry import registry
from rsbench.tasks.kinds import kind_of, metric_context

POWER: Final = 0.8
LEVEL: Final = 0.05


@dataclass(frozen=True)
class Difference:
    """A metric of both systems: values in *unit*, the difference a - b with its 95 % interval, and its p-value."""

    name: str
    unit: str
    n: int
    a: float
    b: float
    low: float
    high: float
    p: float

    @property
    def value(self) -> float:
        """The difference, a - b."""
        return self.a - self.b


@dataclass(frozen=True)
class McNemar:
    """Rows that only one of two systems has right, and the exact p-value; samples count as independent."""

    only_a: int
    only_b: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` finds.

    Attributes:
        metrics: the primary metric first, then the others that have a value.
        groups: accuracy per class or question type; their p-values are corrected by Holm over the groups.
        mcnemar: of the systems' accuracies, where each has one seed.
        detectable: smallest difference of the primary metric that this test set would show in four cases of five at
            the 5 % level, from the spread of the resampled difference.
    """

    a: str
    b: str
    protocol: str
    metrics: list[Difference]
    groups: list[Difference]
    mcnemar: McNemar | None
    detectable: float


def compare(a: Sequence[LoadedRecord], b: Sequence[LoadedRecord]) -> Comparison:
    """Compare the runs of one configuration with those of another on the same test samples.

    Seeds are averaged sample by sample for metrics that are means; of others the seed in the middle stands for all.

    Raises:
        UserError: a side is empty or of several configurations, the protocols differ, or predictions are not at hand.
    """
    plan_a, plan_b = _plan(a, "first"), _plan(b, "second")
    protocol = plan_a["protocol"]
    if protocol["fingerprint"] != plan_b["protocol"]["fingerprint"]:
        raise UserError(
            f"'{protocol['name']}' of the first and '{plan_b['protocol']['name']}' of the second have different "
            "fingerprints: their results cannot be compared."
        )
    primary = protocol["primary"]
    names = [primary, *(n for n in protocol["metrics"] if n != primary)]
    known = [n for n in names if all(r.record["metrics"][n]["value"] is not None for r in (*a, *b))]
    metrics = [_difference(name, plan_a, a, b) for name in known]
    spread = (metrics[0].high - metrics[0].low) / (2 * NormalDist().inv_cdf(1 - LEVEL / 2))
    needed = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)
    label_a, label_b = plan_a["model"]["label"], plan_b["model"]["label"]
    groups, mcnemar = _by_group(plan_a, a, b), _mcnemar(plan_a, a, b)
    return Comparison(label_a, label_b, protocol["name"], metrics, groups, mcnemar, spread * needed)


def _plan(records: Sequence[LoadedRecord], which: str) -> dict[str, Any]:
    finished = [r.record for r in records if r.record["status"] == "ok"]
    if not records or len(finished) < len(records):
        raise UserError(f"The {which} side holds {'a run that failed' if records else 'no record'}.")
    if any(map(is_throughput, finished)):
        raise UserError(f"The {which} side holds speeds, which rsbench leaderboard --throughput sets side by side.")
    found = {configuration(r["plan"]) + r["plan"]["protocol"]["fingerprint"] for r in finished}
    if len(found) > 1:
        raise UserError(f"The {which} side holds {len(found)} configurations; name the seeds of one.")
    return finished[0]["plan"]


def _rows(records: Sequence[LoadedRecord], metric: Metric, name: str) -> Rows:
    found = rows_of(records, metric, name)
    if found is None:
        raise UserError(f"The predictions of {records[0].record['run_id']} are not at hand.")
    return found


def _difference(name: str, plan: dict[str, Any], a: Sequence[LoadedRecord], b: Sequence[LoadedRecord]) -> Difference:
    metric = metric_over_seeds(name, plan)
    return _paired(name, registry().get("metric", name).unit, metric, _rows(a, metric, name), _rows(b, metric, name))


def _paired(name: str, unit: str, metric: Metric, a: Rows, b: Rows) -> Difference:
    if a.rows.shape != b.rows.shape:
        raise UserError(f"The two sides have {len(a.rows)} and {len(b.rows)} predictions.")
    found = paired_bootstrap(metric, a.rows, b.rows, a.clusters)
    values = metric.reduce(a.rows), metric.reduce(b.rows)
    return Difference(name, unit, len(a.rows), *values, found.low, found.high, found.p)


def _accuracy(task: str) -> str | None:
    return {"classification": "overall_accuracy", "vqa": "OA"}.get(task)


def _by_group(plan: dict[str, Any], a: Sequence[LoadedRecord], b: Sequence[LoadedRecord]) -> list[Difference]:
    name = _accuracy(plan["task"])
    if name is None:
        return []
    metric, unit = metric_over_seeds(name, plan), registry().get("metric", name).unit
    whole_a, whole_b = _rows(a, metric, name), _rows(b, metric, name)
    names, number = _groups(plan, a[0])
    found = []
    for k, group in enumerate(names):
        inside = number == k
        if inside.any():
            found.append(_paired(group, unit, metric, _part(whole_a, inside), _part(whole_b, inside)))
    corrected = holm([d.p for d in found])
    return [Difference(d.name, d.unit, d.n, d.a, d.b, d.low, d.high, p) for d, p in zip(found, corrected, strict=True)]


def _groups(plan: dict[str, Any], record: LoadedRecord) -> tuple[Sequence[str], np.ndarray]:
    """Return the names of classes or question types, and the number of each sample's, in the order of the ids."""
    path = record.artifact("predictions")
    assert path is not None  # the rows have been read from it
    outcome = kind_of(plan["task"]).read(path)
    order = np.argsort(np.array(outcome.predictions.ids))
    context = metric_context(plan)
    if plan["task"] == "vqa":
        return context.question_types, outcome.predictions.kinds[order]
    return context.classes, outcome.references[order]


def _part(samples: Rows, inside: np.ndarray) -> Rows:
    return Rows(samples.rows[inside], None if samples.clusters is None else samples.clusters[inside])


def _mcnemar(plan: dict[str, Any], a: Sequence[LoadedRecord], b: Sequence[LoadedRecord]) -> McNemar | None:
    if _accuracy(plan["task"]) is None or len(a) > 1 or len(b) > 1:
        return None
    right_a, right_b = _right(plan["task"], a[0]), _right(plan["task"], b[0])
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return McNemar(only_a, only_b, mcnemar_exact(only_a, only_b))


def _right(task: str, record: LoadedRecord) -> np.ndarray:
    """Whether each sample is right, bool [N], in the order of the ids."""
    path = record.artifact("predictions")
    assert path is not None  # the rows have been read from it
    outcome = kind_of(task).read(path)
    made, true = outcome.predictions, outcome.references
    right = made.answers == true.answers if task == "vqa" else made.labels == true
    return right[np.argsort(np.array(made.ids))]
