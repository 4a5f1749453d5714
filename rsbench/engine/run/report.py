"""Parts of a record: predictions and their scores, training, speed, and the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.containment import described
from rsbench.cores import usable_cores
from rsbench.engine.events import Emit, Interrupted
from rsbench.engine.memory import peak_memory_bytes
from rsbench.engine.parallel.world import RankInfo
from rsbench.engine.run import environment
from rsbench.engine.run.observers import Observers
from rsbench.engine.step.count_macs import macs_of_sample
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training import resume
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import has_bf16, select_device, select_precision, set_arithmetic
from rsbench.engine.training.threads import pin_threads
from rsbench.engine.training.trainer import Progress
from rsbench.errors import RunError, UserError
from rsbench.plan import DIVISIONS, RunPlan, is_baseline
from rsbench.records import store
from rsbench.registry import HOME, registry
from rsbench.specs import MetricSpec
from rsbench.tasks.scoring import entries_of, with_statistics
from rsbench.tasks.task import get_task

BEFORE: Final = ("start", "data")  # stages that call no code of a model, a loss or a task
AFTER: Final = ("score", "save")  # and such as call a task's alone


class Stages:
    """Names the stage under way, tells it to the parent and keeps its time."""

    def __init__(self, emit: Emit) -> None:
        self.emit, self.current, self.seconds = emit, "start", dict[str, float]()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run a block as stage *name*; a stage that comes again goes on counting."""
        self.current = name
        self.emit({"type": "stage", "stage": name})
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True)
class Machine:
    """What a run works with, and the clocks at its start."""

    device: torch.device
    precision: str
    threads: int
    wall: float
    cpu: float

    @classmethod
    def prepare(cls, plan: RunPlan, alone: bool = True, folder: Path | None = None) -> Machine:
        """Choose device and precision, and pin threads.

        *alone*: the run is that of one process; ranks, each of which has its part of the cores, start at once and would
        take each other for strangers.  *folder*: of the run, which goes on with the threads it had where it is resumed.
        """
        device = select_device(plan.device)
        if device.type == "cuda":
            torch.cuda.set_device(device)  # else each process also takes memory of the first GPU
        precision = select_precision(plan.recipe["precision"], device)
        if device.type == "cuda":
            set_arithmetic(precision)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        follows = alone and device.type == "cpu" and plan.model["kind"] == "network"
        follows = follows and plan.division in DIVISIONS  # speeds are measured on all cores
        kept = 0 if plan.threads or folder is None else (resume.load(folder) or {}).get("threads", 0)
        threads = pin_threads(plan.threads or min(kept, usable_cores()), dtype if follows else None)
        return cls(device, precision, threads, time.perf_counter(), time.process_time())

    def speed(self, result: Evaluated) -> dict[str, Any]:
        """More of the record's ``perf``: evaluation, memory and load."""
        wall = time.perf_counter() - self.wall
        return {
            "eval_samples_per_s": len(result.index) / max(result.seconds, 1e-9),
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "load": os.getloadavg()[0],
            "cpu_over_wall": (time.process_time() - self.cpu) / wall,
        }

    def environment(self, training: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The record's ``env``; *training* are flags that training adds to the machine's."""
        tf32 = bool(torch.backends.cuda.matmul.allow_tf32) if self.device.type == "cuda" else None
        flags = {
            "precision": self.precision,
            "compile": None,
            "tf32": tf32,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "threads": self.threads,
            "bf16_hardware": has_bf16(self.device),
        } | dict(training or {})
        extra = registry().gather("rsbench_environment")
        return environment.describe(self.device, flags) | ({"plugins": extra} if extra else {})


def describe_error(error: BaseException, stage: str, plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the ``error`` block: stage, type and one line, which names the plugin in whose code it was raised, or
    those of the *plan* whose code gave what ours may have refused."""
    stage = getattr(error, "stage", stage)
    if isinstance(error, torch.OutOfMemoryError):
        message = "The device ran out of memory: use a smaller batch (--set batch=...)."
    elif isinstance(error, UserError):
        message = " ".join(str(error).split())
    else:
        message = " ".join(str(error).split()) if isinstance(error, RunError) else described(error)
        owner = None if isinstance(error, RunError) else registry().blamed(error)
        message += f" (raised in code of {owner})" if owner else _suspects(plan, stage)
    return {"stage": stage, "type": type(error).__name__, "message": message}


def _suspects(plan: Mapping[str, Any], stage: str) -> str:
    """Name the parts of a plan by others that are called in a stage, and their distributions."""
    recipe, model = plan["recipe"], plan["model"]
    names = {} if stage in BEFORE else {"task": plan["task"]}
    if stage not in (*BEFORE, *AFTER):
        names |= {"model": model["name"], "loss": recipe.get("loss"), "optimizer": recipe.get("optimizer")}
    found = {"model": model.get("distribution") or HOME} if "model" in names else {}
    for kind in [kind for kind, name in names.items() if name and kind not in found]:
        with suppress(UserError):  # an optimizer of torch or timm, which is no plugin's
            found[kind] = registry().origin(kind, names[kind]).distribution
    said = [f"{kind} '{names[kind]}' is of distribution '{whose}'" for kind, whose in found.items() if whose != HOME]
    return f" ({'; '.join(said)})" if said else ""


def log_traceback() -> None:
    """Print the exception being handled, which the worker keeps in the run's log."""
    import traceback

    traceback.print_exc()


def finish(parts: dict[str, Any], task: TrainingTask, context: RunContext, result: Evaluated) -> dict[str, Any]:
    """Return what the record of a run with scores holds beside its plan.

    Args:
        parts: what is known but for what follows from the predictions; the flags of training in ``env``.
        task: of the run.
        context: of the run, or of its group.
        result: what was predicted of the test split.

    Raises:
        RunError: a sample was predicted twice, or not at all.
    """
    with context.stages.stage("score"):
        _add_scores(parts, task, context.folder_of(task.plan), result)
    parts["perf"] |= context.machine.speed(result)
    parts["env"] = context.machine.environment(parts.get("env", {}).get("flags", {}))
    return parts


def _add_scores(parts: dict[str, Any], task: TrainingTask, folder: Path, result: Evaluated) -> None:
    """Write predictions; add metrics, breakdown, sanity checks and the artifact to *parts*."""
    artifact, reasons = _write_predictions(task, folder / store.PREDICTIONS, result)
    parts |= _score(task.plan, folder / store.PREDICTIONS, reasons)
    if task.plan.division != "debug" and not is_baseline(task.plan.model):
        parts["checks"] += task.sanity_checks(result.outcome)
    parts["artifacts"] |= {"predictions": artifact}


def _write_predictions(task: TrainingTask, path: Path, result: Evaluated) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Return the artifact's entry, and why metrics could not be computed."""
    if not np.array_equal(result.index, task.data.test):
        raise RunError("The evaluation did not return each test sample exactly once.", "score")
    kind = get_task(task.plan.task)
    outcome = with_statistics(kind, result.outcome, _metrics(task.plan), kind.context(task.plan.dataset))
    kind.write(path, outcome)
    return {"path": path.name, "sha256": store.sha256_file(path), "bytes": path.stat().st_size}, outcome.reasons


def _metrics(plan: RunPlan) -> list[MetricSpec]:
    return [registry().get("metric", name) for name in plan.protocol["metrics"]]


def _score(plan: RunPlan, path: Path, reasons: Mapping[str, str]) -> dict[str, Any]:
    """Compute every metric from the predictions as stored, so that they can be verified later."""
    kind = get_task(plan.task)
    context, outcome = kind.context(plan.dataset), replace(kind.read(path), reasons=reasons)
    metrics = entries_of(outcome, _metrics(plan), context, plan.protocol["primary"])
    return {"metrics": metrics, "by_group": kind.by_group(outcome, context)}


def train_block(progress: Progress, selection: Selection | None, initial: float | None) -> dict[str, Any]:
    """The record's ``train``."""
    return {
        "epochs": progress.epoch,
        "steps": progress.steps,
        "samples": progress.samples,
        "seconds": progress.seconds,
        "selected_epoch": (selection and selection.best_epoch) or None,
        "initial_loss": initial,
        "curve": progress.curve,
        "time_to": selection.time_to if selection else {},
    }


def perf_block(task: TrainingTask, model: nn.Module, progress: Progress | None = None) -> dict[str, Any]:
    """The record's ``perf``, as far as the network gives it, and the *progress* of its training."""
    return {
        "train_samples_per_s": progress and progress.samples / max(progress.seconds, 1e-9),
        "data_wait_fraction": progress and progress.data_seconds / max(progress.seconds, 1e-9),
        "params": sum(p.numel() for p in model.parameters()),
        "macs": macs_of_sample(task, model),
    }


@dataclass(frozen=True)
class RunContext:
    """Where a run leaves its files, what it runs on, and whom it tells.

    Attributes:
        folder: of its record; of a group, that of the first.
        stages: names and times its parts.
        emit: receives progress.
        interrupted: asked now and then; true ends the run, with a state to resume from.
        place: of this rank among those that share the run; ``None`` for a single process.
    """

    folder: Path
    machine: Machine
    stages: Stages
    emit: Emit
    interrupted: Callable[[], bool]
    observers: Observers
    place: RankInfo | None = None

    def folder_of(self, plan: RunPlan) -> Path:
        """Return the folder of the record of *plan*, which runs in the same process."""
        return self.folder.parent / plan.run_id

    def check(self) -> None:
        """Raise Interrupted where the run is to end."""
        if self.interrupted():
            raise Interrupted
