"""A run that ends with scores: a network is trained or its weights are loaded, or an estimator is fitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import build, report
from rsbench.engine.run.checkpoint_run import run_checkpoint
from rsbench.engine.run.report import RunContext
from rsbench.engine.run.training_run import run_network
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training.trainer import Progress
from rsbench.plan import RunPlan
from rsbench.recipes import fit_of


def run(plans: Sequence[RunPlan], context: RunContext) -> Iterator[dict[str, Any]]:
    """Yield what the record of the one plan holds beside it; of ranks other than the first, nothing."""
    (plan,) = plans
    place = context.place
    with context.stages.stage("data"):
        task = build.make_task(plan, open_data(plan))
    parts, result = _runner(plan)(task, context)
    if place is not None and place.rank > 0:
        yield {}
        return
    report.finish(parts, task, context, result)
    if place is not None:
        parts["env"]["device"]["count"] = place.world
        parts["env"]["ranks"] = place.describe(plan.strategy)
    yield parts


def _runner(plan: RunPlan) -> Callable[[TrainingTask, RunContext], tuple[dict[str, Any], Evaluated]]:
    """How the run comes to its test predictions."""
    if plan.checkpoint is not None:
        return run_checkpoint
    if plan.model["kind"] == "estimator":
        return _run_estimator
    fit = fit_of(plan.recipe)
    return run_network if fit is None else fit(plan).run


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
