"""Classification: one label an image."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalisation
from rsbench.engine.parallel.ranks import GlobalLoss
from rsbench.engine.tasks import sanity
from rsbench.engine.tasks.base import Evaluated, Fitted, Job, Loss
from rsbench.engine.tasks.evaluate import evaluate
from rsbench.errors import RunError
from rsbench.tasks.classification import Predictions
from rsbench.tasks.context import LossContext, ModelContext
from rsbench.tasks.kinds import Outcome


class ClassificationJob(Job):
    """See the contract in :mod:`rsbench.tasks.classification`."""

    shared_loss = GlobalLoss

    def outputs(self) -> int:
        """Classes."""
        return len(self.data.classes)

    def model_context(self) -> ModelContext:
        """Classes and their counts."""
        return self.common_context()

    def loss_context(self) -> LossContext:
        """Classes and their counts."""
        return LossContext(self.outputs(), self.data.class_counts, self.data.classes)

    def make_loader(
        self, samples: np.ndarray, device: torch.device, norm: Normalisation, *, training: bool
    ) -> ArrayLoader:
        """Batches of images and labels; evaluation takes up to 512 at once."""
        store = self.data.store
        batch = int(self.plan.recipe["batch"]) if training else 512 if device.type == "cuda" else 128
        return self.loader(store.image_index, store.labels, samples, device, norm, batch=batch, training=training)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits [B, K]."""
        return model(batch.images)

    def loss(self, model: Any, batch: Batch, loss: Loss) -> torch.Tensor:
        """Return the recipe's loss, computed in float32."""
        return loss(model(batch.images).float(), batch.targets)

    def expected_shape(self, batch: Batch) -> tuple[int, ...]:
        """[B, K]."""
        return len(batch.images), self.outputs()

    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return loss in nats and accuracy."""
        result = evaluate(model, loader, fabric)
        return {"val_loss": result.loss, "val_accuracy": result.accuracy}

    def evaluate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluated:
        """Return labels and probabilities."""
        result = evaluate(model, loader, fabric)
        self.check_logits(torch.from_numpy(result.logits), (len(loader.samples), self.outputs()))
        return Evaluated(
            self._outcome(result.index, result.logits.argmax(1), result.probabilities), result.index, result.seconds
        )

    def fit(self, estimator: Any) -> Fitted:
        """Fit to labels; predict probabilities."""
        data, labels = self.data, self.data.store.labels
        begin = time.perf_counter()
        estimator.fit(data.blocks(data.store.image_index[data.train]), labels[data.train])
        fitted = time.perf_counter()
        blocks = data.blocks(data.store.image_index[data.test])
        probabilities = np.concatenate([estimator.predict(block) for block in blocks])
        seconds = time.perf_counter() - fitted
        expected = (len(data.test), self.outputs())
        if probabilities.shape != expected:
            raise RunError(f"'{self.name}' predicted {list(probabilities.shape)}, not {list(expected)}.", "evaluate")
        outcome = self._outcome(data.test, probabilities.argmax(1), probabilities)
        return Fitted(Evaluated(outcome, data.test, seconds), fitted - begin)

    def _outcome(self, index: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> Outcome:
        ids = [self.data.store.ids[i] for i in index]
        return Outcome(Predictions(ids, labels.astype(np.int64), probabilities), self.data.store.labels[index])

    def gates(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Above chance, above pixel statistics, not collapsed."""
        return sanity.check(self.plan, self.data, self.model_context(), outcome.predictions)
