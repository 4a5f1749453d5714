"""A run that trains nothing: weights from elsewhere are checked and evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from rsbench.engine import preflight, setup
from rsbench.engine.data import RunData
from rsbench.engine.device import make_fabric
from rsbench.engine.jobs.base import Evaluated, Job
from rsbench.engine.macs import macs_of_sample
from rsbench.engine.normalisation import Normalisation
from rsbench.engine.run_context import RunContext
from rsbench.errors import RunError
from rsbench.evaluation import KEPT
from rsbench.plan import RunPlan
from rsbench.tasks.weights import fitted, mismatch, read, read_metadata


def run_checkpoint(job: Job, context: RunContext) -> tuple[dict[str, Any], Evaluated]:
    """Load the plan's checkpoint into a fresh model and evaluate it on the test split.

    Raises:
        RunError: the weights do not fit the model, or the model fails preflight.
    """
    plan, device, stages = job.plan, context.machine.device, context.stages
    fabric = make_fabric(device, context.machine.precision)
    with stages.stage("build"):
        model = setup.build_network(job, device)
        load(model, Path(plan.checkpoint or ""))
        loss = setup.build_loss(plan, job.loss_context()).to(device)
        norm = normalisation(plan, job.data)
    with stages.stage("preflight"):
        first = next(job.make_loader(job.data.train, device, norm, training=True).training_epoch(0), None)
        if first is None:
            raise RunError("The training split is smaller than a batch; use --set batch=1.", "preflight")
        found = preflight.run(job, model, first, loss, fabric)[0]
        checks = [check for check in found if check["name"] != preflight.GRADIENTS]  # these do not matter here
    with stages.stage("evaluate"):
        test = job.make_loader(job.data.test, device, norm, training=False)
        result = job.evaluate(model, test, fabric)
    parts: dict[str, Any] = {
        "train": None,
        "perf": {
            "params": sum(p.numel() for p in model.parameters()),
            "macs": macs_of_sample(job, model),
            "train_samples_per_s": None,
            "data_wait_fraction": None,
        },
        "checks": checks,
        "artifacts": {},
    }
    return parts, result


def load(model: nn.Module, path: Path) -> None:
    """Put the weights at *path* into *model*; every tensor has to fit.

    Raises:
        UserError: the file cannot be read.
        RunError: it holds other tensors than the model has.
    """
    own = model.state_dict()
    state = fitted(read(path), own)
    odd = mismatch(state, own)
    if odd:
        raise RunError(
            f"{path.name} does not fit {type(model).__name__}: {odd}. Use weights of the same architecture, options, "
            "bands and classes.",
            "build",
        )
    model.load_state_dict(state, strict=False)


def normalisation(plan: RunPlan, data: RunData) -> Normalisation:
    """Return what the checkpoint was trained with, where it says so and is not overruled, else what the model takes."""
    if plan.model["accepts"]["normalisation"] != KEPT:
        return setup.normalisation(plan, data)
    kept = json.loads(read_metadata(Path(plan.checkpoint or ""))["normalisation"])
    return Normalisation(tuple(kept["mean"]), tuple(kept["std"]))
