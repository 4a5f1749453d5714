"""What becomes of plans, in whatever process they run.  Imports neither torch nor NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rsbench.engine.training import resume
from rsbench.files import write_atomically
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record

BUSY: Final = "busy"  # status of plans that another process is at
LOCK: Final = ".lock"  # held by the process that is at the run
PLAN: Final = "plan.json"  # of a run that was begun and has left no record since


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plan: ``ok | failed | interrupted | cached``.

    signal: by which it was interrupted, such as ``signal.SIGTERM``, where that is known.
    """

    run_id: str
    status: str
    record_path: Path | None = None
    error: str | None = None
    primary: dict[str, Any] | None = None
    seconds: float | None = None
    signal: int | None = None

    def event(self) -> dict[str, Any]:
        """Return the ``done`` event of the run."""
        return {"type": "done"} | asdict(self) | {"record_path": str(self.record_path) if self.record_path else None}


def folder_of(plan: RunPlan) -> Path:
    """Folder of a plan's record."""
    return Path(plan.out) / plan.run_id


def begin(plans: Sequence[RunPlan]) -> None:
    """Note in the folder of each plan what runs there, and whose folder is locked for it."""
    for plan in plans:
        text = json.dumps({"lead": plans[0].run_id, "plan": plan.public_dict()}, indent=1)
        with suppress(OSError):  # of a full disk the record will tell
            write_atomically(folder_of(plan) / PLAN, text, durable=False)


def settle(plans: Sequence[RunPlan]) -> None:
    """Take the notes away: from here on records have the plans."""
    for plan in plans:
        with suppress(OSError):
            (folder_of(plan) / PLAN).unlink(missing_ok=True)


def cached(plans: Sequence[RunPlan]) -> list[Outcome]:
    """Return outcomes where all of *plans*, which are run together, have finished records; else none."""
    folders = [folder_of(plan) for plan in plans]
    if not all(map(store.finished, folders)):
        return []
    for folder in folders:
        with suppress(OSError):  # of others' records: they need not be ours to tidy up
            resume.clear(folder)
    return [_from_record(folder) for folder in folders]


def _from_record(folder: Path) -> Outcome:
    path = folder / store.FILE
    record = store.load(path)
    return Outcome(record["run_id"], "cached", path, None, primary_of(record["metrics"]), 0.0)


def of_record(record: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a run whose record, with its *path*, was written."""
    error = (record["error"] or {}).get("message")
    primary, seconds = primary_of(record["metrics"]), record["timing"]["total"]
    return Outcome(record["run_id"], record["status"], Path(record["path"]), error, primary, seconds)


def primary_of(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return ``{name, value, ci95, unit}`` of the primary metric of a record's ``metrics``."""
    for name, entry in metrics.items():
        if entry.get("primary"):
            return {"name": name, "value": entry["value"], "ci95": entry["ci95"], "unit": entry["unit"]}
    return None


def all_of(plans: Sequence[RunPlan], status: str, **facts: Any) -> list[Outcome]:
    """Return the same outcome for each of *plans*."""
    return [Outcome(plan.run_id, status, **facts) for plan in plans]


def record_death(plans: Sequence[RunPlan], message: str, seconds: float | None) -> list[Outcome]:
    """Write failure records of *plans*, whose worker was lost without a word; what was finished before stays."""
    outcomes = [_record_death(plan, message, seconds) for plan in plans]
    settle(plans)
    return outcomes


def _record_death(plan: RunPlan, message: str, seconds: float | None) -> Outcome:
    folder = folder_of(plan)
    if store.finished(folder):
        return _from_record(folder)
    record = blank_record(plan.run_id, plan.public_dict())
    record["error"] = {"stage": "process", "type": "WorkerDied", "message": message}
    record["timing"] = {"total": seconds}
    path = store.save(record, folder)
    return Outcome(plan.run_id, "failed", path, message, None, seconds)
