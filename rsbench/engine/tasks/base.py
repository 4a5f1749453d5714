"""The contract between the engine and a task.

A plugin's task may count on what is public here and on the names of other modules that ``docs/plugins/task.md`` lists;
the rest of :mod:`rsbench.engine` may change with any version.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench import renamed
from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.input.run_data import RunData
from rsbench.engine.parallel.ranks import GatheredLoss, SharedLoss
from rsbench.errors import RunError
from rsbench.metrics.contract import Unavailable
from rsbench.metrics.evaluate import build
from rsbench.metrics.guard import reduced, statistics_of
from rsbench.plan import RunPlan
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import LossContext, ModelContext
from rsbench.tasks.task import Outcome, get_task

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Evaluated:
    """A test evaluation: its outcome, the sample numbers in its order, and the wall time of the pass."""

    outcome: Outcome
    index: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """What an estimator did: its evaluation, and the wall time of fitting."""

    evaluated: Evaluated
    seconds: float


class TrainingTask(ABC):
    """One task on the data of one run: what the engine does with a batch.

    Attributes:
        score: key of the validation logs by which epochs are compared; higher is better.
        shared_loss: what makes a loss one of the whole batch where :meth:`loss` has a part of it.
        fixed_shapes: inputs and outputs of a network have the same shape in each batch of as many images of one size.
        together: samples of the smallest batch whose work a sample is that of large ones.
    """

    score = "val_score"
    shared_loss: type[SharedLoss] = GatheredLoss
    fixed_shapes = False
    together = 1

    def __init_subclass__(cls) -> None:
        renamed.members(renamed.TRAINING_TASK, cls)

    def __init__(self, plan: RunPlan, data: RunData) -> None:
        self.plan, self.data = plan, data
        self.name: str = plan.model["name"]

    @cached_property
    def options(self) -> dict[str, Any]:
        """The recipe's task options, with defaults."""
        return {**registry().get("task", self.plan.task).options, **self.plan.recipe.get("task_options", {})}

    @abstractmethod
    def outputs(self) -> int:
        """How many values a prediction is chosen from: classes, words or answers."""

    def start_loss(self) -> float | None:
        """Loss in nats of a guess that knows nothing, near which training starts: ln K; ``None`` where there is no
        such number."""
        return math.log(max(self.outputs(), 2))

    @abstractmethod
    def model_context(self) -> ModelContext:
        """What the model's factory is told."""

    @abstractmethod
    def loss_context(self) -> LossContext:
        """What the loss's factory is told."""

    def build_loss(self) -> nn.Module:
        """Build the recipe's loss.

        Raises:
            RunError: its factory returned something else.
        """
        spec = registry().get("loss", self.plan.recipe["loss"])
        loss = load_attribute(spec.factory)(self.loss_context(), **self.plan.recipe["loss_options"])
        if not isinstance(loss, nn.Module):
            raise RunError(f"The factory of loss '{spec.name}' returned {type(loss).__name__}, not a module.", "build")
        return loss

    def primary(self, outcome: Outcome) -> float:
        """Return the protocol's primary metric of an outcome; NaN where it cannot be computed."""
        spec = registry().get("metric", self.plan.protocol["primary"])
        metric = build(spec, get_task(self.plan.task).context(self.plan.dataset))
        try:
            return reduced(metric, statistics_of(metric, outcome.predictions, outcome.references))
        except Unavailable:
            return math.nan

    @abstractmethod
    def make_loader(
        self, samples: np.ndarray, device: torch.device, norm: Normalization, *, training: bool
    ) -> ArrayLoader:
        """Return a loader over samples.

        Args:
            samples: int64 [n], sample numbers of a part of the split.
            device: of the batches.
            norm: of the images, in stored units.
            training: shuffled and augmented, in the recipe's batches; else in order, as large as is fast.
        """

    @abstractmethod
    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch."""

    @abstractmethod
    def loss(self, model: Any, batch: Batch, loss: Loss) -> torch.Tensor:
        """Return the loss of a batch; autocast is on around the call."""

    def logs(self) -> dict[str, float]:
        """Return what was noted of the training epoch just finished; nothing."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return what has been noted of the epoch under way, for :meth:`logs` of a run that is resumed; nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with what was noted; nothing."""
        del state

    @abstractmethod
    def expected_shape(self, batch: Batch) -> tuple[int, ...]:
        """Shape that the logits of a batch must have."""

    @abstractmethod
    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return ``val_loss`` and the score of one pass over a validation loader."""

    @abstractmethod
    def evaluate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluated:
        """Return the outcome of one pass over the test loader."""

    def restore(self, context: ModelContext) -> None:
        """Take from what a trained network's factory was told what else would come of the training split, such as a
        vocabulary: the data hold new images alone.  Nothing, unless a task has some."""
        del context

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        """Return what a network predicts of a batch, as far as that takes time; its logits."""
        return self.forward(model, batch)

    def made_up(self, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, Any]:
        """Return how many images a batch of *samples* made-up samples has, and random targets for them.

        Raises:
            RunError: the task does not say what they look like, so no speed is measured of it.
        """
        raise RunError(f"Task '{self.plan.task}' makes up no samples, so its speed cannot be measured.", "build")

    def fit(self, estimator: Any) -> Fitted:
        """Fit an estimator to the training split and evaluate it on the test split.

        Raises:
            RunError: the task has networks only.
        """
        raise RunError(f"Task '{self.plan.task}' has no estimators, such as '{self.name}'.", "fit")

    def sanity_checks(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Signs that the result is not what it claims to be; ranked divisions only.  None unless a task knows some."""
        del outcome
        return []

    def probe(self, device: torch.device) -> tuple[Any, ...]:
        """Arguments of ``forward`` for one sample, to count its work."""
        return (torch.zeros(1, len(self.data.bands), self.data.size, self.data.size, device=device),)

    def check_logits(self, logits: Any, shape: tuple[int, ...]) -> None:
        """Raise unless *logits* is a finite float tensor of the shape."""
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != shape:
            found = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise RunError(
                f"Model '{self.name}' returned {found} where logits {list(shape)} are expected.", "preflight"
            )
        if not logits.is_floating_point() or not torch.isfinite(logits).all():
            raise RunError(
                f"Model '{self.name}' returned values that are not finite floats on its first batch.", "preflight"
            )

    def common_context(self, **more: Any) -> ModelContext:
        """A model context with what all tasks tell."""
        return ModelContext(
            task=self.plan.task,
            channels=len(self.data.bands),
            bands=tuple(self.plan.dataset["bands"][b] for b in self.data.bands),
            units=tuple(self.plan.dataset["units"][b] for b in self.data.bands),
            outputs=self.outputs(),
            size=self.data.size,
            classes=self.data.classes,
            class_counts=self.data.class_counts,
            seed=self.plan.seed,
            weights_dir=str(Path(self.plan.data_root) / "weights") if self.plan.data_root else None,
            **more,
        )

    def loader(
        self,
        image_index: np.ndarray,
        targets: Any,
        items: np.ndarray,
        device: torch.device,
        norm: Normalization,
        *,
        batch: int,
        training: bool,
    ) -> ArrayLoader:
        """Return a loader over *items*, with the recipe's augmentation when *training*.

        Args:
            image_index: int64 [M], the image of each item.
            targets: int64 [M], or :class:`rsbench.engine.input.loader.Targets`.
            items: int64 [n], those to iterate over.
            device: of the batches.
            norm: of the images, in stored units.
            batch: items of a batch.
            training: with the recipe's augmentation.
        """
        from rsbench.engine.input.augmentation import Augmentation

        images = self.data.store.images
        top = float(np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
        made = ArrayLoader(
            images,
            image_index,
            targets,
            items,
            batch=batch,
            device=device,
            normalization=norm,
            bands=self.data.bands,
            size=self.data.size,
            augmentation=Augmentation(self.plan.recipe["augmentation"], top) if training else None,
            seed=self.plan.seed,
            share_images_with=self._loaders.get(device),
            drop_last=self.plan.recipe.get("drop_last", True),
        )
        self._loaders.setdefault(device, made)
        return made

    @cached_property
    def _loaders(self) -> dict[torch.device, ArrayLoader]:
        """The first loader made for each device: others take their images from it."""
        return {}
