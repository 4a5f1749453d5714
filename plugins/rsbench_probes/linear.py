"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from rsbench_probes.logistic import Regression
from rsbench_probes.probe import Probe, Samples


class LinearProbe(Probe):
    """One linear layer, in which the standardization of the features is contained.

    Fitted from strong to weak penalty, each from the optimum before.
    """

    swept = "C"

    def head(self, width: int, outputs: int, samples: int) -> nn.Module:
        """A layer that gives zeros."""
        del samples
        layer = nn.Linear(width, outputs)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    def fit(self, head: Any, samples: Samples, values: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Fit each C."""
        regression = Regression(
            samples.features, samples.labels, head.out_features, standardize=self.options["standardize"]
        )
        for value in values:
            found = regression.fit(value)
            with torch.no_grad():
                head.weight.copy_(found.weight)
                head.bias.copy_(found.bias)
            yield {"passes": found.passes}
