"""Trains the tasks of one group in one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import preflight, report
from rsbench.engine.run.build import build_network, make_task, normalization
from rsbench.engine.run.report import RunContext
from rsbench.engine.tasks.base import TrainingTask
from rsbench.engine.training import checkpoint
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Trainer
from rsbench.errors import RunError
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.registry import registry
from rsbench_multitask.training import JointLoader, JointTask, MultitaskNetwork, own_curve


@dataclass
class Member:
    """One task of a group, with what its record needs."""

    name: str
    task: TrainingTask
    folder: Path
    norm: Normalization
    selection: Selection
    train: ArrayLoader
    val: ArrayLoader | None
    checks: list[dict[str, Any]]
    initial: float | None = None

    @property
    def plan(self) -> RunPlan:
        """Its plan."""
        return self.task.plan


def run(plans: Sequence[RunPlan], context: RunContext) -> Iterator[dict[str, Any]]:
    """Train the tasks of *plans* together, and yield for each what its record holds beside its plan.

    Nothing is done again for a record of an earlier attempt, in which another member failed.
    """
    group = MultitaskRun(plans, context)
    group.train()
    for number, plan in enumerate(plans):
        yield {} if store.finished(context.folder_of(plan)) else group.evaluate(number)


class MultitaskRun:
    """The stages of a group, each of which adds to what is known; *context* has the folder of the first plan."""

    def __init__(self, plans: Sequence[RunPlan], context: RunContext) -> None:
        self.plans, self.context, self.machine = plans, context, context.machine
        self.fabric = make_fabric(self.machine.device, self.machine.precision)

    def train(self) -> None:
        """Go through the stages that the members share."""
        stage = self.context.stages.stage
        with stage("data"):
            self.tasks = [make_task(plan, open_data(plan)) for plan in self.plans]
        with stage("build"):
            self._build()
        with stage("preflight"):
            self._check()
        with stage("train"):
            self._train()

    def _build(self) -> None:
        device = self.machine.device
        self.network = build(self.tasks, device)
        self.members = [_member(task, k, self.context) for k, task in enumerate(self.tasks)]
        self.losses = [task.build_loss().to(device) for task in self.tasks]

    def _check(self) -> None:
        """Try a batch of each before time is spent on training."""
        for member, network, loss in zip(self.members, self.network.members, self.losses, strict=True):
            first = next(member.train.training_epoch(0), None)
            if first is None:
                raise RunError(f"The training split of '{member.name}' is smaller than a batch.", "preflight")
            member.checks, member.initial = preflight.run(member.task, network, first, loss, self.fabric)
            preflight.check_last_batch(member.task, network, member.train, self.fabric)

    def _train(self) -> None:
        members, context = self.members, self.context
        block = self.plans[0].group
        assert block is not None

        def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
            for member in members:
                context.observers.tell("rsbench_epoch_end", plan=member.plan, epoch=epoch, logs=logs)

        val = [m.val for m in members]
        self.trainer = Trainer(
            JointTask([m.name for m in members], self.tasks, self.losses, block["weights"]),
            self.network,
            self.plans[0].recipe,
            None,
            JointLoader([m.train for m in members], block["rounds"]),
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

        ``train`` counts the member's own samples in the time of all.
        """
        member, network = self.members[number], self.network.members[number]
        plan, task, progress, stage = member.plan, member.task, self.progress, self.context.stages.stage
        assert plan.group is not None
        self.trainer.take(member.selection)
        with stage("evaluate"):
            test = task.make_loader(task.data.test, self.machine.device, member.norm, training=False)
            result = task.evaluate(network, test, self.fabric)
        facts = checkpoint.describe(task, member.norm)
        saved = checkpoint.save(network.state_dict(), member.folder / checkpoint.WEIGHTS, facts)
        train = report.train_block(progress, member.selection, member.initial)
        train["samples"] = round(progress.steps * member.train.batch_samples)
        train["curve"] = own_curve(progress.curve, member.name, plan.group["members"].index(member.name))
        parts: dict[str, Any] = {
            "train": train,
            "perf": report.perf_block(task, network, progress)
            | {"train_samples_per_s": train["samples"] / max(progress.seconds, 1e-9)},
            "checks": member.checks + self.trainer.gradients.checks(),
            "artifacts": {"checkpoint": saved},
            "env": {"flags": self.trainer.gradients.flags()},
        }
        return report.finish(parts, task, self.context, result)


def build(tasks: Sequence[TrainingTask], device: torch.device) -> MultitaskNetwork:
    """Build each member from the same seed, so that it starts as it does alone."""
    name = tasks[0].plan.model["name"]
    shared = registry().get("model", name).shared
    return MultitaskNetwork([build_network(task, device) for task in tasks], shared, name)


def _member(task: TrainingTask, number: int, context: RunContext) -> Member:
    plan, data, device = task.plan, task.data, context.machine.device
    assert plan.group is not None
    name = plan.group["member"]
    norm = normalization(plan, data)
    selection = Selection(
        plan.protocol["selection"],
        f"{name}/{task.score}",
        f"{name}/val_loss",
        f"members.{number}",
        tuple(plan.protocol["targets"]),
    )
    train = task.make_loader(data.train, device, norm, training=True)
    val = task.make_loader(data.val, device, norm, training=False) if len(data.val) else None
    return Member(name, task, context.folder_of(plan), norm, selection, train, val, [])
