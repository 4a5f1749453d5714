"""Runs the plans of one family in one process and writes a record for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine import checkpoint, preflight, report, setup
from rsbench.engine.data import open_data
from rsbench.engine.device import make_fabric
from rsbench.engine.family import Family, FamilyJob, RoundLoader, own_curve
from rsbench.engine.jobs.base import Job
from rsbench.engine.loader import ArrayLoader, Normalisation
from rsbench.engine.observers import Observers
from rsbench.engine.report import Machine, Stages
from rsbench.engine.selection import Selection
from rsbench.engine.train import Emit, Interrupted, Progress, Trainer
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry


@dataclass
class Member:
    """One task of a family, with what its record needs."""

    name: str
    job: Job
    folder: Path
    norm: Normalisation
    selection: Selection
    train: ArrayLoader
    val: ArrayLoader | None
    checks: list[dict[str, Any]]
    initial: float | None = None

    @property
    def plan(self) -> RunPlan:
        """Its plan."""
        return self.job.plan


def execute(
    plans: Sequence[RunPlan], emit: Emit, interrupted: Callable[[], bool] = lambda: False
) -> list[dict[str, Any]]:
    """Train the tasks of *plans* together, write their records (failures' too) and return them.

    Raises:
        Interrupted: the user stopped it; a state to resume from has been written to the first plan's folder.
    """
    stages = Stages(emit)
    records = [blank_record(plan.run_id, plan.portable()) for plan in plans]
    observers = Observers(emit)
    for plan in plans:
        observers.tell("rsbench_run_start", plan=plan)
    try:
        for record, parts in zip(records, _run(plans, stages, emit, interrupted, observers), strict=True):
            record |= {"status": "ok"} | parts
    except Interrupted:
        raise
    except Exception as error:
        for record in records:
            record |= {"status": "failed", "error": report.describe_error(error, stages.current)}
        report.log_traceback()
    for plan, record in zip(plans, records, strict=True):
        record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
        folder = _folder(plan)
        kept = store.finished(folder)  # of an earlier attempt in which another member failed
        record["checks"] = [*record["checks"], *observers.checks()]
        path = folder / store.FILE if kept else store.save(record, folder)
        record["checks"] += observers.end(plan, record, folder)
        record["path"] = str(path)
    if all(record["status"] == "ok" for record in records):
        (_folder(plans[0]) / checkpoint.RESUME).unlink(missing_ok=True)
    return records


def _folder(plan: RunPlan) -> Path:
    folder = Path(plan.out) / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(
    plans: Sequence[RunPlan], stages: Stages, emit: Emit, interrupted: Callable[[], bool], observers: Observers
) -> list[dict[str, Any]]:
    machine = Machine.prepare(plans[0])
    fabric = make_fabric(machine.device, machine.precision)
    with stages.stage("data"):
        jobs = [setup.make_job(plan, open_data(plan)) for plan in plans]
    with stages.stage("build"):
        family = _build(jobs).to(device=machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        members = [_member(job, k, machine) for k, job in enumerate(jobs)]
        losses = [setup.build_loss(job.plan, job.loss_context()).to(machine.device) for job in jobs]
    with stages.stage("preflight"):
        for member, network, loss in zip(members, family.members, losses, strict=True):
            first = next(member.train.training_epoch(0), None)
            if first is None:
                raise RunError(f"The training split of '{member.name}' is smaller than a batch.", "preflight")
            member.checks, member.initial = preflight.run(member.job, network, first, loss, fabric)
    with stages.stage("train"):
        trainer = _trainer(members, family, losses, fabric, emit, interrupted, observers)
        progress = trainer.run()
    gradients = trainer.gradients
    done = []
    for member, network in zip(members, family.members, strict=True):
        trainer.take(member.selection)
        member.checks += gradients.checks()
        done.append(_finish(member, network, progress, machine, stages, fabric, gradients.flags()))
    return done


def _build(jobs: Sequence[Job]) -> Family:
    """Build each member from the same seed, so that it starts as it does alone."""
    plan = jobs[0].plan
    networks = []
    for job in jobs:
        torch.manual_seed(plan.seed)
        np.random.seed(plan.seed % 2**32)
        networks.append(setup.build_model(job.plan, job.model_context()))
    shared = registry().get("model", plan.model["name"]).shared
    return Family(networks, shared, plan.model["name"])


def _member(job: Job, number: int, machine: Machine) -> Member:
    plan, data, device = job.plan, job.data, machine.device
    assert plan.family is not None
    name = plan.family["member"]
    norm = setup.normalisation(plan, data)
    selection = Selection(
        plan.protocol["selection"],
        f"{name}/{job.score}",
        f"{name}/val_loss",
        f"members.{number}",
        tuple(plan.protocol["targets"]),
    )
    train = job.make_loader(data.train, device, norm, training=True)
    val = job.make_loader(data.val, device, norm, training=False) if len(data.val) else None
    return Member(name, job, _folder(plan), norm, selection, train, val, [])


def _trainer(
    members: Sequence[Member],
    family: Family,
    losses: Sequence[nn.Module],
    fabric: Any,
    emit: Emit,
    interrupted: Callable[[], bool],
    observers: Observers,
) -> Trainer:
    block = members[0].plan.family
    assert block is not None

    def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
        for member in members:
            observers.tell("rsbench_epoch_end", plan=member.plan, epoch=epoch, logs=logs)

    val = [m.val for m in members]
    return Trainer(
        FamilyJob([m.name for m in members], [m.job for m in members], losses, block["weights"]),
        family,
        members[0].plan.recipe,
        None,
        RoundLoader([m.train for m in members], block["rounds"]),
        val if any(v is not None for v in val) else None,
        fabric=fabric,
        selections=[m.selection for m in members],
        resume_path=members[0].folder / checkpoint.RESUME,
        identity=block["id"],
        emit=emit,
        on_epoch=on_epoch,
        interrupted=interrupted,
    )


def _finish(
    member: Member,
    network: nn.Module,
    progress: Progress,
    machine: Machine,
    stages: Stages,
    fabric: Any,
    flags: dict[str, Any],
) -> dict[str, Any]:
    """Evaluate one member with the weights it selected; ``train`` counts its own samples in the family's time."""
    plan, job = member.plan, member.job
    assert plan.family is not None
    with stages.stage("evaluate"):
        test = job.make_loader(job.data.test, machine.device, member.norm, training=False)
        result = job.evaluate(network, test, fabric)
    facts = checkpoint.describe(job, member.norm)
    saved = checkpoint.save_weights(network, member.folder / checkpoint.WEIGHTS, facts)
    train = report.train_block(progress, member.selection, member.initial)
    train["samples"] = round(progress.steps * member.train.batch_samples)
    train["curve"] = own_curve(progress.curve, member.name, plan.family["members"].index(member.name))
    parts: dict[str, Any] = {
        "train": train,
        "perf": report.perf_block(job, network, progress)
        | {"train_samples_per_s": train["samples"] / max(progress.seconds, 1e-9)},
        "checks": member.checks,
        "artifacts": {"checkpoint": saved},
    }
    with stages.stage("score"):
        report.add_scores(parts, job, member.folder, result)
    parts["perf"] |= machine.speed(result)
    parts["env"] = machine.environment(flags)
    return parts
