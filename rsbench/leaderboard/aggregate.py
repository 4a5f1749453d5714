"""Records become rows: one row a configuration, over its seeds.

Seeds and test samples are two sources of variation: the standard deviation is over seeds alone, the interval over
both (see :mod:`rsbench.metrics.two_level`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rsbench import renamed
from rsbench.leaderboard.census import Census
from rsbench.leaderboard.installed import metric_spec
from rsbench.leaderboard.members import Member, Seeds, by_seed
from rsbench.leaderboard.reading import PredictionReaders
from rsbench.leaderboard.recipe_labels import recipe_labels
from rsbench.leaderboard.rows import NO_PREDICTIONS, Measured
from rsbench.leaderboard.summary import Read
from rsbench.metrics.two_level import Pool
from rsbench.plan import group_of, is_baseline
from rsbench.recipes import ADDED_FIELDS
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.specs import RECIPE_DESCRIPTION, MetricSpec


@dataclass
class Row:
    """One configuration under one protocol.

    Attributes:
        mean, deviation: of the primary metric over seeds; the deviation (ddof 1) is ``None`` for one seed.
        scores: of each seed.
        interval: 95 %, over samples and seeds; of one seed its record's own where no other systems tell how much
            seeds do.
        rank: see :class:`rsbench.metrics.ranking.Standing`, as for rank_interval and letters; ``None`` for baselines,
            flagged rows and those of one seed that nothing is known of.
        p_above: against the ranked row above, by Holm's correction over all pairs; p_unadjusted: without it; ``None``
            for the first.
        flags: why a row is not ranked, or what is missing; notes: what a reader should know of a row all the same.
        measured: what its predictions say of the primary metric; ``None`` without them.
        required: a baseline that sees too little to solve the task; what is not above it has not solved it either.
        records: those of its seeds, in order.
        plan: of its first seed; predictions: SHA-256 of each seed's.
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
    baseline: bool
    flags: list[str]
    run_ids: tuple[str, ...]
    plan: dict[str, Any] = field(repr=False)
    predictions: tuple[str | None, ...] = field(repr=False)
    records: tuple[LoadedRecord, ...] = field(repr=False)
    notes: list[str] = field(default_factory=list)
    rank: int | None = None
    rank_interval: tuple[int, int] | None = None
    letters: tuple[str, ...] = ()
    p_above: float | None = None
    p_unadjusted: float | None = None
    measured: Measured | None = field(default=None, repr=False)
    required: bool = False

    @property
    def sound(self) -> bool:
        """Whether no flag contradicts its score; a score whose predictions are not available may be good all the
        same."""
        return not self.baseline and set(self.flags) <= {NO_PREDICTIONS}

    @property
    def tags(self) -> tuple[str, ...]:
        """Of its model, as they are called today."""
        return tuple(renamed.current(renamed.TAG, tag) for tag in self.plan["model"].get("tags", ()))

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The records themselves, without their places."""
        return [loaded.record for loaded in self.records]

    @property
    def company(self) -> int:
        """How many tasks were trained together, as a group; 0 outside one."""
        return sum(len(group["members"]) for group in group_of(self.plan).values())


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


def group(members: Sequence[Member], census: Census, readers: PredictionReaders | None = None) -> list[Table]:
    """Return a table for each protocol fingerprint, sorted by dataset and protocol; *census* is told of duplicates."""
    tables: dict[tuple[str, ...], list[Member]] = {}
    for one in members:
        tables.setdefault(one.table, []).append(one)
    return [_table(found, census, readers or PredictionReaders()) for _, found in sorted(tables.items())]


def _table(members: list[Member], census: Census, readers: PredictionReaders) -> Table:
    record = members[0].record
    plan = record["plan"]
    protocol = plan["protocol"]
    spec = metric_spec(protocol["primary"], record)
    seeds = seeds_of(members, spec.name, census)
    read = readers.read([row.members for row in seeds], spec.name)
    rows = [*map(_row, seeds, read)]
    for row, label in zip(rows, recipe_labels([row.plan for row in rows]), strict=True):
        row.recipe = label
    _flag_identical(rows)
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
    return min(m.created for m in members), members[0].label, key


def _row(seeds: Seeds, read: Read) -> Row:
    said, plan = read.summary, read.summary.plan
    flags = [*said.failed, *([seeds.contradicts] if seeds.contradicts else []), *dict.fromkeys(read.issues)]
    flags += dict.fromkeys(f"{doubt} ({m.run_id})" for m in seeds.members for doubt in m.issues)
    return Row(
        system=plan["model"]["label"],
        recipe=plan["recipe"].get("name", ""),
        division=plan["division"],
        seeds=tuple(said.seeds),
        scores=tuple(said.scores),
        mean=said.mean,
        deviation=said.deviation,
        interval=(said.interval[0], said.interval[1]) if said.interval else None,
        metrics=said.metrics,
        params=said.params,
        train_seconds=said.train_seconds,
        eval_samples_per_s=said.eval_samples_per_s,
        baseline=is_baseline(plan["model"]),
        flags=flags,
        run_ids=tuple(said.run_ids),
        plan=plan,
        predictions=tuple(said.predictions),
        records=tuple(m.loaded for m in seeds.members),
        notes=[*said.notes],
        measured=read.measured,
        required="required-baseline" in tags_of(plan),
    )


def tags_of(plan: Mapping[str, Any]) -> set[str]:
    """Return the tags of a plan's model, and those that it has where it is installed, as they are called today."""
    model = plan["model"]
    installed = registry().find("model", model["name"])
    tags = {*model.get("tags", ()), *(installed.tags if installed else ())}
    return {renamed.current(renamed.TAG, tag) for tag in tags}


def _flag_identical(rows: Sequence[Row]) -> None:
    """Flag each row of which a run predicted, bit for bit, what one of an earlier row did, and say what set them apart:
    an option had no effect, or a result was copied."""
    seen: dict[str, tuple[LoadedRecord, Row]] = {}
    for row in rows:
        for loaded, sha in zip(row.records, row.predictions, strict=True):
            first, other = seen.setdefault(sha, (loaded, row)) if sha else (loaded, row)
            if other is not row and not row.baseline:
                row.flags.append(_sentence(first.record["plan"], other, loaded.record["plan"]))
                break


def _sentence(first: Mapping[str, Any], other: Row, plan: Mapping[str, Any]) -> str:
    same = f"predictions identical to those of {other.system} ({other.recipe})"
    changed = list(_changes(first, plan))
    return f"{same}: {', '.join(changed)} changed nothing" if changed else same


def _changes(first: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield ``option=value`` for each option of model or recipe in which *plan* differs from *first*."""
    if first["model"]["name"] != plan["model"]["name"]:
        return
    for a, b, aside in (
        (first["model"].get("options", {}), plan["model"].get("options", {}), ()),
        (ADDED_FIELDS | first["recipe"], ADDED_FIELDS | plan["recipe"], RECIPE_DESCRIPTION),
    ):
        for name in sorted({*a, *b}):
            if a.get(name) != b.get(name) and name not in aside:
                yield f"{name}={b.get(name)}"
