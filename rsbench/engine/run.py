"""One run, from plan to record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rsbench.engine import checkpoint, features, preflight, report, setup
from rsbench.engine.activations import checkpoint_activations
from rsbench.engine.back_off import Gradients
from rsbench.engine.compile_choice import compile_for_training, mode_asked_for
from rsbench.engine.data import open_data
from rsbench.engine.device import local_device, make_fabric
from rsbench.engine.distributed import ALONE, Ranks
from rsbench.engine.distributed_norm import share_statistics
from rsbench.engine.distributed_world import Place
from rsbench.engine.jobs.base import Evaluated, Job
from rsbench.engine.loader import ArrayLoader, Normalisation
from rsbench.engine.observers import Observers
from rsbench.engine.report import Stages
from rsbench.engine.run_checkpoint import run_checkpoint
from rsbench.engine.selection import Selection
from rsbench.engine.train import Emit, Interrupted, Progress, Trainer
from rsbench.errors import RunError, UserError
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
    folder = Path(plan.out) / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    stages = Stages(emit)
    record = blank_record(plan.run_id, plan.portable())
    ranks = ALONE if place is None else Ranks(place.rank, place.world)
    observers = Observers(emit) if ranks.first else _Unobserved(emit)
    observers.tell("rsbench_run_start", plan=plan)
    try:
        record |= {"status": "ok"} | _run(plan, folder, stages, emit, interrupted, observers, place)
    except Interrupted:
        raise
    except Exception as error:
        record["error"] = report.describe_error(error, stages.current)
        report.log_traceback()
    record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
    record["checks"] = [*record["checks"], *observers.checks()]
    if not ranks.first or (ranks.world > 1 and record["status"] == "failed"):
        return record | {"path": str(folder / store.FILE)}
    path = store.save(record, folder)
    record["checks"] += observers.end(plan, record, folder)
    if record["status"] == "ok":
        (folder / checkpoint.RESUME).unlink(missing_ok=True)
    return record | {"path": str(path)}


def elsewhere(plan: RunPlan) -> dict[str, Any]:
    """Return the record of a run that needs one process and that rank 0 does, as far as the others know of it."""
    path = Path(plan.out) / plan.run_id / store.FILE
    return blank_record(plan.run_id, plan.portable()) | {"status": "ok", "timing": {"total": 0.0}, "path": str(path)}


def _run(
    plan: RunPlan,
    folder: Path,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observers: Observers,
    place: Place | None,
) -> dict[str, Any]:
    machine = report.Machine.prepare(dataclasses.replace(plan, device=local_device(plan.device, place)))
    with stages.stage("data"):
        job = setup.make_job(plan, open_data(plan))
    parts, result = _way(plan)(job, folder, machine, stages, emit, interrupted, observers, place)
    if place is not None and place.rank > 0:
        return {}
    with stages.stage("score"):
        report.add_scores(parts, job, folder, result)
    parts["perf"] |= machine.speed(result)
    parts["env"] = machine.environment(parts.get("env", {}).get("flags", {}))
    if place is not None:
        parts["env"]["device"]["count"] = place.world
        parts["env"]["ranks"] = place.describe(plan.strategy)
    return parts


def _way(plan: RunPlan) -> Callable[..., tuple[dict[str, Any], Evaluated]]:
    """How the run comes to its test predictions."""
    if plan.checkpoint is not None:
        return run_checkpoint
    return _run_estimator if plan.model["kind"] == "estimator" else _run_network


def _run_network(
    job: Job,
    folder: Path,
    machine: report.Machine,
    stages: Stages,
    emit: Emit,
    interrupted: Callable[[], bool],
    observers: Observers,
    place: Place | None,
) -> tuple[dict[str, Any], Evaluated]:
    plan, data, device = job.plan, job.data, machine.device
    fabric = make_fabric(device, machine.precision, place, plan.strategy)
    ranks = ALONE if place is None else Ranks(place.rank, place.world, plan.strategy == "fsdp")
    with stages.stage("build"):
        model = setup.build_network(job, torch.device("cpu") if ranks.sharded else device)
        loss = setup.build_loss(plan, job.loss_context()).to(device)
        if plan.checkpoint_activations:
            _checkpoint_activations(job, model)
        if ranks.world > 1:
            model, loss = _among(ranks, job, model, loss, device, fabric)
        alone, checkpointed = ranks.world == 1, plan.checkpoint_activations
        gradients = Gradients(job, loss, fabric, model, device, retries=alone, checkpointed=checkpointed)
        norm = setup.normalisation(plan, data)
        train = job.make_loader(data.train, device, norm, training=True).among(ranks)
        val = job.make_loader(data.val, device, norm, training=False).among(ranks) if len(data.val) else None
    with stages.stage("preflight"):
        first = next(train.training_epoch(0), None)
        if first is None:
            raise RunError("The training split is empty.", "preflight")
        checks, initial = gradients.try_out(
            lambda batch: preflight.run(job, model, batch, loss, fabric, sharded=ranks.sharded), first
        )
    test = job.make_loader(data.test, device, norm, training=False).among(ranks)
    if features.encodes_once(model, plan.recipe["augmentation"]) and not ranks.sharded:
        with stages.stage("encode"):
            train, val, test = _with_features(job, model, (train, val, test), device, norm, fabric)
    choice = None
    if mode_asked_for(plan, device):
        with stages.stage("compile"):
            choice = compile_for_training(plan, gradients, train, folder / checkpoint.RESUME)

    def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
        observers.tell("rsbench_epoch_end", plan=plan, epoch=epoch, logs=logs)

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
            gradients=gradients,
            ranks=ranks,
        )
        progress = trainer.run()
        trainer.take(selection)
        gradients.end()
    with stages.stage("evaluate"):
        result = job.evaluate(model, test, fabric)
    perf, weights = report.perf_block(job, model, progress), model.state_dict()  # of slices, by all ranks
    if not ranks.first:
        return {}, result
    saved = checkpoint.save_tensors(weights, folder / checkpoint.WEIGHTS, checkpoint.describe(job, norm))
    parts: dict[str, Any] = {
        "train": report.train_block(progress, selection, initial),
        "perf": perf | ({"compile": choice.block()} if choice else {}),
        "checks": checks + gradients.checks(),
        "env": {"flags": gradients.flags()},
        "artifacts": {"checkpoint": saved},
    }
    return parts, result


def _among(
    ranks: Ranks, job: Job, model: nn.Module, loss: nn.Module, device: torch.device, fabric: Any
) -> tuple[nn.Module, nn.Module]:
    """Return network and loss as one of several ranks uses them.

    Raises:
        UserError: the network's loss is its own, which would be a mean over the samples of one rank.
    """
    if hasattr(model, "training_loss"):
        raise UserError(
            f"The loss of '{job.name}' is its own and is taken by one process: leave --devices and --nodes out; "
            "--parallel runs several."
        )
    model = share_statistics(model, device)
    if ranks.sharded:
        model = fabric.setup_module(model).module
    return model, job.shared_loss(loss, ranks)


def _checkpoint_activations(job: Job, model: nn.Module) -> None:
    """Let the network keep less for the backward pass.

    Raises:
        RunError: it has no blocks that could be computed again.
    """
    if not checkpoint_activations(model):
        raise RunError(f"'{job.name}' has no blocks to checkpoint; leave --checkpoint-activations out.", "build")


def _with_features(
    job: Job,
    model: nn.Module,
    loaders: tuple[ArrayLoader, ArrayLoader | None, ArrayLoader],
    device: torch.device,
    norm: Normalisation,
    fabric: Any,
) -> tuple[ArrayLoader, ArrayLoader | None, ArrayLoader]:
    """Let loaders give the features of a frozen encoder, where these fit in memory."""
    train, val, test = loaders
    found = features.encode(job, model, device, norm, fabric)
    fits = all(train.ranks.collect(found is not None))
    if found is None or not fits:
        return loaders
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
