"""Records become rows: one row a configuration, over its seeds.

Seeds and test samples are two sources of variation: the standard deviation is over seeds alone, the interval over
both (see :mod:`rsbench.metrics.two_level`).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rsbench.leaderboard.census import Census
from rsbench.leaderboard.identical import flag_identical
from rsbench.leaderboard.installed import metric_spec
from rsbench.leaderboard.members import Member, Seeds, by_seed, system
from rsbench.leaderboard.namesakes import recipe_labels
from rsbench.leaderboard.reading import Readers
from rsbench.leaderboard.rows import NOT_AT_HAND, Measured
from rsbench.metrics.two_level import Pool
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.specs import MetricSpec

GATE: Final = "gate:"
FLOOR: Final = "floor"  # tag of a model


@dataclass
class Row:
    """One configuration under one protocol.

    Attributes:
        mean, deviation: of the primary metric over seeds; the deviation (ddof 1) is ``None`` for one seed.
        scores: of each seed.
        interval: 95 %, over samples and seeds; of one seed its record's own where no other systems tell how much
            seeds do.
        rank: see :class:`rsbench.metrics.ranking.Standing`, as for rank_interval and letters; ``None`` for controls,
            flagged rows and those of one seed that nothing is known of.
        p_above: against the ranked row above, by Holm's correction over all pairs; p_alone: without it; ``None`` for
            the first.
        flags: why a row is not ranked, or what is missing; notes: what a reader should know of a row all the same.
        measured: what its predictions say of the primary metric; ``None`` without them.
        floor: a control that sees too little to solve the task; what is not above it has not solved it either.
        records: those of its seeds, in order.
        company: how many tasks were trained together, 0 outside a family; ``kin``: what a twin has in common.
    """

    system: str
    recipe: str
    division: str
    seeds: tuple[int, ...]
    scores: tuple[float, ...]
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
    rank_interval: tuple[int, int] | None = None
    letters: tuple[str, ...] = ()
    p_above: float | None = None
    p_alone: float | None = None
    measured: Measured | None = field(default=None, repr=False)
    floor: bool = False

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against its score; a score whose predictions are not at hand may be good all the
        same."""
        return not self.control and set(self.flags) <= {NOT_AT_HAND}

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
    """The rows of one protocol fingerprint.

    Attributes:
        spec: of the primary metric; units: of all metrics.
        pool: how much seeds do, from all systems; comparisons: how many pairs of rows were compared for the ranks.
    """

    task: str
    dataset: str
    protocol: str
    fingerprint: str
    primary: str
    higher_is_better: bool
    unit: str
    units: dict[str, str]
    spec: MetricSpec
    rows: list[Row]
    test_samples: int
    pool: Pool = field(default_factory=Pool)
    comparisons: int = 0


def group(members: Sequence[Member], census: Census, readers: Readers | None = None) -> list[Table]:
    """Return a table for each protocol fingerprint, sorted by dataset and protocol; *census* is told of duplicates."""
    tables: dict[tuple[str, ...], list[Member]] = {}
    for one in members:
        tables.setdefault(table_key(one.record["plan"]), []).append(one)
    return [_table(found, census, readers or Readers()) for _, found in sorted(tables.items())]


def table_key(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the records of one table share: the fingerprint alone, unless somebody has changed what it is of."""
    protocol = plan["protocol"]
    return plan["task"], plan["dataset"]["name"], protocol["name"], protocol["fingerprint"], protocol["primary"]


def _table(members: list[Member], census: Census, readers: Readers) -> Table:
    record = members[0].record
    plan = record["plan"]
    protocol = plan["protocol"]
    spec = metric_spec(protocol["primary"], record)
    seeds = seeds_of(members, spec.name, census)
    read = readers.measured([[m.loaded for m in row.members] for row in seeds], spec.name)
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
        spec=spec,
        rows=rows,
        test_samples=protocol["split_sizes"]["test"],
    )


def seeds_of(members: Sequence[Member], primary: str, census: Census) -> list[Seeds]:
    """Return the runs of each row of a table, in the order in which the first of them was made."""
    configurations: dict[str, list[Member]] = {}
    for one in members:
        configurations.setdefault(one.configuration, []).append(one)
    return [row for _, found in sorted(configurations.items(), key=_age) for row in by_seed(found, primary, census)]


def _age(item: tuple[str, list[Member]]) -> tuple[str, str, str]:
    """What puts configurations in order: when the first of their runs was made."""
    key, members = item
    return min(m.record["created"] for m in members), members[0].record["plan"]["model"]["label"], key


def _row(seeds: Seeds, primary: str, measured: Measured | None, doubts: list[str]) -> Row:
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
        scores=tuple(values),
        mean=statistics.fmean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        interval=_stored_interval(records, primary),
        metrics={
            name: _mean([r["metrics"].get(name, {}).get("value") for r in records]) for name in records[0]["metrics"]
        },
        params=(records[0]["perf"] or {}).get("params"),
        train_seconds=_mean([(r["train"] or {}).get("seconds") for r in records]),
        eval_samples_per_s=_mean([(r["perf"] or {}).get("eval_samples_per_s") for r in records]),
        control=is_control(plan),
        flags=flags,
        run_ids=tuple(r["run_id"] for r in records),
        records=tuple(m.loaded for m in seeds.members),
        notes=[*_precisions(records)],
        company=len(family.get("members", ())),
        kin=json.dumps([system(plan), family.get("rounds")], sort_keys=True),
        measured=measured,
        floor=FLOOR in tags_of(plan),
    )


def is_control(plan: Mapping[str, Any]) -> bool:
    """Whether a plan is of a control, a line to beat."""
    return "control" in plan["model"].get("tags", ())


def tags_of(plan: Mapping[str, Any]) -> set[str]:
    """Return the tags of a plan's model, and those that it has where it is installed."""
    model = plan["model"]
    installed = registry().find("model", model["name"])
    return {*model.get("tags", ()), *(installed.tags if installed else ())}


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
    """The record's own interval of a single seed; of several, the table has it."""
    stored = records[0]["metrics"][primary]["ci95"] if len(records) == 1 else None
    return tuple(stored) if stored else None
