"""Reported beside measured: a paper's numbers and what configurations measured, with what sets them apart."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import build
from rsbench.leaderboard.measures import Measures
from rsbench.metrics.intervals import wilson
from rsbench.records.store import LoadedRecord
from rsbench.specs import Claim, ClaimSet
from rsbench.tasks.task import get_task
from rsbench_claims.check import issues
from rsbench_claims.differences import differences
from rsbench_claims.rounding import raw

Interval = tuple[float, float] | None


@dataclass(frozen=True)
class ClaimComparison:
    """A reported number and the mean that a configuration measured; scores are raw, such as 0.97 for 97 %.

    Attributes:
        printed, unit: as in the paper; place, certainty, runs: see :class:`rsbench.specs.Claim`.
        interval: 95 %, over test samples and seeds as on a board, or ``None`` where there is none.
        difference: measured less reported.
        differences: what is known to set the two apart; left_open: what the paper does not say.
        issues: what is wrong with the reported number by the paper's own arithmetic.
    """

    claims: str
    paper: str
    system: str
    metric: str
    part: str
    place: str
    certainty: str
    printed: str
    unit: str
    reported: float
    configuration: str
    recipe: str
    division: str
    protocol: str
    seeds: int
    runs: int | None
    measured: float
    interval: Interval
    difference: float
    differences: tuple[str, ...]
    left_open: tuple[str, ...]
    issues: tuple[str, ...]


def compare(
    records: Sequence[LoadedRecord], sets: Sequence[ClaimSet], problems: list[str] | None = None
) -> list[ClaimComparison]:
    """Return each reported number beside each configuration that stands for its system on its dataset.

    Where *problems* is given, records that are left out are named there.
    """
    against = {found.name: issues(found) for found in sets}
    board = build(records)  # ranked, for its intervals
    if problems is not None:
        problems += board.problems
    made = []
    for table in board.tables:
        measures = Measures([row.records for row in table.rows], [row.baseline for row in table.rows])
        for i, row in enumerate(table.rows):
            for found, claim in _claims_of(table.dataset, row.plan, sets):
                value = _measure(claim, table, i, measures)
                if value is not None:
                    wrong = against[found.name].get(claim.id, ())
                    made.append(_beside(found, claim, table, row, value, wrong))
    return sorted(made, key=lambda b: (b.claims, b.system, b.protocol, b.configuration, b.recipe))


def not_measured(made: Sequence[ClaimComparison], sets: Sequence[ClaimSet]) -> dict[str, list[str]]:
    """Return claim set -> systems of which no number stands beside a measured one."""
    done = {(b.claims, b.system) for b in made}
    missing = {
        found.name: [s for s in dict.fromkeys(c.system for c in found.rows) if (found.name, s) not in done]
        for found in sets
    }
    return {name: systems for name, systems in missing.items() if systems}


def _claims_of(dataset: str, plan: dict[str, Any], sets: Sequence[ClaimSet]) -> Iterator[tuple[ClaimSet, Claim]]:
    for found in sets:
        for claim in found.rows:
            if found.dataset == dataset and claim.relation == "=" and not claim.minus and _stands(found, claim, plan):
                yield found, claim


def _stands(found: ClaimSet, claim: Claim, plan: dict[str, Any]) -> bool:
    """Whether a configuration is of the model (and recipe) that the set names for the system, or goes by its name."""
    name, recipe = plan["model"]["name"], plan["recipe"].get("name", "")
    return bool({name, f"{name}@{recipe}"} & {claim.system, *found.models.get(claim.system, ())})


def _beside(
    found: ClaimSet,
    claim: Claim,
    table: Table,
    row: Row,
    value: tuple[float, Interval],
    wrong: Sequence[str],
) -> ClaimComparison:
    measured, interval = value
    reported = float(raw(claim))
    return ClaimComparison(
        claims=found.name,
        paper=found.paper,
        system=claim.system,
        metric=claim.metric,
        part=claim.part,
        place=claim.place,
        certainty=claim.certainty,
        printed=claim.value,
        unit=claim.unit,
        reported=reported,
        configuration=row.system,
        recipe=row.recipe,
        division=row.division,
        protocol=table.protocol,
        seeds=len(row.seeds),
        runs=claim.runs,
        measured=measured,
        interval=interval,
        difference=measured - reported,
        differences=tuple(differences(found, claim, row, row.plan)),
        left_open=found.left_open,
        issues=tuple(wrong),
    )


def _measure(claim: Claim, table: Table, i: int, measures: Measures) -> tuple[float, Interval] | None:
    """The mean over seeds of what the claim is about and its interval; ``None`` where row *i* did not measure it."""
    row = table.rows[i]
    if claim.metric == "params":
        return None if row.params is None else (float(row.params), None)
    parts = get_task(table.task).parts
    name = f"{parts.each}{claim.part}" if claim.part and parts and parts.each else claim.metric
    if claim.part and name == claim.metric:
        return _of_class(claim, row, i, measures)
    value = row.metrics.get(name)
    return None if value is None else (value, _interval(name, table, i, measures))


def _interval(name: str, table: Table, i: int, measures: Measures) -> Interval:
    """As on a board: over samples and seeds; of one seed of which nothing more is known, the record's own."""
    row = table.rows[i]
    if name == table.primary:
        return row.interval
    entries = [record["metrics"].get(name, {}) for record in row.facts]
    if any(entry.get("value") is None for entry in entries):
        return None
    measures.read([name], range(len(measures.groups)))
    found = measures.interval(i, name)
    stored = entries[0]["ci95"] if len(entries) == 1 else None
    return found or (tuple(stored) if stored else None)


def _of_class(claim: Claim, row: Row, i: int, measures: Measures) -> tuple[float, Interval] | None:
    """A figure of one class; accuracy has an interval, of one seed of which nothing more is known Wilson's."""
    entries = [record["by_group"].get("class", {}).get(claim.part, {}) for record in row.facts]
    values = [entry.get(claim.metric) for entry in entries]
    if any(value is None for value in values):
        return None
    value = statistics.fmean(values)
    if claim.metric != "accuracy":
        return value, None
    name, parts = measures.read_parts((i, *range(len(measures.groups))))
    found = measures.interval(i, name, claim.part) if claim.part in parts else None
    if found is None and len(entries) == 1:
        found = wilson(entries[0]["correct"], entries[0]["n"])
    return value, found
