"""A run that trains nothing: weights from elsewhere are checked and evaluated."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rsbench.engine.input.normalization import Normalization
from rsbench.engine.input.run_data import RunData, open_data
from rsbench.engine.run import build, preflight, report
from rsbench.engine.run.report import RunContext
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training.device import make_fabric
from rsbench.errors import RunError, UserError
from rsbench.evaluation import FROM_CHECKPOINT
from rsbench.plan import RunPlan
from rsbench.tasks.weights import find, mismatch, read_metadata


def run_checkpoint(task: TrainingTask, context: RunContext) -> tuple[dict[str, Any], Evaluated]:
    """Load the plan's checkpoint into a fresh model and evaluate it on the test split.

    Raises:
        RunError: the weights do not fit the model, or the model fails preflight.
    """
    plan, device, stages = task.plan, context.machine.device, context.stages
    fabric = make_fabric(device, context.machine.precision)
    with stages.stage("build"):
        model = build.build_network(task, device)
        taken = load(model, plan)
        if taken:
            context.emit({"type": "warning", "text": f"{Path(plan.checkpoint or '').name}: {taken}"})
        loss = task.build_loss().to(device)
        norm = normalization(plan, task.data)
    with stages.stage("preflight"):
        first = next(task.make_loader(task.data.train, device, norm, training=True).training_epoch(0), None)
        if first is None:
            raise RunError("The training split is smaller than a batch; use --set batch=1.", "preflight")
        found = preflight.run(task, model, first, loss, fabric)[0]
        checks = [check for check in found if check["name"] != preflight.GRADIENTS]  # these do not matter here
        checks += [{"name": "weights", "ok": True, "detail": taken}] if taken else []
    with stages.stage("evaluate"):
        test = task.make_loader(task.data.test, device, norm, training=False)
        result = task.evaluate(model, test, fabric)
    parts: dict[str, Any] = {
        "train": None,
        "perf": report.perf_block(task, model),
        "checks": checks,
        "artifacts": {},
    }
    return parts, result


def load(model: nn.Module, plan: RunPlan) -> str:
    """Put the plan's checkpoint into *model*; every tensor has to fit.

    Returns:
        What was taken of the file; empty where all of it was.

    Raises:
        UserError: the file cannot be read, or holds other tensors than the model has.
    """
    own, path = model.state_dict(), Path(plan.checkpoint or "")
    found = find(path, own, plan.model.get("state"))
    if odd := mismatch(found.tensors, own):
        said = f" ({found.describe()})" if found.describe() else ""
        raise UserError(
            f"{path.name}{said} does not fit {type(model).__name__}: {odd}. Use weights of the same architecture, "
            "options, bands and classes."
        )
    model.load_state_dict(found.tensors, strict=False)
    return found.describe()


def try_loading(plan: RunPlan) -> str:
    """Build the plan's network on the CPU with the weights of its files, as a run does; return what :func:`load` does.

    What a model prints goes to standard error.

    Raises:
        UserError: they cannot be read, or do not fit.
    """
    with redirect_stdout(sys.stderr):
        try:
            model = build.build_network(build.make_task(plan, open_data(plan)), torch.device("cpu"))
        except RunError as error:
            raise UserError(str(error)) from None
        path = plan.checkpoint or (None if plan.recipe.get("fit") else plan.start)  # it was there before the fit
        return load(model, dataclasses.replace(plan, checkpoint=path)) if path else ""


def normalization(plan: RunPlan, data: RunData) -> Normalization:
    """Return what the checkpoint was trained with, where it says so and is not overruled, else what the model takes."""
    if plan.model["accepts"]["normalisation"] != FROM_CHECKPOINT:
        return build.normalization(plan, data)
    kept = json.loads(read_metadata(Path(plan.checkpoint or ""))["normalization"])
    return Normalization(tuple(kept["mean"]), tuple(kept["std"]))
