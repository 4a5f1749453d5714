"""What becomes of plans, in whatever process they run.  Imports neither torch nor NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsbench.engine import worker
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plan: ``ok | failed | interrupted | cached``."""

    run_id: str
    status: str
    record_path: Path | None = None
    error: str | None = None
    primary: dict[str, Any] | None = None
    seconds: float | None = None

    def event(self) -> dict[str, Any]:
        """Return the ``done`` event of the run."""
        return {"type": "done"} | asdict(self) | {"record_path": str(self.record_path) if self.record_path else None}


def cached(plans: Sequence[RunPlan]) -> list[Outcome]:
    """Return outcomes where all of *plans*, which are run together, have finished records; else none."""
    folders = [Path(plan.out) / plan.run_id for plan in plans]
    return [_from_record(folder) for folder in folders] if all(map(store.finished, folders)) else []


def _from_record(folder: Path) -> Outcome:
    path = folder / store.FILE
    record = json.loads(path.read_text(encoding="utf-8"))
    return Outcome(record["run_id"], "cached", path, None, worker.primary_of(record["metrics"]), 0.0)


def interrupted(plans: Sequence[RunPlan]) -> list[Outcome]:
    """Return the outcomes of plans that were stopped."""
    return [Outcome(plan.run_id, "interrupted") for plan in plans]


def record_death(plans: Sequence[RunPlan], message: str, seconds: float | None) -> list[Outcome]:
    """Write failure records of *plans*, whose worker was lost without a word."""
    return [_record_death(plan, message, seconds) for plan in plans]


def _record_death(plan: RunPlan, message: str, seconds: float | None) -> Outcome:
    record = blank_record(plan.run_id, plan.portable())
    record["error"] = {"stage": "process", "type": "WorkerDied", "message": message}
    record["timing"] = {"total": seconds}
    path = store.save(record, Path(plan.out) / plan.run_id)
    return Outcome(plan.run_id, "failed", path, message, None, seconds)
