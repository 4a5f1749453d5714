"""One run, from plan to record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine import checkpoint, environment, gates, preflight, setup
from rsbench.engine.device import has_bf16, make_fabric, pin_threads, select_device, select_precision
from rsbench.engine.evaluate import Evaluation, evaluate
from rsbench.engine.train import Emit, Interrupted, Progress, Trainer
from rsbench.errors import RunError, UserError
from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import evaluate as score
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry
from rsbench.tasks import predictions as prediction_files
from rsbench.tasks.classification import breakdown

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
        data = setup.open_data(plan)
    kind = _run_estimator if plan.model["kind"] == "estimator" else _run_network
    parts, result = kind(plan, folder, data, device, precision, stages, emit, interrupted, observer_errors)
    with stages.stage("score"):
        predictions = _write_predictions(plan, folder, data, result)
        parts |= _score(plan, data, folder / PREDICTIONS)
        parts["checks"] += gates.check(plan, data, *_outputs(folder / PREDICTIONS))
        parts["artifacts"] |= {"predictions": predictions}
    wall = time.perf_counter() - clock[0]
    parts["perf"] |= {
        "eval_samples_per_s": len(result.targets) / max(result.seconds, 1e-9),
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
    plan: RunPlan,
    folder: Path,
    data: setup.RunData,
    device: torch.device,
    precision: str,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observer_errors: list[str],
) -> tuple[dict[str, Any], Evaluation]:
    fabric = make_fabric(device, precision)
    with stages.stage("build"):
        torch.manual_seed(plan.seed)
        np.random.seed(plan.seed % 2**32)
        model = setup.build_model(plan, setup.model_context(plan, data))
        if not isinstance(model, nn.Module):
            raise RunError(
                f"The factory of '{plan.model['name']}' returned {type(model).__name__}, not a module.", "build"
            )
        model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss = setup.build_loss(plan, data).to(device)
        norm = setup.normalisation(plan, data)
        train = setup.make_loader(plan, data, data.train, device, norm, training=True)
        val = setup.make_loader(plan, data, data.val, device, norm, training=False) if len(data.val) else None
    with stages.stage("preflight"):
        first = next(train.training_epoch(0), None)
        if first is None:
            raise RunError("The training split is empty.", "preflight")
        checks, initial = preflight.run(model, first, loss, len(data.classes), plan.model["name"], fabric)

    def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
        observer_errors.extend(registry().notify("rsbench_epoch_end", plan=plan, epoch=epoch, logs=logs))

    with stages.stage("train"):
        trainer = Trainer(
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
        test = setup.make_loader(plan, data, data.test, device, norm, training=False)
        result = evaluate(model, test, fabric)
        preflight.check_logits(torch.from_numpy(result.logits), len(data.test), len(data.classes), plan.model["name"])
    saved = checkpoint.save_weights(model, folder / checkpoint.WEIGHTS, {"run_id": plan.run_id, "format": "pt"})
    parts: dict[str, Any] = {
        "train": train_block(progress, initial),
        "perf": perf_block(model, progress, data),
        "checks": checks,
        "artifacts": {"checkpoint": saved},
    }
    return parts, result


def _run_estimator(
    plan: RunPlan, folder: Path, data: setup.RunData, device: torch.device, precision: str, stages: Stages, *_: Any
) -> tuple[dict[str, Any], Evaluation]:
    with stages.stage("build"):
        model = setup.build_model(plan, setup.model_context(plan, data))
    labels = data.store.labels
    with stages.stage("train"):
        begin = time.perf_counter()
        model.fit(setup.blocks(data, data.train), labels[data.train])
        seconds = time.perf_counter() - begin
    with stages.stage("evaluate"):
        begin = time.perf_counter()
        probabilities = np.concatenate([model.predict(b) for b in setup.blocks(data, data.test)])
        elapsed = time.perf_counter() - begin
    expected = (len(data.test), len(data.classes))
    if probabilities.shape != expected:
        raise RunError(
            f"'{plan.model['name']}' predicted {list(probabilities.shape)}, not {list(expected)}.", "evaluate"
        )
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(probabilities), -1e4)
    progress = Progress(samples=len(data.train), seconds=seconds)
    parts: dict[str, Any] = {
        "train": train_block(progress, None),
        "perf": {"train_samples_per_s": len(data.train) / max(seconds, 1e-9), "data_wait_fraction": None},
        "checks": [],
        "artifacts": {},
    }
    return parts, Evaluation(logits, labels[data.test], data.test, elapsed)


def _write_predictions(plan: RunPlan, folder: Path, data: setup.RunData, result: Evaluation) -> dict[str, Any]:
    """Write per-sample predictions and return their artifact entry."""
    if not np.array_equal(result.index, data.test):
        raise RunError("The evaluation did not return each test sample exactly once.", "score")
    path = folder / PREDICTIONS
    ids = [data.store.ids[i] for i in result.index]
    prediction_files.write(path, ids, result.targets, result.logits.argmax(1).astype(np.int64), result.probabilities)
    return {"path": PREDICTIONS, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}


def _score(plan: RunPlan, data: setup.RunData, path: Path) -> dict[str, Any]:
    """Compute every metric from the predictions as stored, so that they can be verified later."""
    predictions, references = prediction_files.read(path)
    specs = [registry().get("metric", name) for name in plan.protocol["metrics"]]
    context = MetricContext(task=plan.task, classes=data.classes)
    return {
        "metrics": score(specs, predictions, references, context, primary=plan.protocol["primary"]),
        "by_group": breakdown(predictions, references, data.classes),
    }


def _outputs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    predictions, _ = prediction_files.read(path)
    assert predictions.probabilities is not None
    return predictions.labels, predictions.probabilities


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


def perf_block(model: nn.Module, progress: Progress, data: setup.RunData) -> dict[str, Any]:
    """The record's ``perf``, as far as training gives it."""
    return {
        "train_samples_per_s": progress.samples / max(progress.seconds, 1e-9),
        "data_wait_fraction": progress.data_seconds / max(progress.seconds, 1e-9),
        "params": sum(p.numel() for p in model.parameters()),
        "macs": count_macs(model, len(data.bands), data.size),
    }


def count_macs(model: nn.Module, channels: int, size: int) -> int | None:
    """Multiply-accumulates of one image (FLOPs / 2 by torch's FlopCounterMode; element-wise work is not counted)."""
    from torch.utils.flop_counter import FlopCounterMode

    parameter = next(model.parameters(), None)
    if parameter is None:
        return None
    training = model.training
    try:
        model.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, channels, size, size, device=parameter.device))
        return counter.get_total_flops() // 2
    except Exception:  # counting must never cost a finished run its record
        return None
    finally:
        model.train(training)
