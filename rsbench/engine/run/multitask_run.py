"""Runs the plans of one family in one process and writes a record for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rsbench.engine.events import Emit
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalisation
from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import build as setup
from rsbench.engine.run import preflight, report
from rsbench.engine.run.multitask_training import Family, FamilyTraining, RoundLoader, own_curve
from rsbench.engine.run.observers import Observers
from rsbench.engine.run.report import Machine, RunContext, Stages
from rsbench.engine.tasks.base import TrainingTask
from rsbench.engine.training import checkpoint, resume
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Trainer
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record
from rsbench.registry import registry


@dataclass
class Member:
    """One task of a family, with what its record needs."""

    name: str
    task: TrainingTask
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
        return self.task.plan


def execute(
    plans: Sequence[RunPlan], emit: Emit, interrupted: Callable[[], bool] = lambda: False
) -> list[dict[str, Any]]:
    """Train the tasks of *plans* together, write their records (failures' too) and return them.

    A finished record, of an earlier attempt in which another member failed, is returned as it is.

    Raises:
        Interrupted: the user stopped it; a state to resume from has been written to the first plan's folder.
    """
    stages = Stages(emit)
    finished = [store.finished(_folder(plan)) for plan in plans]
    records = [
        store.load(_folder(plan)) if kept else blank_record(plan.run_id, plan.portable())
        for plan, kept in zip(plans, finished, strict=True)
    ]
    observers = Observers(emit)
    for plan in plans:
        observers.tell("rsbench_run_start", plan=plan)

    def fail(error: dict[str, str]) -> None:
        for record in records:
            if record["status"] != "ok":
                record |= {"status": "failed", "error": error}

    with report.failures(fail, stages, plans[0]):
        machine = Machine.prepare(plans[0])
        context = RunContext(_folder(plans[0]), machine, stages, emit, interrupted, observers)
        with observers.process_of(plans[0]):
            family = FamilyRun(plans, context)
            family.train()
            for member, record in enumerate(records):
                if not finished[member]:
                    record |= {"status": "ok"} | family.evaluate(member)
    for plan, record, kept in zip(plans, records, finished, strict=True):
        folder = _folder(plan)
        if kept:
            observers.tell("rsbench_run_end", plan=plan, record=record)
        else:
            record["timing"] = {"stages": stages.seconds, "total": sum(stages.seconds.values())}
            record["checks"] = [*record["checks"], *observers.checks()]
            record |= report.saved(record, folder)
            record["checks"] += observers.end(plan, record, folder)
        record["path"] = str(Path(plan.out) / plan.run_id / store.FILE)
    if all(record["status"] == "ok" for record in records):
        resume.clear(_folder(plans[0]))
    return records


def _folder(plan: RunPlan) -> Path:
    folder = Path(plan.out).absolute() / plan.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class FamilyRun:
    """The stages of a family, each of which adds to what is known; *context* has the folder of the first plan."""

    def __init__(self, plans: Sequence[RunPlan], context: RunContext) -> None:
        self.plans, self.context, self.machine = plans, context, context.machine
        self.fabric = make_fabric(self.machine.device, self.machine.precision)

    def train(self) -> None:
        """Go through the stages that the members share."""
        stage = self.context.stages.stage
        with stage("data"):
            self.tasks = [setup.make_task(plan, open_data(plan)) for plan in self.plans]
        with stage("build"):
            self._build()
        with stage("preflight"):
            self._check()
        with stage("train"):
            self._train()

    def _build(self) -> None:
        device = self.machine.device
        self.family = build(self.tasks, device)
        self.members = [_member(task, k, device) for k, task in enumerate(self.tasks)]
        self.losses = [task.build_loss().to(device) for task in self.tasks]

    def _check(self) -> None:
        """Try a batch of each before time is spent on training."""
        for member, network, loss in zip(self.members, self.family.members, self.losses, strict=True):
            first = next(member.train.training_epoch(0), None)
            if first is None:
                raise RunError(f"The training split of '{member.name}' is smaller than a batch.", "preflight")
            member.checks, member.initial = preflight.run(member.task, network, first, loss, self.fabric)
            preflight.check_last_batch(member.task, network, member.train, self.fabric)

    def _train(self) -> None:
        members, context = self.members, self.context
        block = self.plans[0].family
        assert block is not None

        def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
            for member in members:
                context.observers.tell("rsbench_epoch_end", plan=member.plan, epoch=epoch, logs=logs)

        val = [m.val for m in members]
        self.trainer = Trainer(
            FamilyTraining([m.name for m in members], self.tasks, self.losses, block["weights"]),
            self.family,
            self.plans[0].recipe,
            None,
            RoundLoader([m.train for m in members], block["rounds"]),
            val if any(v is not None for v in val) else None,
            fabric=self.fabric,
            selections=[m.selection for m in members],
            folder=context.folder,
            identity=block["id"],
            emit=context.emit,
            on_epoch=on_epoch,
            interrupted=context.interrupted,
        )
        self.progress = self.trainer.run()

    def evaluate(self, number: int) -> dict[str, Any]:
        """Return what the record of a member says beside its plan, with the weights that it selected.

        ``train`` counts the member's own samples in the family's time.
        """
        member, network = self.members[number], self.family.members[number]
        plan, task, progress, stage = member.plan, member.task, self.progress, self.context.stages.stage
        assert plan.family is not None
        self.trainer.take(member.selection)
        with stage("evaluate"):
            test = task.make_loader(task.data.test, self.machine.device, member.norm, training=False)
            result = task.evaluate(network, test, self.fabric)
        facts = checkpoint.describe(task, member.norm)
        saved = checkpoint.save_weights(network, member.folder / checkpoint.WEIGHTS, facts)
        train = report.train_block(progress, member.selection, member.initial)
        train["samples"] = round(progress.steps * member.train.batch_samples)
        train["curve"] = own_curve(progress.curve, member.name, plan.family["members"].index(member.name))
        parts: dict[str, Any] = {
            "train": train,
            "perf": report.perf_block(task, network, progress)
            | {"train_samples_per_s": train["samples"] / max(progress.seconds, 1e-9)},
            "checks": member.checks + self.trainer.gradients.checks(),
            "artifacts": {"checkpoint": saved},
        }
        with stage("score"):
            report.add_scores(parts, task, member.folder, result)
        parts["perf"] |= self.machine.speed(result)
        parts["env"] = self.machine.environment(self.trainer.gradients.flags())
        return parts


def build(tasks: Sequence[TrainingTask], device: torch.device) -> Family:
    """Build each member from the same seed, so that it starts as it does alone."""
    name = tasks[0].plan.model["name"]
    shared = registry().get("model", name).shared
    return Family([setup.build_network(task, device) for task in tasks], shared, name)


def _member(task: TrainingTask, number: int, device: torch.device) -> Member:
    plan, data = task.plan, task.data
    assert plan.family is not None
    name = plan.family["member"]
    norm = setup.normalisation(plan, data)
    selection = Selection(
        plan.protocol["selection"],
        f"{name}/{task.score}",
        f"{name}/val_loss",
        f"members.{number}",
        tuple(plan.protocol["targets"]),
    )
    train = task.make_loader(data.train, device, norm, training=True)
    val = task.make_loader(data.val, device, norm, training=False) if len(data.val) else None
    return Member(name, task, _folder(plan), norm, selection, train, val, [])
