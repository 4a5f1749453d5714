"""What the records of one row's seeds say between them, and what their predictions do."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rsbench.leaderboard.rows import Measured

GATE: Final = "gate:"


@dataclass(frozen=True)
class Summary:
    """The records of a configuration, by seed.  Every field is what JSON can hold.

    Attributes:
        plan: of the first seed.
        scores, mean, deviation: of the primary metric; the deviation (ddof 1) is ``None`` for one seed.
        interval: the record's own of a single seed; of several, the table has it.
        metrics: name -> mean; ``params``: of the first seed; ``train_seconds``, ``eval_samples_per_s``: means.
        failed: the sanity checks that some seed did not pass, in words; notes: what a reader should know.
        predictions: SHA-256 of each run's.
    """

    plan: dict[str, Any]
    seeds: list[int]
    scores: list[float]
    mean: float
    deviation: float | None
    interval: list[float] | None
    metrics: dict[str, float | None]
    params: int | None
    train_seconds: float | None
    eval_samples_per_s: float | None
    failed: list[str]
    notes: list[str]
    run_ids: list[str]
    predictions: list[str | None]


@dataclass(frozen=True)
class Read:
    """What a configuration's records say, what their predictions do, and what contradicts them."""

    summary: Summary
    measured: Measured | None = None
    issues: Sequence[str] = ()


def summarize(records: Sequence[dict[str, Any]], primary: str) -> Summary:
    """Return what records of one configuration say, those of its seeds in order.

    Args:
        primary: name of the primary metric, of which each has a value.
    """
    first, metrics = records[0], [r["metrics"] for r in records]
    scores = [m[primary]["value"] for m in metrics]
    return Summary(
        plan=first["plan"],
        seeds=[r["plan"]["seed"] for r in records],
        scores=scores,
        mean=statistics.fmean(scores),
        deviation=statistics.stdev(scores) if len(scores) > 1 else None,
        interval=first["metrics"][primary]["ci95"] if len(records) == 1 else None,
        metrics={name: _mean([m.get(name, {}).get("value") for m in metrics]) for name in metrics[0]},
        params=(first["perf"] or {}).get("params"),
        train_seconds=_mean([(r["train"] or {}).get("seconds") for r in records]),
        eval_samples_per_s=_mean([(r["perf"] or {}).get("eval_samples_per_s") for r in records]),
        failed=sorted({_failed(c) for r in records for c in r["checks"] if c["name"].startswith(GATE) and not c["ok"]}),
        notes=[*_precisions(records), *_versions(records)],
        run_ids=[r["run_id"] for r in records],
        predictions=[r["artifacts"].get("predictions", {}).get("sha256") for r in records],
    )


def _failed(check: dict[str, Any]) -> str:
    return f"fails {check['name'].removeprefix(GATE)}: {check.get('detail', '')}"


def _precisions(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say so where seeds ran in different precision (rounding is no luck of the seed) or not in the recipe's."""
    found = [((record["env"] or {}).get("flags") or {}).get("precision") for record in records]
    if told := _mixed(records, found):
        yield f"its seeds ran in different precision: {told}"
    stated, ran = records[0]["plan"]["recipe"].get("precision", "auto"), {*found} - {None}
    if len(ran) == 1 and stated not in ("auto", *ran):
        yield f"it ran in {ran.pop()}, its recipe states {stated}"


def _versions(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Say so where seeds ran in different versions of rsbench."""
    if told := _mixed(records, [(record["env"] or {}).get("rsbench") for record in records]):
        yield f"its seeds ran in different versions of rsbench: {told}"


def _mixed(records: Sequence[dict[str, Any]], found: Sequence[str | None]) -> str:
    """Name what was found of the seeds, with the seeds; nothing where that is one thing."""
    seeds: dict[str, list[str]] = {}
    for record, value in zip(records, found, strict=True):
        if value is not None:
            seeds.setdefault(value, []).append(str(record["plan"]["seed"]))
    told = [f"{name} (seed{'s' * (len(of) > 1)} {', '.join(of)})" for name, of in sorted(seeds.items())]
    return ", ".join(told) if len(told) > 1 else ""


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known else None
