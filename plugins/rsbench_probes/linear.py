"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from rsbench.plan import RunPlan
from rsbench_probes.logistic import EXACT, LOOSE, Regression, Solution
from rsbench_probes.probe import Probe, Samples


class LinearProbe(Probe):
    """One linear layer, in which the standardization of the features is contained.

    Fitted from strong to weak penalty, each from the optimum before; the one that is chosen once more, exactly.
    """

    swept = "C"

    def head(self, width: int, outputs: int, samples: int) -> nn.Module:
        """A layer that gives zeros."""
        del samples
        layer = nn.Linear(width, outputs)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def __init__(self, plan: RunPlan) -> None:
        super().__init__(plan)
        self.solved: dict[Any, Solution] = {}
        self.on: tuple[Samples, Regression] | None = None

    def fit(self, head: Any, samples: Samples, values: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Fit each C; of several none is fitted to the last digit."""
        if self.on is None or self.on[0] is not samples:
            standardize = self.options["standardize"]
            regression = Regression(samples.features, samples.labels, head.out_features, standardize=standardize)
            self.on = (samples, regression)
        regression = self.on[1]
        for value in values:
            if len(values) == 1 and value in self.solved:
                regression.start(self.solved[value])
            found = regression.fit(value, LOOSE if len(values) > 1 else EXACT)
            self.solved[value] = found
            with torch.no_grad():
                head.weight.copy_(found.weight)
                head.bias.copy_(found.bias)
            yield {"passes": found.passes}
