"""The board of time to accuracy: what training took until the validation score first reached a target.

One table for each protocol fingerprint, device, precision and compile mode; never mixed.  Seconds are those of training
steps and of waiting for their batches; validation is left out, and setup, in which the network is compiled, is in a
column of its own.  What is compiled anew within training, for images of another size, counts as training.
Targets are scores of the validation split, since test data may not steer anything.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rsbench.errors import UserError
from rsbench.leaderboard.census import NO_CURVE, NO_DEVICE, NO_TARGET, OLDER, Census, LeftOut
from rsbench.leaderboard.learning_curve import points, score_name
from rsbench.leaderboard.machines import machine
from rsbench.leaderboard.members import Filters, configuration, finished_run, in_time
from rsbench.leaderboard.recipe_labels import recipe_labels
from rsbench.leaderboard.summary import GATE
from rsbench.records.curve import heading
from rsbench.records.store import LoadedRecord
from rsbench_time_to.target_reached import TargetReached, target_reached

# Task, dataset, protocol, fingerprint, score and machine: what the rows of a table have in common.
_Key = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Reach:
    """What a configuration took to one target: means over the seeds that reached it, ``None`` where not all are known.

    Attributes:
        reached: how many seeds did.
        seconds, samples: of training; with_setup: seconds with those before the first step.
    """

    target: float
    reached: int
    seconds: float | None = None
    with_setup: float | None = None
    samples: float | None = None


@dataclass(frozen=True)
class PaceRow:
    """One configuration on one machine.

    Attributes:
        reaches: one for each target of the table.
        epochs, score: trained, and of the last validation, means over seeds.
        data_wait: share of the training time that was spent waiting for batches, mean over the seeds that know it.
        flags: the sanity checks that a seed failed.
    """

    system: str
    recipe: str
    division: str
    seeds: tuple[int, ...]
    reaches: tuple[Reach, ...]
    epochs: float
    score: float
    data_wait: float | None
    flags: tuple[str, ...]
    run_ids: tuple[str, ...]
    facts: tuple[dict[str, Any], ...] = field(repr=False)


@dataclass(frozen=True)
class PaceTable:
    """Rows that may be compared, first those that reached the hardest target fastest; targets from easy to hard."""

    task: str
    dataset: str
    protocol: str
    fingerprint: str
    score: str
    machine: str
    targets: tuple[float, ...]
    rows: tuple[PaceRow, ...]

    @property
    def title(self) -> str:
        """Heading."""
        return f"{self.dataset} / {self.protocol}: time to {heading(self.score)}; {self.machine}"


@dataclass(frozen=True)
class PaceBoard:
    """Tables, where the records went, and one sentence for each thing that is not in the tables."""

    tables: tuple[PaceTable, ...]
    census: Census
    problems: tuple[str, ...] = ()


def build(
    records: Sequence[LoadedRecord],
    target: Sequence[float] = (),
    *,
    task: str | None = None,
    dataset: str | None = None,
    protocol: str | None = None,
    division: str | None = None,
    tag: str | None = None,
    unreadable: int = 0,
) -> PaceBoard:
    """Return the board of the runs that match every filter given; *tag* is one of the model's.

    Args:
        records: that were read.
        task, dataset, protocol, division, tag: filters; ``None`` is anything.
        target: scores in place of those that the records' protocols declare.
        unreadable: how many records could not be read.

    Raises:
        UserError: an accuracy is not a share.
    """
    filters = Filters(task, dataset, protocol, division, tag)
    census = Census(len(records), unreadable)
    blind: Counter[tuple[str, str]] = Counter()
    groups: dict[_Key, list[dict[str, Any]]] = {}
    for loaded in in_time(records, census):
        key = census.take(loaded, lambda r: _key(r, filters, blind))
        if key is not None:
            groups.setdefault(key, []).append(loaded.record)
    tables = [_table(key, members, target, census) for key, members in sorted(groups.items())]
    made = tuple(t for t in tables if t.targets)
    if made and max(target, default=0) > 1 and {t.score for t in made} == {"val_accuracy"}:
        raise UserError("--target is a share for accuracies: 0.97 stands for 97 %.")
    census.left_out[NO_TARGET] += sum(len(row.run_ids) for t in tables if not t.targets for row in t.rows)
    rows = [row for table in made for row in table.rows]
    census.close(sum(len(row.run_ids) for row in rows), len(rows))
    return PaceBoard(made, census, (*census.failed, *census.problems, *_unseen(blind), *_undeclared(tables)))


def _key(loaded: LoadedRecord, filters: Filters, blind: Counter[tuple[str, str]]) -> _Key:
    """The table that a run belongs in; *blind* counts those that were never validated, by dataset and protocol.

    Raises:
        LeftOut: it has no place in one.
        UserError: it is not of the shape of a record.
    """
    record = finished_run(loaded, filters)
    plan, name, where = record["plan"], score_name(record), machine(record)
    if name is None:
        blind[plan["dataset"]["name"], plan["protocol"]["name"]] += bool((record["train"] or {}).get("curve"))
        raise LeftOut(NO_CURVE)
    if where is None:
        raise LeftOut(NO_DEVICE, "its device is not known")
    points(record)  # raises here what it would raise in a row
    protocol = plan["protocol"]
    return plan["task"], plan["dataset"]["name"], protocol["name"], protocol["fingerprint"], name, where


def _unseen(blind: Counter[tuple[str, str]]) -> list[str]:
    """One sentence for each protocol under which runs were never validated."""
    return [
        f"{count} run{'s' * (count > 1)} under '{name}' of {dataset} never saw a validation split."
        for (dataset, name), count in sorted(blind.items())
        if count
    ]


def _undeclared(tables: Sequence[PaceTable]) -> list[str]:
    """One sentence for each protocol without targets."""
    names = dict.fromkeys((t.protocol, t.dataset) for t in tables if not t.targets)
    return [f"'{name}' of {dataset} declares no targets: name some with --target." for name, dataset in names]


def _table(key: _Key, members: list[dict[str, Any]], targets: Sequence[float], census: Census) -> PaceTable:
    declared = (t for record in members for t in record["plan"]["protocol"].get("targets") or ())
    wanted = tuple(sorted(set(targets or declared)))
    configurations: dict[str, dict[int, dict[str, Any]]] = {}
    for record in members:  # the newest of a seed counts
        found = configurations.setdefault(configuration(record["plan"]), {})
        census.left_out[OLDER] += record["plan"]["seed"] in found
        found[record["plan"]["seed"]] = record
    groups = [[seeds[s] for s in sorted(seeds)] for seeds in configurations.values()]
    labels = recipe_labels([group[0]["plan"] for group in groups])
    rows = [_row(group, label, wanted) for group, label in zip(groups, labels, strict=True)]
    return PaceTable(*key, wanted, tuple(sorted(rows, key=_order)))


def _order(row: PaceRow) -> tuple[Any, ...]:
    """From the hardest target on: the larger share of seeds that reached it, then the fewer seconds."""
    worst = float("inf")
    hardest = [
        (-reach.reached / len(row.seeds), worst if reach.seconds is None else reach.seconds)
        for reach in reversed(row.reaches)
    ]
    return hardest, -row.score, row.system, row.recipe, row.run_ids


def _row(records: Sequence[dict[str, Any]], recipe: str, targets: Sequence[float]) -> PaceRow:
    plan = records[0]["plan"]
    waits = [(r["perf"] or {}).get("data_wait_fraction") for r in records]
    known = [w for w in waits if w is not None]
    failed = {c["name"].removeprefix(GATE) for r in records for c in r["checks"] if _failed(c)}
    return PaceRow(
        system=plan["model"]["label"],
        recipe=recipe,
        division=plan["division"],
        seeds=tuple(r["plan"]["seed"] for r in records),
        reaches=tuple(_reach(records, target) for target in targets),
        epochs=statistics.fmean(r["train"]["epochs"] for r in records),
        score=statistics.fmean(points(r)[-1].score for r in records),
        data_wait=statistics.fmean(known) if known else None,
        flags=tuple(sorted(failed)),
        run_ids=tuple(r["run_id"] for r in records),
        facts=tuple(records),
    )


def _failed(check: dict[str, Any]) -> bool:
    return check["name"].startswith(GATE) and not check["ok"]


def _reach(records: Sequence[dict[str, Any]], target: float) -> Reach:
    found = [a for a in (target_reached(record, target) for record in records) if a is not None]
    means = {name: _mean(found, name) for name in ("seconds", "with_setup", "samples")}
    return Reach(target, len(found), **means)


def _mean(found: Sequence[TargetReached], name: str) -> float | None:
    """Mean over seeds; of some of them it would be another number."""
    values = [getattr(one, name) for one in found]
    return statistics.fmean(values) if values and None not in values else None
