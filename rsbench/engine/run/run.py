"""What all plans go through on their way to records, whatever their runner does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rsbench.containment import is_the_users
from rsbench.engine.events import Emit, Interrupted
from rsbench.engine.parallel.world import RankInfo
from rsbench.engine.run import report
from rsbench.engine.run.observers import Observers
from rsbench.engine.run.report import Machine, RunContext, Stages
from rsbench.engine.training import resume
from rsbench.engine.training.device import local_device
from rsbench.errors import UserError
from rsbench.plan import DIVISIONS, RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry
from rsbench.specs import load_attribute


def never() -> bool:
    """Nobody wants an end."""
    return False


def execute(
    plan: RunPlan, emit: Emit, interrupted: Callable[[], bool] = never, place: RankInfo | None = None
) -> dict[str, Any]:
    """Do as :func:`execute_together` does with one plan, and return its record.

    Args:
        plan, emit, interrupted, place: as for :func:`execute_together`.
    """
    return execute_together([plan], emit, interrupted, place)[0]


def execute_together(
    plans: Sequence[RunPlan], emit: Emit, interrupted: Callable[[], bool] = never, place: RankInfo | None = None
) -> list[dict[str, Any]]:
    """Let their runner execute *plans*, write their records (failures' too) and return them, with their ``path``.

    A finished record, of an earlier attempt in which another of the plans failed, is returned as it is.

    Args:
        plans: one, or those of a group.
        emit: receives progress.
        interrupted: asked now and then; true ends the run.
        place: of this rank, which takes part in a run: only rank 0 writes, and failures are left to who looks after
            all ranks.

    Raises:
        Interrupted: the user stopped it; a state to resume from has been written.
    """
    runs = [_Run(plan) for plan in plans]
    if all(run.finished for run in runs):
        return [run.told() for run in runs]
    stages, first = Stages(emit), place is None or place.rank == 0
    observers = Observers(emit, told=first and plans[0].division in DIVISIONS)
    for plan in plans:
        observers.tell("rsbench_run_start", plan=plan)
    machine: Machine | None = None
    try:
        on = dataclasses.replace(plans[0], device=local_device(plans[0].device, place))
        machine = Machine.prepare(on, alone=place is None, folder=runs[0].folder)
        context = RunContext(runs[0].folder, machine, stages, emit, interrupted, observers, place)
        body = load_attribute(registry().get("runner", plans[0].runner).run)
        with observers.process_of(plans[0]):
            for run, parts in zip(runs, body(plans, context), strict=True):
                run.take(parts)
    except BaseException as error:  # also what would end the process: networks, losses and tasks are plugins' code
        if isinstance(error, Interrupted) or is_the_users(error):
            raise
        for run in runs:
            run.fail(report.describe_error(error, stages.current, run.plan.to_dict()), machine)
        report.log_traceback()
    for run in runs:
        run.end(stages, observers, place)
    if all(run.record["status"] == "ok" for run in runs) and first:
        resume.clear(runs[0].folder)
    return [run.told() for run in runs]


class _Run:
    """A plan, its folder, and its record as far as it is known; *finished* where there was one."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.folder = Path(plan.out).absolute() / plan.run_id  # wherever a plugin goes meanwhile
        self.folder.mkdir(parents=True, exist_ok=True)
        self.finished = store.finished(self.folder)
        self.record = store.load(self.folder) if self.finished else blank_record(plan.run_id, plan.public_dict())

    def take(self, parts: dict[str, Any]) -> None:
        """Take what the runner has found."""
        if not self.finished:
            self.record |= {"status": "ok"} | parts

    def fail(self, error: dict[str, str], machine: Machine | None) -> None:
        """Take an error, and what it was met on, unless the record was whole before."""
        if self.record["status"] != "ok":
            self.record["error"] = error
            with suppress(RuntimeError):  # a device that failed may answer no more
                self.record["env"] = machine and machine.environment()

    def told(self) -> dict[str, Any]:
        """Return the record with its path."""
        return self.record | {"path": str(path_of(self.plan))}

    def end(self, stages: Stages, observers: Observers, place: RankInfo | None) -> None:
        """Write the record and tell observers of it."""
        if self.finished:
            observers.tell("rsbench_run_end", plan=self.plan, record=self.record)
            return
        self.record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
        self.record["checks"] = [*self.record["checks"], *observers.checks()]
        failed = self.record["status"] == "failed"
        if place is not None and (place.rank > 0 or (failed and place.world > 1)):
            return
        self.record = _saved(self.record, self.folder)
        self.record["checks"] += observers.end(self.plan, self.record, self.folder)


def path_of(plan: RunPlan) -> Path:
    """File of a plan's record."""
    return Path(plan.out) / plan.run_id / store.FILE


def elsewhere(plan: RunPlan) -> dict[str, Any]:
    """Return the record of a run that needs one process and that rank 0 does, as far as the others know of it."""
    done = {"status": "ok", "timing": {"total": 0.0}, "path": str(path_of(plan))}
    return blank_record(plan.run_id, plan.public_dict()) | done


def _saved(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write a record and return it; one that cannot be written, for what a plugin has put into it, as a failure.

    Raises:
        UserError: a finished record is there already.
    """
    try:
        store.save(record, folder)
    except UserError as error:
        if store.finished(folder):
            raise
        failed = blank_record(record["run_id"], record["plan"])
        said = report.describe_error(error, "save", record["plan"])
        record = failed | {"error": said, "timing": record["timing"]}
        store.save(record, folder)
    return record
