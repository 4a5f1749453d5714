"""What is measured: a network on a device, run and trained as the engine does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import Batch
from rsbench.engine.input.synthetic import synthetic_data
from rsbench.engine.run.build import build_network, make_task
from rsbench.engine.run.report import Machine
from rsbench.engine.step.compiled import Compiled
from rsbench.engine.step.count_macs import count_macs
from rsbench.engine.step.timing import Step
from rsbench.engine.tasks.base import TrainingTask
from rsbench.engine.training.device import make_fabric, set_up
from rsbench.engine.training.optimizers import make_optimizer
from rsbench.engine.training.phases import set_training_mode
from rsbench.plan import RunPlan
from rsbench.tasks.task import get_task

METHODS: Final = ("start", "step", "training_loss")  # of a network, beside its forward


@dataclass
class Workload:
    """A network, its task, and what it is run with."""

    task: TrainingTask
    model: nn.Module
    fabric: Any
    device: torch.device
    compiled: bool = False

    @classmethod
    def build(cls, plan: RunPlan, machine: Machine) -> Workload:
        """Build the plan's network with the weights of seed 0.

        Raises:
            RunError: its factory does not return a network.
        """
        task = make_task(plan, synthetic_data(plan))
        model = build_network(task, machine.device).eval()
        return cls(task, model, make_fabric(machine.device, machine.precision), machine.device)

    def macs(self, modes: Sequence[str]) -> dict[str, int]:
        """Return the multiply-accumulates a sample of each mode."""
        samples, counted = self.task.together, self.in_full()
        works = {"inference": (counted.inference, samples), "training": (counted.gradients, max(samples, 2))}
        return {mode: round(count_macs(work(n)) / n) for mode in modes for work, n in [works[mode]]}

    def in_full(self) -> Workload:
        """Return the same network run in float32, without autocast."""
        return replace(self, fabric=make_fabric(self.device, "fp32"))

    def batch(self, samples: int) -> Batch:
        """Return a batch of random numbers, the same one for the same number of samples."""
        generator = torch.Generator().manual_seed(samples)
        images, targets = self.task.made_up(samples, generator, self.device)
        pixels = torch.randn((images, *self.task.plan.dataset["image_shape"]), generator=generator)
        return Batch(pixels.to(self.device, memory_format=torch.channels_last), targets, np.arange(images))

    def logits(self, batch: Batch) -> torch.Tensor:
        """Return float32 logits of the task's shape, computed as in evaluation."""
        with torch.inference_mode(), self.fabric.autocast():
            return self.task.forward(self.model, batch).float()

    def inference(self, samples: int) -> Step:
        """Return a step that labels images, says captions or answers questions."""
        self.model.eval()
        batch = self.batch(samples)

        @torch.inference_mode()
        def step() -> Any:
            self.step_begins()
            with self.fabric.autocast():
                return self.task.predict(self.model, batch)

        return step

    def step_begins(self) -> None:
        """Tell CUDA graphs that what the last step returned is not needed any more."""
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()

    def reset_compiled(self) -> None:
        """Drop what was compiled: each batch size is compiled for itself, and after too many torch would stay eager."""
        if self.compiled:
            torch.compiler.reset()

    def learning(self) -> Callable[[Batch], None]:
        """Return what learns from a batch: forward, backward and optimizer."""
        set_training_mode(self.model)
        model, optimizer = set_up(self.fabric, self.model, make_optimizer(self.model, self.task.plan.recipe))
        loss = nn.CrossEntropyLoss()

        def learn(batch: Batch) -> None:
            self.step_begins()
            with self.fabric.autocast():
                value = self.task.loss(model, batch, loss)
            self.fabric.backward(value)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        self.model.zero_grad(set_to_none=True)
        return learn

    def training(self) -> Callable[[int], Step]:
        """Return what makes, for a batch size, a step of training."""
        learn = self.learning()

        def step_of(samples: int) -> Step:
            self.model.zero_grad(set_to_none=True)
            batch = self.batch(samples)
            return lambda: learn(batch)

        return step_of

    def gradients(self, samples: int) -> Step:
        """Return forward and backward alone, to count their work; nothing is learned."""
        batch, loss = self.batch(samples), nn.CrossEntropyLoss()

        def step() -> None:
            set_training_mode(self.model)
            with self.fabric.autocast():
                value = self.task.loss(self.model, batch, loss)
            value.backward()
            self.model.zero_grad(set_to_none=True)
            self.model.eval()

        return step

    def compile(self, mode: str) -> None:
        """Let ``torch.compile`` do the network's forward and what else of it the engine calls."""
        self.compiled = True
        # A batch size is compiled for itself; the sentences of a search grow.
        dynamic = None if get_task(self.task.plan.task).generative else False
        Compiled(self.model, mode, METHODS, dynamic)
