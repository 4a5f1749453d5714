"""Two systems under one protocol, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy import special

from rsbench.errors import UserError, first_of
from rsbench.leaderboard.aggregate import seeds_of
from rsbench.leaderboard.census import Census
from rsbench.leaderboard.measures import Measures
from rsbench.leaderboard.members import configuration, member, table_key
from rsbench.metrics.intervals import holm, mcnemar_exact
from rsbench.metrics.ranking import LEVEL
from rsbench.metrics.two_level import Pool
from rsbench.plan import is_baseline
from rsbench.records.measured import is_measured
from rsbench.records.store import LoadedRecord, load_all
from rsbench.registry import registry
from rsbench.tasks.task import get_task

POWER: Final = 0.8


@dataclass(frozen=True)
class Difference:
    """A metric of both systems: mean values over seeds in *unit*, and the difference a - b with its 95 % interval.

    ``p`` is ``None``, and the interval over test samples alone, where a side has one seed and too few systems of
    several were found to tell how much seeds do.
    """

    name: str
    unit: str
    n: int
    a: float
    b: float
    low: float
    high: float
    p: float | None

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
        detectable: smallest difference of the primary metric that would be found with 80 % power at the 5 %
            level, with as many samples and seeds.
        pool: how much seeds do to the primary metric, from all systems that were found.
    """

    a: str
    b: str
    protocol: str
    metrics: list[Difference]
    groups: list[Difference]
    mcnemar: McNemar | None
    detectable: float
    pool: Pool


def compare(a: Sequence[LoadedRecord], b: Sequence[LoadedRecord], beside: Sequence[LoadedRecord] = ()) -> Comparison:
    """Compare the runs of one configuration with those of another on the same test samples.

    Args:
        a, b: the seeds of each.
        beside: other records; those under the same protocol tell how much seeds do, as on a board of all of them.

    Raises:
        UserError: a side is empty or of several configurations, the protocols differ, or predictions are not available.
    """
    plan_a, plan_b = _plan(a, "first"), _plan(b, "second")
    protocol = plan_a["protocol"]
    if protocol["fingerprint"] != plan_b["protocol"]["fingerprint"]:
        raise UserError(
            f"'{protocol['name']}' of the first and '{plan_b['protocol']['name']}' of the second have different "
            "fingerprints: their results cannot be compared."
        )
    primary = protocol["primary"]
    others = _others(plan_a, plan_b, beside)
    measures = Measures([a, b, *others], [is_baseline(group[0].record["plan"]["model"]) for group in (a, b, *others)])
    names = [primary, *(n for n in protocol["metrics"] if n != primary)]
    known = [n for n in names if all(r.record["metrics"].get(n, {}).get("value") is not None for r in (*a, *b))]
    measures.read(known, asked=(0, 1))
    result, _ = measures.difference(0, 1, primary)
    needed = special.stdtrit(result.df, 1 - LEVEL / 2) + special.stdtrit(result.df, POWER)
    shared = measures.of(0, primary)
    assert shared is not None  # the difference has been found
    return Comparison(
        plan_a["model"]["label"],
        plan_b["model"]["label"],
        protocol["name"],
        metrics=[_difference(measures, name, a[0].record["metrics"][name]["n"]) for name in known],
        groups=_by_group(measures),
        mcnemar=_mcnemar(plan_a, a, b),
        detectable=float(needed * result.se) if result.se > 0 else 0.0,
        pool=measures.pool(shared.samples, primary),
    )


def siblings(records: Iterable[LoadedRecord]) -> list[LoadedRecord]:
    """Return the records in the folders beside those of these."""
    folders = sorted({record.path.resolve().parent.parent for record in records})
    return load_all((path for folder in folders for path in sorted(folder.glob("*/record.json"))), problems=[])


def _others(a: dict[str, Any], b: dict[str, Any], beside: Sequence[LoadedRecord]) -> list[list[LoadedRecord]]:
    """The runs of other configurations under the protocol of *a* and *b*, each as the row of a board."""
    census = Census(len(beside))
    members = [m for loaded in beside if (m := census.take(loaded, member)) is not None]
    sides, place = {configuration(a), configuration(b)}, table_key(a)
    kept = [m for m in members if m.configuration not in sides and m.table == place]
    return [[m.loaded for m in row.members] for row in seeds_of(kept, a["protocol"]["primary"], census)]


def _plan(records: Sequence[LoadedRecord], which: str) -> dict[str, Any]:
    finished = [r.record for r in records if r.record["status"] == "ok"]
    if not records or len(finished) < len(records):
        failed = first_of([r.record["run_id"] for r in records if r.record["status"] != "ok"])
        held = f"runs that failed: {failed}; leave them out, or delete their folders" if records else "no record"
        raise UserError(f"The {which} side holds {held}.")
    if other := next(filter(is_measured, finished), None):
        name = other["plan"]["division"]
        raise UserError(f"The {which} side holds no scores: rsbench leaderboard --{name} sets {name} side by side.")
    found = {configuration(r["plan"]) + r["plan"]["protocol"]["fingerprint"] for r in finished}
    if len(found) > 1:
        raise UserError(f"The {which} side holds {len(found)} configurations; name the seeds of one.")
    return finished[0]["plan"]


def _difference(measures: Measures, name: str, n: int, part: str = "") -> Difference:
    result, over_seeds = measures.difference(0, 1, name, part)
    a, b = (measures.mean(k, name, part) for k in (0, 1))
    low, high = map(float, result.interval)
    unit = registry().get("metric", name).unit
    return Difference(part or name, unit, n, a, b, low, high, float(result.p) if over_seeds else None)


def _by_group(measures: Measures) -> list[Difference]:
    name, inside = measures.read_parts(asked=(0, 1))
    both = [g for g in inside if all(measures.of(k, name, g) is not None for k in (0, 1))]
    found = [_difference(measures, name, int(inside[group].sum()), group) for group in both]
    corrected = iter(holm([d.p for d in found if d.p is not None]))
    return [d if d.p is None else replace(d, p=next(corrected)) for d in found]


def _mcnemar(plan: dict[str, Any], a: Sequence[LoadedRecord], b: Sequence[LoadedRecord]) -> McNemar | None:
    if len(a) > 1 or len(b) > 1:
        return None
    right_a, right_b = _right(plan["task"], a[0]), _right(plan["task"], b[0])
    if right_a is None or right_b is None:
        return None
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return McNemar(only_a, only_b, mcnemar_exact(only_a, only_b))


def _right(task: str, record: LoadedRecord) -> np.ndarray | None:
    """Whether each sample is right, bool [N], in the order of the ids; ``None`` where that is a matter of degree."""
    path = record.artifact("predictions")
    assert path is not None  # the rows have been read from it
    outcome = get_task(task).read(path)
    right = get_task(task).correct(outcome)
    return None if right is None else right[np.argsort(np.array(outcome.predictions.ids))]
