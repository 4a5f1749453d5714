"""Validation of tasks of one target an image: by the recipe's loss and the protocol's primary metric."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rsbench.engine.tasks import image
from rsbench.engine.tasks.evaluate import Evaluation
from rsbench.engine.tasks.image import ImageTraining
from rsbench.tasks.task import Outcome

OUTPUTS = np.array([[0.0], [2.0], [5.0]], dtype=np.float32)


class Heights(ImageTraining):
    """Numbers that are held against the truth by their absolute difference."""

    targets = np.array([1.0, 2.0, 3.0], dtype=np.float32)

    def outputs(self) -> int:
        return 1

    def outcome(self, index: np.ndarray, outputs: np.ndarray) -> Outcome:
        return Outcome(outputs, self.targets[index])

    def build_loss(self) -> nn.Module:
        return nn.L1Loss()


@pytest.mark.parametrize(
    ("primary", "value", "expected"),
    [
        ("overall_accuracy", 0.25, {"val_overall_accuracy": 0.25}),
        ("nll", 0.25, {"val_neg_nll": -0.25}),
        ("nll", math.nan, {}),
    ],
)
def test_epochs_are_compared_by_the_primary_metric(
    primary: str, value: float, expected: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan: Any = SimpleNamespace(protocol={"primary": primary}, model={"name": "net"})
    task = Heights(plan, SimpleNamespace())  # type: ignore[arg-type]
    found = Evaluation(OUTPUTS, task.targets, np.arange(3), 1.0)
    monkeypatch.setattr(image, "evaluate", lambda *_: found)
    monkeypatch.setattr(Heights, "primary", lambda self, outcome: value)
    logs = task.validate(nn.Identity(), None, None)  # type: ignore[arg-type]
    assert logs == {"val_loss": pytest.approx(1.0), **expected}  # (1 + 0 + 2) / 3, not of squares
    assert torch.is_inference_mode_enabled() is False
