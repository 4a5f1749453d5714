"""The records that a board can show, each checked once; seeds of one configuration, repeats and contradictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rsbench.leaderboard.census import DEBUG, DUPLICATE, FAILED, FILTERED, NO_SCORE, OTHER, Census, LeftOut
from rsbench.leaderboard.consistency import broken
from rsbench.leaderboard.installed import check_installed
from rsbench.plan import group_of
from rsbench.records.external import EXTERNAL
from rsbench.records.measured import is_measured
from rsbench.records.store import LoadedRecord


class Member(NamedTuple):
    """A finished run that a board can show, and what decides where; it may be known without its record being read.

    Attributes:
        table: as :func:`table_key`.
        configuration: what its seeds have in common.
        label, division, tags: of its model, or plan.
        predictions: name of their file, which lies beside the record; ``None`` without them.
        issues: which of its own numbers contradict each other.
    """

    loaded: LoadedRecord
    table: tuple[str, ...]
    configuration: str
    run_id: str
    created: str
    seed: int
    label: str
    division: str
    tags: tuple[str, ...] = ()
    predictions: str | None = None
    issues: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """The record itself."""
        return self.loaded.record

    @property
    def content(self) -> str:
        """What the run found, whoever keeps it wherever: hash of its predictions and all metrics."""
        metrics = {name: [m["value"], m["ci95"], m["n"]] for name, m in self.record["metrics"].items()}
        predictions = self.record["artifacts"].get("predictions", {}).get("sha256")
        return hashlib.sha256(json.dumps([predictions, metrics], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Filters:
    """What a record's plan must be for a board to show it; ``None`` is anything.  *tag* is one of the model's."""

    task: str | None = None
    dataset: str | None = None
    protocol: str | None = None
    division: str | None = None
    tag: str | None = None

    def match(self, plan: Mapping[str, Any]) -> bool:
        """Whether a plan passes every filter."""
        return self._match(table_key(plan), plan["division"], plan["model"].get("tags", ()))

    def match_member(self, member: Member) -> bool:
        """Whether the plan of a member passes every filter."""
        return self._match(member.table, member.division, member.tags)

    def _match(self, table: tuple[str, ...], division: str, tags: Collection[str]) -> bool:
        wanted = (*zip((self.task, self.dataset, self.protocol), table, strict=False), (self.division, division))
        return self.tag in (None, *tags) and all(want in (None, have) for want, have in wanted)


def table_key(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the records of one table share: task, dataset, protocol, its fingerprint and primary metric; the
    fingerprint alone would do, unless somebody has changed what it is of."""
    protocol = plan["protocol"]
    return plan["task"], plan["dataset"]["name"], protocol["name"], protocol["fingerprint"], protocol["primary"]


def finished_run(loaded: LoadedRecord, filters: Filters) -> dict[str, Any]:
    """Return the record of a run that finished and passes the filters.

    Raises:
        LeftOut: it does not.
    """
    record = loaded.record
    if is_measured(record):
        raise LeftOut(OTHER.format(record["plan"]["division"]))
    if not filters.match(record["plan"]):
        raise LeftOut(FILTERED)
    if record["status"] != "ok":
        raise LeftOut(FAILED)
    if record["plan"]["division"] == "debug":
        raise LeftOut(DEBUG)
    return record


def member(loaded: LoadedRecord, filters: Filters = Filters()) -> Member:
    """Return a record as the member of a table.

    Raises:
        LeftOut: it has no place in one, or needs a plugin that is not installed.
    """
    record = finished_run(loaded, filters)
    plan = record["plan"]
    check_installed(record)
    primary = record["metrics"][plan["protocol"]["primary"]]
    if primary["value"] is None:
        raise LeftOut(NO_SCORE, f"{plan['protocol']['primary']} has no value: {primary.get('note') or 'undefined'}")
    return Member(
        loaded,
        table_key(plan),
        configuration(plan),
        record["run_id"],
        record["created"],
        plan["seed"],
        plan["model"]["label"],
        plan["division"],
        tuple(plan["model"].get("tags", ())),
        record["artifacts"].get("predictions", {}).get("path"),
        tuple(broken(record)),
    )


def usable(
    records: Sequence[LoadedRecord], problems: list[str], use: Callable[[LoadedRecord], object] = id
) -> list[LoadedRecord]:
    """Return the records of runs that finished and whose metrics are installed; *problems* names the others.

    Args:
        use: what is to be done with each; where it raises, the record is named as well.
    """

    def tried(loaded: LoadedRecord) -> bool:
        record = loaded.record
        if record["status"] != "ok":
            raise LeftOut(FAILED)
        if not is_measured(record):
            check_installed(record)
        use(loaded)
        return True

    census = Census(len(records))
    found = [loaded for loaded in records if census.take(loaded, tried)]
    problems += [*census.failed, *census.problems]
    return found


def configuration(plan: Mapping[str, Any]) -> str:
    """A digest of what makes two runs seeds of the same thing: model, its code and options, recipe, division and
    company."""
    company = [{k: v for k, v in group.items() if k not in ("id", "member")} for group in group_of(plan).values()]
    return hashlib.sha256(json.dumps([system(plan), company], sort_keys=True).encode()).hexdigest()


def system(plan: Mapping[str, Any]) -> list[Any]:
    """Model, its code and options, recipe and division.

    Of what was made elsewhere nothing but its label tells how it came about.
    """
    model = {k: plan["model"].get(k) for k in ("name", "version", "options", "source_sha256", "weights_sha256")}
    if model["options"] and plan["model"].get("weights_sha256"):
        model["options"] = {k: v for k, v in model["options"].items() if k != "weights"}  # the file, not its place
    if plan["division"] == EXTERNAL:
        model |= {k: plan["model"].get(k) for k in ("label", "factory")}
    return [model, plan["recipe"], plan["division"]]


@dataclass(frozen=True, slots=True)
class Seeds:
    """The records of one row, by seed; ``contradicts`` says which others found something else under the same seed."""

    members: tuple[Member, ...]
    contradicts: str = ""


def by_seed(members: Sequence[Member], primary: str, census: Census) -> Iterator[Seeds]:
    """Yield the rows of one configuration: that of its seeds, and one for each result of a seed that has several.

    Records of the same content are one result.  No result wins over another by where it lies or what it is called.
    """
    found: dict[int, list[Member]] = {}
    for one in members:
        found.setdefault(one.seed, []).append(one)
    results = {seed: _results(found[seed]) for seed in sorted(found)}
    census.left_out[DUPLICATE] += len(members) - sum(map(len, results.values()))
    agreed = tuple(several[0] for several in results.values() if len(several) == 1)
    if agreed:
        yield Seeds(agreed)
    for seed, several in results.items():
        if len(several) > 1:
            said = _contradiction(seed, several, primary)
            yield from (Seeds((one,), said) for one in several)


def in_time(records: Sequence[LoadedRecord], census: Census) -> list[LoadedRecord]:
    """Return records by the time at which they were made, each once; *census* is told of those that lie twice."""
    found: dict[tuple[str, str], list[LoadedRecord]] = {}
    for loaded in records:
        same = found.setdefault((loaded.record["created"], loaded.record["run_id"]), [])
        if any(loaded.record == other.record for other in same):
            census.left_out[DUPLICATE] += 1
        else:
            same.append(loaded)
    groups = (found[key] for key in sorted(found))
    return [one for same in groups for one in (_by_content(same) if len(same) > 1 else same)]


def _by_content(records: Iterable[LoadedRecord]) -> list[LoadedRecord]:
    return sorted(records, key=lambda r: json.dumps(r.record, sort_keys=True))


def _results(of_seed: Sequence[Member]) -> list[Member]:
    """One record of each content, that which was made first, in an order that comes from contents alone."""
    if len(of_seed) == 1:
        return [*of_seed]
    ordered = sorted(of_seed, key=lambda m: (m.created, json.dumps(m.record, sort_keys=True)))
    return list({m.content: m for m in reversed(ordered)}.values())[::-1]


def _contradiction(seed: int, several: Sequence[Member], primary: str) -> str:
    """One sentence with the metric in which records differ, its values, and their run ids."""
    names = [primary, *(name for name in several[0].record["metrics"] if name != primary)]
    values = {n: [m.record["metrics"].get(n, {}).get("value") for m in several] for n in names}
    name = next((n for n in names if len(set(values[n])) > 1), "")
    told = [f"{v:.4f}" if isinstance(v, float) else str(v) for v in values[name]] if name else [""] * len(several)
    if len(set(told)) < len(set(values.get(name, ()))):
        told = [repr(v) for v in values[name]]
    ids = [m.run_id for m in several]
    if len(set(ids)) < len(ids):
        ids = [f"{i} (content {m.content[:8]})" for i, m in zip(ids, several, strict=True)]
    each = ", ".join(f"{value} in {i}".strip() for value, i in sorted(zip(told, ids, strict=True)))
    return f"contradicting records of seed {seed}: {name or 'other predictions or intervals'} {each}"
