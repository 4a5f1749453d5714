"""Records become rows: one row a configuration, over its seeds.

Seeds and test sample are two sources of variation and are shown apart: the standard deviation is over seeds; the
interval is that of the test sample, from the bootstrap of per-sample statistics averaged over seeds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rsbench.leaderboard.identical import flag_identical
from rsbench.leaderboard.identities import broken
from rsbench.leaderboard.namesakes import recipe_labels
from rsbench.leaderboard.reading import Readers
from rsbench.leaderboard.rows import Rows, metric_over_seeds
from rsbench.metrics.contract import Metric
from rsbench.records.store import LoadedRecord
from rsbench.records.throughput import is_throughput
from rsbench.registry import registry

GATE: Final = "gate:"


@dataclass
class Row:
    """One configuration under one protocol.

    Attributes:
        mean, deviation: of the primary metric over seeds; the deviation (ddof 1) is ``None`` for one seed.
        interval: 95 % of the test sample, over rows averaged over seeds; of one seed its record's own.
        rank: shared where neighbours cannot be told apart; ``None`` for controls and flagged rows.
        p_above: of the paired bootstrap against the ranked row above, by Holm's correction; ``None`` for the first.
        flags: why a row is not ranked, or what is missing.
        samples: per-sample rows [N, k] averaged over seeds, for comparisons; ``None`` without predictions.
        clusters: [N], what samples share, or ``None``.
        company: how many tasks were trained together, 0 outside a family; ``kin``: what a twin has in common.
    """

    system: str
    recipe: str
    division: str
    seeds: tuple[int, ...]
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None
    metrics: dict[str, float | None]
    params: int | None
    train_seconds: float | None
    eval_samples_per_s: float | None
    control: bool
    flags: list[str]
    run_ids: tuple[str, ...]
    company: int = 0
    kin: str = ""
    rank: int | None = None
    p_above: float | None = None
    samples: np.ndarray | None = field(default=None, repr=False)
    clusters: np.ndarray | None = field(default=None, repr=False)


@dataclass
class Table:
    """The rows of one protocol fingerprint; ``units`` are those of all its metrics."""

    task: str
    dataset: str
    protocol: str
    fingerprint: str
    primary: str
    higher_is_better: bool
    unit: str
    units: dict[str, str]
    metric: Metric
    rows: list[Row]
    test_samples: int


def group(records: Sequence[LoadedRecord], readers: Readers | None = None) -> list[Table]:
    """Return a table for each protocol fingerprint, sorted by dataset and protocol; only finished, ranked divisions."""
    tables: dict[str, list[LoadedRecord]] = {}
    for loaded in records:
        record = loaded.record
        if record["status"] == "ok" and record["plan"]["division"] != "debug" and not is_throughput(record):
            tables.setdefault(record["plan"]["protocol"]["fingerprint"], []).append(loaded)
    made = [_table(fingerprint, members, readers or Readers()) for fingerprint, members in tables.items()]
    return sorted(made, key=lambda t: (t.task, t.dataset, t.protocol, t.fingerprint))


def _table(fingerprint: str, members: list[LoadedRecord], readers: Readers) -> Table:
    plan = members[0].record["plan"]
    protocol = plan["protocol"]
    spec = registry().get("metric", protocol["primary"])
    metric = metric_over_seeds(spec.name, plan)
    configurations: dict[str, list[LoadedRecord]] = {}
    for loaded in members:
        configurations.setdefault(configuration(loaded.record["plan"]), []).append(loaded)
    groups = [_by_seed(group) for group in configurations.values()]
    read = readers.rows(groups, spec.name)
    rows = [_row(group, spec.name, *found) for group, found in zip(groups, read, strict=True)]
    for row, label in zip(rows, recipe_labels([group[0].record["plan"] for group in groups]), strict=True):
        row.recipe = label
    flag_identical(list(zip(configurations.values(), rows, strict=True)))
    return Table(
        task=plan["task"],
        dataset=plan["dataset"]["name"],
        protocol=protocol["name"],
        fingerprint=fingerprint,
        primary=spec.name,
        higher_is_better=spec.higher_is_better is not False,
        unit=spec.unit,
        units={name: registry().get("metric", name).unit for name in protocol["metrics"]},
        metric=metric,
        rows=rows,
        test_samples=protocol["split_sizes"]["test"],
    )


def configuration(plan: dict[str, Any]) -> str:
    """What makes two runs seeds of the same thing: model, its code and options, recipe, division and company."""
    family = plan.get("family") or {}
    company = [family.get(k) for k in ("members", "weights", "rounds")]
    return json.dumps([_system(plan), company], sort_keys=True)


def _system(plan: dict[str, Any]) -> list[Any]:
    """Model, its code and options, recipe and division."""
    model = {k: plan["model"].get(k) for k in ("name", "version", "options", "source_sha256", "weights_sha256")}
    if model["options"] and plan["model"].get("weights_sha256"):
        model["options"] = {k: v for k, v in model["options"].items() if k != "weights"}  # the file, not its place
    return [model, plan["recipe"], plan["division"]]


def _by_seed(group: list[LoadedRecord]) -> list[LoadedRecord]:
    """Sort by seed; the same seed from two folders counts once."""
    unique = {r.record["plan"]["seed"]: r for r in group}
    return [unique[seed] for seed in sorted(unique)]


def _row(group: list[LoadedRecord], primary: str, samples: Rows | None, doubts: list[str]) -> Row:
    records = [r.record for r in group]
    plan = records[0]["plan"]
    values = [r["metrics"][primary]["value"] for r in records]
    flags = sorted({_flag(c) for r in records for c in r["checks"] if c["name"].startswith(GATE) and not c["ok"]})
    flags += dict.fromkeys(doubts)
    flags += dict.fromkeys(f"{said} ({r['run_id']})" for r in records for said in broken(r))
    family = plan.get("family") or {}
    return Row(
        system=plan["model"]["label"],
        recipe=plan["recipe"].get("name", ""),
        division=plan["division"],
        seeds=tuple(r["plan"]["seed"] for r in records),
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        interval=_stored_interval(records, primary),
        metrics={
            name: _mean([r["metrics"].get(name, {}).get("value") for r in records]) for name in records[0]["metrics"]
        },
        params=(records[0]["perf"] or {}).get("params"),
        train_seconds=_mean([(r["train"] or {}).get("seconds") for r in records]),
        eval_samples_per_s=_mean([(r["perf"] or {}).get("eval_samples_per_s") for r in records]),
        control="control" in plan["model"].get("tags", ()),
        flags=flags,
        run_ids=tuple(r["run_id"] for r in records),
        company=len(family.get("members", ())),
        kin=json.dumps([_system(plan), family.get("rounds")], sort_keys=True),
        samples=None if samples is None else samples.rows,
        clusters=None if samples is None else samples.clusters,
    )


def _flag(check: dict[str, Any]) -> str:
    return f"{check['name'].removeprefix(GATE)}: {check['detail']}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None


def _stored_interval(records: list[dict[str, Any]], primary: str) -> tuple[float, float] | None:
    """The record's own interval of a single seed; of several, the table's bootstrap finds it."""
    stored = records[0]["metrics"][primary]["ci95"] if len(records) == 1 else None
    return tuple(stored) if stored else None
