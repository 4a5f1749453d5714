"""A run that trains a network: built, checked, compiled where that pays, trained, evaluated."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.parallel.batch_norm import share_statistics
from rsbench.engine.parallel.ranks import SINGLE_PROCESS, Ranks
from rsbench.engine.run import build, cached_features, checkpoint_run, preflight, report
from rsbench.engine.run.compile_selection import CompileDecision, compile_for_training, mode_asked_for
from rsbench.engine.run.report import RunContext
from rsbench.engine.step.activation_checkpointing import checkpoint_activations
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.tasks.base import Evaluated, TrainingTask
from rsbench.engine.training import checkpoint
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Trainer
from rsbench.errors import RunError, UserError


def run_network(task: TrainingTask, context: RunContext) -> tuple[dict[str, Any], Evaluated]:
    """Return what the record says of training, and the outcome on the test split; on ranks other than the first only
    the latter.

    Raises:
        RunError: the network fails preflight, cannot be compiled, or its loss stops being finite.
        UserError: what is asked for is not for this network.
        Interrupted: the user stopped it.
    """
    return NetworkRun(task, context).run()


class NetworkRun:
    """The stages of :func:`run_network`, each of which adds to what is known of the run."""

    model: nn.Module
    loss: nn.Module
    gradients: StepRunner
    train: ArrayLoader
    val: ArrayLoader | None
    test: ArrayLoader
    choice: CompileDecision | None = None

    def __init__(self, task: TrainingTask, context: RunContext) -> None:
        self.task, self.plan, self.context = task, task.plan, context
        self.device, place = context.machine.device, context.place
        self.ranks = SINGLE_PROCESS if place is None else Ranks(place.rank, place.world, self.plan.strategy == "fsdp")
        self.fabric = make_fabric(self.device, context.machine.precision, place, self.plan.strategy)
        self.selection = Selection(
            self.plan.protocol["selection"], task.score, targets=tuple(self.plan.protocol["targets"])
        )

    def run(self) -> tuple[dict[str, Any], Evaluated]:
        """Go through all stages."""
        stage = self.context.stages.stage
        with stage("build"):
            self._build()
        with stage("preflight"):
            self._check()
        if cached_features.encodes_once(self.model, self.plan.recipe["augmentation"]) and not self.ranks.sharded:
            with stage("encode"):
                self._encode()
        if mode_asked_for(self.plan, self.device):
            with stage("compile"):
                self.choice = compile_for_training(self.plan, self.gradients, self.train, self.context.folder)
        with stage("train"):
            self._train()
        with stage("evaluate"):
            result = self.task.evaluate(self.model, self.test, self.fabric)
        return self._parts(), result

    def _build(self) -> None:
        plan, ranks = self.plan, self.ranks
        self.model = build.build_network(self.task, torch.device("cpu") if ranks.sharded else self.device)
        if plan.start is not None:
            checkpoint_run.load(self.model, dataclasses.replace(plan, checkpoint=plan.start))
        self.loss = self.task.build_loss().to(self.device)
        if plan.checkpoint_activations and not checkpoint_activations(self.model):
            raise RunError(
                f"'{self.task.name}' has no blocks to checkpoint; leave --checkpoint-activations out.", "build"
            )
        if ranks.world > 1:
            self._join()
        self.gradients = StepRunner(
            self.task,
            self.loss,
            self.fabric,
            self.model,
            self.device,
            retries=ranks.world == 1,
            checkpointed=plan.checkpoint_activations,
        )
        self._load()

    def _join(self) -> None:
        """Make network and loss those of one of several ranks."""
        if hasattr(self.model, "training_loss"):
            raise UserError(
                f"The loss of '{self.task.name}' is its own and is taken by one process: leave --devices and --nodes "
                "out; --parallel runs several."
            )
        self.model = share_statistics(self.model, self.device)
        if self.ranks.sharded:
            self.model = self.fabric.setup_module(self.model).module
        self.loss = self.task.shared_loss(self.loss, self.ranks)

    def _load(self) -> None:
        """Make the loaders."""
        data, self.norm = self.task.data, build.normalization(self.plan, self.task.data)

        def loader(samples: Any, training: bool) -> ArrayLoader:
            return self.task.make_loader(samples, self.device, self.norm, training=training).shard(self.ranks)

        self.train = loader(data.train, True)
        self.val = loader(data.val, False) if len(data.val) else None
        self.test = loader(data.test, False)

    def _check(self) -> None:
        """Try a batch before time is spent on training."""
        first = next(self.train.training_epoch(0), None)
        if first is None:
            raise RunError("The training split is empty.", "preflight")

        def check(batch: Any) -> tuple[list[dict[str, Any]], float | None]:
            return preflight.run(self.task, self.model, batch, self.loss, self.fabric, sharded=self.ranks.sharded)

        self.checks, self.initial_loss = self.gradients.with_oom_retry(check, first)
        preflight.check_last_batch(self.task, self.model, self.train, self.fabric)

    def _encode(self) -> None:
        """Let the loaders give the features of a frozen encoder, where these fit in memory."""
        found = cached_features.encode(self.task, self.model, self.device, self.norm, self.fabric)
        fits = all(self.ranks.all_gather_object(found is not None))
        if found is not None and fits:
            over = cached_features.FeatureLoader.over
            self.train, self.test = over(self.train, *found), over(self.test, *found)
            self.val = self.val and over(self.val, *found)

    def _train(self) -> None:
        context = self.context

        def on_epoch(epoch: int, logs: dict[str, Any]) -> None:
            context.observers.tell("rsbench_epoch_end", plan=self.plan, epoch=epoch, logs=logs)

        trainer = Trainer(
            self.task,
            self.model,
            self.plan.recipe,
            self.loss,
            self.train,
            self.val,
            fabric=self.fabric,
            selections=[self.selection],
            folder=context.folder,
            identity=self.plan.run_id,
            emit=context.emit,
            on_epoch=on_epoch,
            interrupted=context.interrupted,
            gradients=self.gradients,
            ranks=self.ranks,
        )
        self.progress = trainer.run()
        trainer.take(self.selection)
        self.gradients.end()

    def _parts(self) -> dict[str, Any]:
        perf, weights = report.perf_block(self.task, self.model, self.progress), self.model.state_dict()  # by all ranks
        if not self.ranks.first:
            return {}
        facts = checkpoint.describe(self.task, self.norm)
        saved = checkpoint.save(weights, self.context.folder / checkpoint.WEIGHTS, facts)
        return {
            "train": report.train_block(self.progress, self.selection, self.initial_loss),
            "perf": perf | ({"compile": self.choice.block()} if self.choice else {}),
            "checks": self.checks + self.gradients.checks(),
            "env": {"flags": self.gradients.flags()},
            "artifacts": {"checkpoint": saved},
        }
