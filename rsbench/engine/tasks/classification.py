"""Classification: one label an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import nn

from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.tasks import sanity
from rsbench.engine.tasks.evaluate import evaluate, log_softmax
from rsbench.engine.tasks.image import ImageTraining
from rsbench.tasks.classification import Predictions
from rsbench.tasks.task import Outcome


class ClassificationTraining(ImageTraining):
    """See the contract in :mod:`rsbench.tasks.classification`."""

    score = "val_accuracy"

    @property
    def targets(self) -> np.ndarray:
        """Class numbers int64 [M]."""
        return self.data.store.labels

    def outputs(self) -> int:
        """Classes."""
        return len(self.data.classes)

    def start_loss(self) -> float | None:
        """ln K, of a guess that knows nothing."""
        return math.log(max(self.outputs(), 2))

    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return loss in nats and accuracy."""
        result = evaluate(model, loader, fabric)
        return {"val_loss": result.loss, "val_accuracy": result.accuracy}

    def outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        """Labels, and the softmax of the logits."""
        return self._outcome(index, outputs.argmax(1), np.exp(log_softmax(outputs)))

    def fitted_outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        """Labels, and the probabilities that an estimator predicts."""
        return self._outcome(index, outputs.argmax(1), outputs)

    def _outcome(self, index: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> Outcome:
        ids = [self.data.store.ids[i] for i in index]
        return Outcome(Predictions(ids, labels.astype(np.int64), probabilities), self.targets[index])

    def sanity_checks(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Above chance, above pixel statistics, not collapsed."""
        return sanity.check(self.plan, self.data, self.model_context(), outcome.predictions)
