"""Epochs of training by the engine and by a bare PyTorch loop: same network, batches, optimizer, precision and device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import normalization_for
from rsbench.engine.step.compiled import Compiled
from rsbench.engine.step.oom_recovery import StepRunner
from rsbench.engine.tasks.classification import ClassificationTraining
from rsbench.engine.training.checkpoint_selection import Selection
from rsbench.engine.training.device import make_fabric
from rsbench.engine.training.trainer import Progress, Trainer
from rsbench.execution import NONE
from rsbench.specs import RecipeSpec, to_jsonable

CLASSES = 10


class TrainingTask(ClassificationTraining):
    """Batches, logits and losses of classification, without a plan."""

    def __init__(self) -> None:
        self.name = "bench"


@dataclass
class Loops:
    """What both loops train on.

    Attributes:
        model: the network, on the device, in channels_last.
        data: training batches.
        precision: ``fp32 | bf16``.
        compile: a mode of ``torch.compile``, or ``none``.
    """

    model: nn.Module
    data: ArrayLoader
    folder: Path
    precision: str = "fp32"
    compile: str = NONE

    def __post_init__(self) -> None:
        self.device = self.data.device
        self.fabric = make_fabric(self.device, self.precision)
        self.compiled = None if self.compile == NONE else Compiled(self.model, self.compile)

    def engine(self) -> Progress:
        """Train for an epoch as ``rsbench run`` does."""
        task, loss = TrainingTask(), nn.CrossEntropyLoss()
        gradients = StepRunner(task, loss, self.fabric, self.model, self.device)
        gradients.compiled = self.compiled
        recipe = RecipeSpec(name="bench", summary="one constant epoch", schedule="constant", epochs=1)
        trainer = Trainer(
            task,
            self.model,
            to_jsonable(recipe) | {"batch": self.data.batch},
            loss,
            self.data,
            None,
            fabric=self.fabric,
            selections=[Selection("last", "val_accuracy")],
            folder=self.folder,
            identity="bench",
            emit=lambda _: None,
            on_epoch=lambda *_: None,
            interrupted=lambda: False,
            gradients=gradients,
        )
        return trainer.run()

    def bare(self) -> None:
        """Train for an epoch as a careful researcher does: decay exempt for flat parameters, fused AdamW."""
        flat = [p for p in self.model.parameters() if p.ndim <= 1]
        rest = [p for p in self.model.parameters() if p.ndim > 1]
        groups = [{"params": rest, "weight_decay": 0.05}, {"params": flat, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-3, fused=True)
        loss_function = nn.CrossEntropyLoss()
        self.model.train()
        for batch in self.data.training_epoch(0):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                loss = loss_function(self.model(batch.images), batch.targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def network(name: str, device: torch.device) -> nn.Module:
    """Return a network of timm's for ten classes."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def loader(device: torch.device, batch: int, steps: int, size: int = 64) -> ArrayLoader:
    """Return *steps* batches of random images uint8 of *size* pixels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch * steps, 3, size, size), dtype=np.uint8)
    samples = np.arange(len(images))
    return ArrayLoader(
        images,
        samples,
        samples % CLASSES,
        samples,
        batch=batch,
        device=device,
        normalization=normalization_for("imagenet", images, samples, [0, 1, 2]),
        bands=[0, 1, 2],
    )
