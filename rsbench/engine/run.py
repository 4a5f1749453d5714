"""One run, from plan to record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine import checkpoint, environment, features, preflight, setup
from rsbench.engine.data import open_data
from rsbench.engine.device import has_bf16, make_fabric, pin_threads, select_device, select_precision
from rsbench.engine.jobs.base import Evaluated, Job
from rsbench.engine.loader import ArrayLoader, Normalisation
from rsbench.engine.train import Emit, Interrupted, Progress, Trainer
from rsbench.errors import RunError, UserError
from rsbench.metrics.evaluate import collect
from rsbench.metrics.evaluate import evaluate as score
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry
from rsbench.specs import MetricSpec
from rsbench.tasks.kinds import kind_of, metric_context

PREDICTIONS = "predictions.parquet"


class Stages:
    """Names the stage under way, tells it to the parent and keeps its time."""

    def __init__(self, emit: Emit) -> None:
        self.emit, self.current, self.seconds = emit, "start", dict[str, float]()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run a block as stage *name*."""
        self.current = name
        self.emit({"type": "stage", "stage": name})
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - begin


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
        record["error"] = describe_error(error, stages.current)
        _log_traceback()
    record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
    path = store.save(record, folder)
    observer_errors += registry().notify("rsbench_run_end", plan=plan, record=record)
    for text in observer_errors:
        emit({"type": "warning", "text": text})
    if record["status"] == "ok":
        (folder / checkpoint.RESUME).unlink(missing_ok=True)
    return record | {"path": str(path)}


def describe_error(error: Exception, stage: str) -> dict[str, str]:
    """Return the ``error`` block: stage, type and one line."""
    message = str(error) or type(error).__name__
    if isinstance(error, torch.OutOfMemoryError):
        message = "The device ran out of memory: use a smaller batch (--set batch=...)."
    elif not isinstance(error, (RunError, UserError)):
        message = f"{type(error).__name__}: {message}"
    name = getattr(error, "stage", stage)
    return {"stage": name, "type": type(error).__name__, "message": " ".join(message.split())}


def _log_traceback() -> None:
    import traceback

    traceback.print_exc()


def _run(
    plan: RunPlan,
    folder: Path,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observer_errors: list[str],
) -> dict[str, Any]:
    threads = pin_threads(plan.threads)
    device = select_device(plan.device)
    precision = select_precision(plan.recipe["precision"], device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high" if precision != "fp32" else "highest")
    clock = (time.perf_counter(), time.process_time())
    with stages.stage("data"):
        job = setup.make_job(plan, open_data(plan))
    kind = _run_estimator if plan.model["kind"] == "estimator" else _run_network
    parts, result = kind(job, folder, device, precision, stages, emit, interrupted, observer_errors)
    with stages.stage("score"):
        predictions, reasons = _write_predictions(job, folder, result)
        parts |= _score(plan, folder / PREDICTIONS, reasons)
        if plan.division != "debug" and "control" not in plan.model.get("tags", ()):
            parts["checks"] += job.gates(result.outcome)
        parts["artifacts"] |= {"predictions": predictions}
    wall = time.perf_counter() - clock[0]
    parts["perf"] |= {
        "eval_samples_per_s": len(result.index) / max(result.seconds, 1e-9),
        "peak_memory_bytes": environment.peak_memory_bytes(device),
        "load": os.getloadavg()[0],
        "cpu_over_wall": (time.process_time() - clock[1]) / wall,
    }
    flags = {
        "precision": precision,
        "compile": None,
        "tf32": bool(torch.backends.cuda.matmul.allow_tf32) if device.type == "cuda" else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": threads,
        "bf16_hardware": has_bf16(device),
    }
    extra = registry().gather("rsbench_environment")
    parts["env"] = environment.describe(device, flags) | ({"plugins": extra} if extra else {})
    parts["checks"] += [{"name": "observer", "ok": False, "detail": text} for text in observer_errors]
    return parts


def _run_network(
    job: Job,
    folder: Path,
    device: torch.device,
    precision: str,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observer_errors: list[str],
) -> tuple[dict[str, Any], Evaluated]:
    plan, data = job.plan, job.data
    fabric = make_fabric(device, precision)
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

    with stages.stage("train"):
        trainer = Trainer(
            job,
            model,
            plan.recipe,
            loss,
            train,
            val,
            fabric=fabric,
            selection=plan.protocol["selection"],
            targets=tuple(plan.protocol["targets"]),
            resume_path=folder / checkpoint.RESUME,
            identity=plan.run_id,
            emit=emit,
            on_epoch=on_epoch,
            interrupted=interrupted,
        )
        progress = trainer.run()
    with stages.stage("evaluate"):
        result = job.evaluate(model, test, fabric)
    saved = checkpoint.save_weights(model, folder / checkpoint.WEIGHTS, {"run_id": plan.run_id, "format": "pt"})
    parts: dict[str, Any] = {
        "train": train_block(progress, initial),
        "perf": perf_block(job, model, progress),
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
    job: Job, folder: Path, device: torch.device, precision: str, stages: Stages, *_: Any
) -> tuple[dict[str, Any], Evaluated]:
    with stages.stage("build"):
        model = setup.build_model(job.plan, job.model_context())
    with stages.stage("fit"):
        fitted = job.fit(model)
    samples = len(job.data.train)
    parts: dict[str, Any] = {
        "train": train_block(Progress(samples=samples, seconds=fitted.seconds), None),
        "perf": {"train_samples_per_s": samples / max(fitted.seconds, 1e-9), "data_wait_fraction": None},
        "checks": [],
        "artifacts": {},
    }
    return parts, fitted.evaluated


def _write_predictions(job: Job, folder: Path, result: Evaluated) -> tuple[dict[str, Any], dict[str, str]]:
    """Write per-sample predictions; return their artifact entry, and why metrics could not be computed."""
    if not np.array_equal(result.index, job.data.test):
        raise RunError("The evaluation did not return each test sample exactly once.", "score")
    path, kind, outcome = folder / PREDICTIONS, kind_of(job.plan.task), result.outcome
    reasons: dict[str, str] = {}
    if kind.keeps_statistics:
        rows, reasons = collect(
            _metrics(job.plan), outcome.predictions, outcome.references, metric_context(job.plan.to_dict())
        )
        outcome = replace(outcome, kept=rows)
    kind.write(path, outcome)
    return {"path": PREDICTIONS, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}, reasons


def _metrics(plan: RunPlan) -> list[MetricSpec]:
    return [registry().get("metric", name) for name in plan.protocol["metrics"]]


def _score(plan: RunPlan, path: Path, reasons: dict[str, str]) -> dict[str, Any]:
    """Compute every metric from the predictions as stored, so that they can be verified later."""
    kind, context = kind_of(plan.task), metric_context(plan.to_dict())
    outcome = kind.read(path)
    return {
        "metrics": score(
            _metrics(plan),
            outcome.predictions,
            outcome.references,
            context,
            primary=plan.protocol["primary"],
            clusters=outcome.clusters,
            kept=outcome.kept,
            reasons=reasons,
        ),
        "by_group": kind.by_group(outcome, context),
    }


def train_block(progress: Progress, initial: float | None) -> dict[str, Any]:
    """The record's ``train``."""
    return {
        "epochs": progress.epoch,
        "steps": progress.steps,
        "samples": progress.samples,
        "seconds": progress.seconds,
        "selected_epoch": progress.best_epoch or None,
        "initial_loss": initial,
        "curve": progress.curve,
        "time_to": progress.time_to,
    }


def perf_block(job: Job, model: nn.Module, progress: Progress) -> dict[str, Any]:
    """The record's ``perf``, as far as training gives it."""
    return {
        "train_samples_per_s": progress.samples / max(progress.seconds, 1e-9),
        "data_wait_fraction": progress.data_seconds / max(progress.seconds, 1e-9),
        "params": sum(p.numel() for p in model.parameters()),
        "macs": count_macs(job, model),
    }


def count_macs(job: Job, model: nn.Module) -> int | None:
    """Multiply-accumulates of one sample (FLOPs / 2 by torch's FlopCounterMode; element-wise work is not counted)."""
    from torch.utils.flop_counter import FlopCounterMode

    parameter = next(model.parameters(), None)
    if parameter is None:
        return None
    training = model.training
    try:
        model.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*job.probe(parameter.device))
        return counter.get_total_flops() // 2
    except Exception:  # counting must never cost a finished run its record
        return None
    finally:
        model.train(training)
