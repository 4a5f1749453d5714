"""One run, from plan to record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine import checkpoint, features, preflight, report, setup
from rsbench.engine.data import open_data
from rsbench.engine.device import make_fabric
from rsbench.engine.jobs.base import Evaluated, Job
from rsbench.engine.loader import ArrayLoader, Normalisation
from rsbench.engine.report import Stages
from rsbench.engine.selection import Selection
from rsbench.engine.train import Emit, Interrupted, Progress, Trainer
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry


def execute(plan: RunPlan, emit: Emit, interrupted: Callable[[], bool] = lambda: False) -> dict[str, Any]:
    """Run *plan*, write its record (a failure's too) and return it.

    Raises:
        Interrupted: the user stopped it; a state to resume from has been written.
    """
    folder = Path(plan.out) / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    stages = Stages(emit)
    record = blank_record(plan.run_id, plan.portable())
    observer_errors = registry().notify("rsbench_run_start", plan=plan)
    try:
        record |= {"status": "ok"} | _run(plan, folder, stages, emit, interrupted, observer_errors)
    except Interrupted:
        raise
    except Exception as error:
        record["error"] = report.describe_error(error, stages.current)
        report.log_traceback()
    record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
    path = store.save(record, folder)
    observer_errors += registry().notify("rsbench_run_end", plan=plan, record=record)
    for text in observer_errors:
        emit({"type": "warning", "text": text})
    if record["status"] == "ok":
        (folder / checkpoint.RESUME).unlink(missing_ok=True)
    return record | {"path": str(path)}


def _run(
    plan: RunPlan,
    folder: Path,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observer_errors: list[str],
) -> dict[str, Any]:
    machine = report.Machine.prepare(plan)
    with stages.stage("data"):
        job = setup.make_job(plan, open_data(plan))
    kind = _run_estimator if plan.model["kind"] == "estimator" else _run_network
    parts, result = kind(job, folder, machine, stages, emit, interrupted, observer_errors)
    with stages.stage("score"):
        report.add_scores(parts, job, folder, result)
    parts["perf"] |= machine.speed(result)
    parts["env"] = machine.environment()
    parts["checks"] += [{"name": "observer", "ok": False, "detail": text} for text in observer_errors]
    return parts


def _run_network(
    job: Job,
    folder: Path,
    machine: report.Machine,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observer_errors: list[str],
) -> tuple[dict[str, Any], Evaluated]:
    plan, data, device = job.plan, job.data, machine.device
    fabric = make_fabric(device, machine.precision)
    with stages.stage("build"):
        torch.manual_seed(plan.seed)
        np.random.seed(plan.seed % 2**32)
        model = setup.build_model(plan, job.model_context())
        if not isinstance(model, nn.Module):
            raise RunError(
                f"The factory of '{plan.model['name']}' returned {type(model).__name__}, not a module.", "build"
            )
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss = setup.build_loss(plan, job.loss_context()).to(device)
        norm = setup.normalisation(plan, data)
        train = job.make_loader(data.train, device, norm, training=True)
        val = job.make_loader(data.val, device, norm, training=False) if len(data.val) else None
    with stages.stage("preflight"):
        first = next(train.training_epoch(0), None)
        if first is None:
            raise RunError("The training split is empty.", "preflight")
        checks, initial = preflight.run(job, model, first, loss, fabric)
    test = job.make_loader(data.test, device, norm, training=False)
    if features.encodes_once(model, plan.recipe["augmentation"]):
        with stages.stage("encode"):
            train, val, test = _with_features(job, model, (train, val, test), device, norm, fabric)

    def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
        observer_errors.extend(registry().notify("rsbench_epoch_end", plan=plan, epoch=epoch, logs=logs))

    selection = Selection(plan.protocol["selection"], job.score, targets=tuple(plan.protocol["targets"]))
    with stages.stage("train"):
        trainer = Trainer(
            job,
            model,
            plan.recipe,
            loss,
            train,
            val,
            fabric=fabric,
            selections=[selection],
            resume_path=folder / checkpoint.RESUME,
            identity=plan.run_id,
            emit=emit,
            on_epoch=on_epoch,
            interrupted=interrupted,
        )
        progress = trainer.run()
        trainer.take(selection)
    with stages.stage("evaluate"):
        result = job.evaluate(model, test, fabric)
    saved = checkpoint.save_weights(model, folder / checkpoint.WEIGHTS, {"run_id": plan.run_id, "format": "pt"})
    parts: dict[str, Any] = {
        "train": report.train_block(progress, selection, initial),
        "perf": report.perf_block(job, model, progress),
        "checks": checks,
        "artifacts": {"checkpoint": saved},
    }
    return parts, result


def _with_features(
    job: Job,
    model: nn.Module,
    loaders: tuple[ArrayLoader, ArrayLoader | None, ArrayLoader],
    device: torch.device,
    norm: Normalisation,
    fabric: Any,
) -> tuple[ArrayLoader, ArrayLoader | None, ArrayLoader]:
    """Let loaders give the features of a frozen encoder, where these fit in memory."""
    found = features.encode(job, model, device, norm, fabric)
    if found is None:
        return loaders
    train, val, test = loaders
    over = features.FeatureLoader.over
    return over(train, *found), val and over(val, *found), over(test, *found)


def _run_estimator(
    job: Job, folder: Path, machine: report.Machine, stages: Stages, *_: Any
) -> tuple[dict[str, Any], Evaluated]:
    with stages.stage("build"):
        model = setup.build_model(job.plan, job.model_context())
    with stages.stage("fit"):
        fitted = job.fit(model)
    samples = len(job.data.train)
    parts: dict[str, Any] = {
        "train": report.train_block(Progress(samples=samples, seconds=fitted.seconds), None, None),
        "perf": {"train_samples_per_s": samples / max(fitted.seconds, 1e-9), "data_wait_fraction": None},
        "checks": [],
        "artifacts": {},
    }
    return parts, fitted.evaluated
