"""Records become rows: one row a configuration, over its seeds.

Seeds and test sample are two sources of variation and are shown apart: the standard deviation is over seeds; the
interval is that of the test sample, from the bootstrap of per-sample statistics averaged over seeds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from rsbench.leaderboard.census import Census
from rsbench.leaderboard.identical import flag_identical
from rsbench.leaderboard.installed import is_reported, metric_spec
from rsbench.leaderboard.members import Member, Seeds, by_seed, system
from rsbench.leaderboard.namesakes import recipe_labels
from rsbench.leaderboard.reading import Readers
from rsbench.leaderboard.rows import Rows, metric_over_seeds
from rsbench.metrics.contract import Metric
from rsbench.metrics.guard import Unbuilt
from rsbench.records.store import LoadedRecord

GATE: Final = "gate:"


@dataclass
class Row:
    """One configuration under one protocol.

    Attributes:
        mean, deviation: of the primary metric over seeds; the deviation (ddof 1) is ``None`` for one seed.
        interval: 95 % of the test sample, over rows averaged over seeds; of one seed its record's own.
        rank: shared where neighbours cannot be told apart; ``None`` for controls and flagged rows.
        p_above: of the paired bootstrap against the ranked row above, by Holm's correction; ``None`` for the first.
        flags: why a row is not ranked, or what is missing; notes: what a reader should know of a row all the same.
        samples: per-sample rows [N, k] averaged over seeds, for comparisons; ``None`` without predictions.
        clusters: [N], what samples share, or ``None``.
        records: those of its seeds, in order.
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
    records: tuple[LoadedRecord, ...] = field(repr=False)
    notes: list[str] = field(default_factory=list)
    company: int = 0
    kin: str = ""
    rank: int | None = None
    p_above: float | None = None
    samples: np.ndarray | None = field(default=None, repr=False)
    clusters: np.ndarray | None = field(default=None, repr=False)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records themselves, without their places."""
        return [loaded.record for loaded in self.records]

    @property
    def plan(self) -> dict[str, Any]:
        """The plan of its first seed."""
        return self.records[0].record["plan"]


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


def group(members: Sequence[Member], census: Census, readers: Readers | None = None) -> list[Table]:
    """Return a table for each protocol fingerprint, sorted by dataset and protocol; *census* is told of duplicates."""
    tables: dict[tuple[str, ...], list[Member]] = {}
    for one in members:
        plan, protocol = one.record["plan"], one.record["plan"]["protocol"]
        # The fingerprint alone, unless somebody has changed what it is the fingerprint of.
        key = (plan["task"], plan["dataset"]["name"], protocol["name"], protocol["fingerprint"], protocol["primary"])
        tables.setdefault(key, []).append(one)
    return [_table(found, census, readers or Readers()) for _, found in sorted(tables.items())]


def _table(members: list[Member], census: Census, readers: Readers) -> Table:
    record = members[0].record
    plan = record["plan"]
    protocol = plan["protocol"]
    spec = metric_spec(protocol["primary"], record)
    metric = Unbuilt(f"{spec.name} is only reported") if is_reported(record) else metric_over_seeds(spec.name, plan)
    configurations: dict[str, list[Member]] = {}
    for one in members:
        configurations.setdefault(one.configuration, []).append(one)
    seeds = [row for _, found in sorted(configurations.items(), key=_age) for row in by_seed(found, spec.name, census)]
    read = readers.rows([[m.loaded for m in row.members] for row in seeds], spec.name)
    rows = [_row(row, spec.name, *found) for row, found in zip(seeds, read, strict=True)]
    for row, label in zip(rows, recipe_labels([row.plan for row in rows]), strict=True):
        row.recipe = label
    flag_identical(rows)
    return Table(
        task=plan["task"],
        dataset=plan["dataset"]["name"],
        protocol=protocol["name"],
        fingerprint=protocol["fingerprint"],
        primary=spec.name,
        higher_is_better=spec.higher_is_better is not False,
        unit=spec.unit,
        units={name: metric_spec(name, record).unit for name in protocol["metrics"]},
        metric=metric,
        rows=rows,
        test_samples=protocol["split_sizes"]["test"],
    )


def _age(item: tuple[str, list[Member]]) -> tuple[str, str, str]:
    """What puts configurations in order: when the first of their runs was made."""
    key, members = item
    return min(m.record["created"] for m in members), members[0].record["plan"]["model"]["label"], key


def _row(seeds: Seeds, primary: str, samples: Rows | None, doubts: list[str]) -> Row:
    records = [m.record for m in seeds.members]
    plan = records[0]["plan"]
    values = [r["metrics"][primary]["value"] for r in records]
    flags = sorted({_flag(c) for r in records for c in r["checks"] if c["name"].startswith(GATE) and not c["ok"]})
    flags += [seeds.contradicts] if seeds.contradicts else []
    flags += dict.fromkeys(doubts)
    flags += dict.fromkeys(f"{said} ({m.record['run_id']})" for m in seeds.members for said in m.doubts)
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
        records=tuple(m.loaded for m in seeds.members),
        notes=[*_precisions(records)],
        company=len(family.get("members", ())),
        kin=json.dumps([system(plan), family.get("rounds")], sort_keys=True),
        samples=None if samples is None else samples.rows,
        clusters=None if samples is None else samples.clusters,
    )


def _flag(check: dict[str, Any]) -> str:
    return f"{check['name'].removeprefix(GATE)}: {check.get('detail', '')}"


def _precisions(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say so where seeds ran in different precision (rounding is no luck of the seed) or not in the recipe's."""
    seeds: dict[str, list[str]] = {}
    for record in records:
        precision = ((record["env"] or {}).get("flags") or {}).get("precision")
        if precision is not None:
            seeds.setdefault(precision, []).append(str(record["plan"]["seed"]))
    if len(seeds) > 1:
        told = ", ".join(f"{name} (seed{'s' * (len(of) > 1)} {', '.join(of)})" for name, of in sorted(seeds.items()))
        yield f"its seeds ran in different precision: {told}"
    stated = records[0]["plan"]["recipe"].get("precision", "auto")
    if len(seeds) == 1 and stated not in ("auto", *seeds):
        yield f"it ran in {next(iter(seeds))}, its recipe states {stated}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None


def _stored_interval(records: list[dict[str, Any]], primary: str) -> tuple[float, float] | None:
    """The record's own interval of a single seed; of several, the table's bootstrap finds it."""
    stored = records[0]["metrics"][primary]["ci95"] if len(records) == 1 else None
    return tuple(stored) if stored else None
