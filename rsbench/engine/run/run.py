"""One run, from plan to record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsbench.engine.events import Emit
from rsbench.engine.input.run_data import open_data
from rsbench.engine.parallel.world import Place
from rsbench.engine.run import build, report
from rsbench.engine.run.checkpoint_run import run_checkpoint
from rsbench.engine.run.observers import Observers
from rsbench.engine.run.report import Machine, RunContext, Stages
from rsbench.engine.run.training_run import run_network
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training import resume
from rsbench.engine.training.device import local_device
from rsbench.engine.training.trainer import Progress
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record


class _Unobserved(Observers):
    """Of ranks other than the first: a run is told of once."""

    def tell(self, hook: str, **arguments: Any) -> None:
        """Call nobody."""


def execute(
    plan: RunPlan, emit: Emit, interrupted: Callable[[], bool] = lambda: False, place: Place | None = None
) -> dict[str, Any]:
    """Run *plan*, write its record (a failure's too) and return it.

    As the rank at *place* take part in it: only rank 0 writes, and failures are left to who looks after all ranks.

    Raises:
        Interrupted: the user stopped it; a state to resume from has been written.
    """
    folder = Path(plan.out).absolute() / plan.run_id  # wherever a plugin goes meanwhile
    folder.mkdir(parents=True, exist_ok=True)
    stages = Stages(emit)
    record = blank_record(plan.run_id, plan.portable())
    first = place is None or place.rank == 0
    observers = Observers(emit) if first else _Unobserved(emit)
    observers.tell("rsbench_run_start", plan=plan)
    with report.failures(lambda error: record.update(error=error), stages, plan):
        machine = Machine.prepare(dataclasses.replace(plan, device=local_device(plan.device, place)))
        context = RunContext(folder, machine, stages, emit, interrupted, observers, place)
        with observers.process_of(plan):
            record |= {"status": "ok"} | _run(plan, context)
    record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
    record["checks"] = [*record["checks"], *observers.checks()]
    if not first or (place is not None and place.world > 1 and record["status"] == "failed"):
        return record | {"path": str(_path(plan))}
    record = report.saved(record, folder)
    record["checks"] += observers.end(plan, record, folder)
    if record["status"] == "ok":
        resume.clear(folder)
    return record | {"path": str(_path(plan))}


def _path(plan: RunPlan) -> Path:
    return Path(plan.out) / plan.run_id / store.FILE


def elsewhere(plan: RunPlan) -> dict[str, Any]:
    """Return the record of a run that needs one process and that rank 0 does, as far as the others know of it."""
    return blank_record(plan.run_id, plan.portable()) | {
        "status": "ok",
        "timing": {"total": 0.0},
        "path": str(_path(plan)),
    }


def _run(plan: RunPlan, context: RunContext) -> dict[str, Any]:
    """Return what the record of a run that succeeded holds beside its plan."""
    stages, machine, place = context.stages, context.machine, context.place
    with stages.stage("data"):
        task = build.make_task(plan, open_data(plan))
    parts, result = _way(plan)(task, context)
    if place is not None and place.rank > 0:
        return {}
    with stages.stage("score"):
        report.add_scores(parts, task, context.folder, result)
    parts["perf"] |= machine.speed(result)
    parts["env"] = machine.environment(parts.get("env", {}).get("flags", {}))
    if place is not None:
        parts["env"]["device"]["count"] = place.world
        parts["env"]["ranks"] = place.describe(plan.strategy)
    return parts


def _way(plan: RunPlan) -> Callable[[TrainingTask, RunContext], tuple[dict[str, Any], Evaluated]]:
    """How the run comes to its test predictions."""
    if plan.checkpoint is not None:
        return run_checkpoint
    return _run_estimator if plan.model["kind"] == "estimator" else run_network


def _run_estimator(task: TrainingTask, context: RunContext) -> tuple[dict[str, Any], Evaluated]:
    with context.stages.stage("build"):
        model = build.build_model(task.plan, task.model_context())
    with context.stages.stage("fit"):
        fitted = task.fit(model)
    samples = len(task.data.train)
    parts: dict[str, Any] = {
        "train": report.train_block(Progress(samples=samples, seconds=fitted.seconds), None, None),
        "perf": {"train_samples_per_s": samples / max(fitted.seconds, 1e-9), "data_wait_fraction": None},
        "checks": [],
        "artifacts": {},
    }
    return parts, fitted.evaluated
