"""Tasks of one target an image: a network maps images to numbers, and a loss holds these against the targets."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.parallel.ranks import GlobalLoss
from rsbench.engine.tasks.base import Evaluated, Fitted, Loss, TrainingTask
from rsbench.engine.tasks.evaluate import evaluate
from rsbench.errors import RunError
from rsbench.registry import registry
from rsbench.tasks.arrays import ArrayTask
from rsbench.tasks.context import LossContext, ModelContext
from rsbench.tasks.task import Outcome, get_task


class ImageTraining(TrainingTask):
    """A task whose networks map images float32 [B, C, S, S] to outputs [B, K].

    A subclass says what the targets are, how many outputs there are and what they predict.  Epochs are compared by the
    protocol's primary metric on the validation split.
    """

    fixed_shapes = True
    shared_loss = GlobalLoss  # a batch has the targets of all its images, whichever rank has which

    @property
    def score(self) -> str:  # type: ignore[override]
        """``val_`` and the primary metric; where lower is better ``val_neg_``, and its negative is compared."""
        return f"val_{'neg_' if self._lower_is_better else ''}{self.plan.protocol['primary']}"

    @property
    def _lower_is_better(self) -> bool:
        return registry().get("metric", self.plan.protocol["primary"]).higher_is_better is False

    @cached_property
    def _validation_loss(self) -> nn.Module:
        return self.build_loss()

    @property
    @abstractmethod
    def targets(self) -> np.ndarray:
        """What is true of each sample of the store, [M] or [M, K], as the loss takes it."""

    @abstractmethod
    def outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        """Return what outputs float32 [N, K] predict of the samples *index* int64 [N]."""

    def fitted_outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        """Return what outputs [N, K] of an estimator predict; as those of a network."""
        return self.outcome(index, outputs)

    def start_loss(self) -> float | None:
        """Not known."""
        return None

    def model_context(self) -> ModelContext:
        """Bands, size and classes."""
        return self.common_context()

    def loss_context(self) -> LossContext:
        """Outputs; of classes, how often they are true in training."""
        return LossContext(self.outputs(), self.data.class_counts, self.data.classes)

    def make_loader(
        self, samples: np.ndarray, device: torch.device, norm: Normalization, *, training: bool
    ) -> ArrayLoader:
        """Batches of images and targets; evaluation takes up to 512 at once."""
        batch = int(self.plan.recipe["batch"]) if training else 512 if device.type == "cuda" else 128
        index = self.data.store.image_index
        return self.loader(index, self.targets, samples, device, norm, batch=batch, training=training)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return outputs [B, K]."""
        return model(batch.images)

    def loss(self, model: Any, batch: Batch, loss: Loss) -> torch.Tensor:
        """Return the recipe's loss of outputs shaped as the targets are, computed in float32."""
        return _held(loss, model(batch.images).float(), batch.targets)

    def expected_shape(self, batch: Batch) -> tuple[int, ...]:
        """[B, K]."""
        return len(batch.images), self.outputs()

    @torch.inference_mode()
    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return the recipe's loss, and the primary metric, turned round where lower is better."""
        result = evaluate(model, loader, fabric)
        outputs, targets = torch.from_numpy(result.logits), torch.from_numpy(result.targets)
        value = self.primary(self.outcome(result.index, result.logits))
        logs = {"val_loss": float(_held(self._validation_loss, outputs, targets))}
        return logs if math.isnan(value) else logs | {self.score: -value if self._lower_is_better else value}

    def evaluate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluated:
        """Return what the outputs predict."""
        result = evaluate(model, loader, fabric)
        self.check_logits(torch.from_numpy(result.logits), (len(result.index), self.outputs()))
        return Evaluated(self.outcome(result.index, result.logits), result.index, result.seconds)

    def fit(self, estimator: Any) -> Fitted:
        """Call ``estimator.fit(blocks, targets)``, then ``predict(images) -> outputs [N, K]`` block by block."""
        data, index = self.data, self.data.store.image_index
        begin = time.perf_counter()
        estimator.fit(data.blocks(index[data.train]), self.targets[data.train])
        fitted = time.perf_counter()
        outputs = np.concatenate([estimator.predict(block) for block in data.blocks(index[data.test])])
        seconds = time.perf_counter() - fitted
        expected = (len(data.test), self.outputs())
        if outputs.shape != expected:
            raise RunError(f"'{self.name}' predicted {list(outputs.shape)}, not {list(expected)}.", "evaluate")
        return Fitted(Evaluated(self.fitted_outcome(data.test, outputs), data.test, seconds), fitted - begin)

    def made_up(self, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, Any]:
        """Targets of made-up samples, drawn anew."""
        rows = torch.randint(len(self.targets), (samples,), generator=generator)
        return samples, torch.from_numpy(self.targets)[rows].to(device)


def _held(loss: Loss, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the loss of outputs [B, K] against targets; one number an image is held against as many."""
    one = targets.is_floating_point() and targets.ndim == 1
    return loss(outputs.squeeze(1) if one else outputs, targets)


class ArrayTraining(ImageTraining):
    """The training side of :class:`rsbench.tasks.arrays.ArrayTask`: targets are a column of the dataset."""

    @cached_property
    def targets(self) -> np.ndarray:
        """The column, float32 [M] or [M, K]."""
        return self.task.column_of(self.data.store).astype(np.float32)

    def outputs(self) -> int:
        """Numbers an image."""
        return 1 if self.targets.ndim == 1 else self.targets.shape[1]

    def outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        """The outputs as they are."""
        ids = [self.data.store.ids[i] for i in index]
        return self.task.outcome(ids, outputs, self.targets[index])

    @property
    def task(self) -> ArrayTask:
        """The side of the task that needs no torch."""
        task = get_task(self.plan.task)
        assert isinstance(task, ArrayTask)
        return task
