"""Nearest-neighbor probe: classes of the training samples whose features point in the most similar direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench_probes.probe import Probe, Samples

SMALLEST: Final = 1e-6  # share of votes that stands for none, so that logits are finite
TOGETHER: Final = 512  # samples whose similarities are in memory at once


class Neighbors(nn.Module):
    """Shares of votes among the *k* most similar of the samples, as logarithms.

    Args:
        width: of the features, D.
        outputs: classes, K.
        samples: N.
    """

    bank: torch.Tensor
    labels: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor
    k: torch.Tensor

    def __init__(self, width: int, outputs: int, samples: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.register_buffer("bank", torch.zeros(samples, width))
        self.register_buffer("labels", torch.zeros(samples, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.register_buffer("k", torch.ones((), dtype=torch.int64))
        self.temperature = nn.Parameter(torch.ones(()))  # of the logits; what nobody changes

    def fill(self, samples: Samples, *, standardize: bool) -> None:
        """Take the features of training samples."""
        if standardize:
            self.mean.copy_(samples.features.mean(0))
            spread = samples.features.std(0, unbiased=False)
            self.deviation.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))
        self.bank, self.labels = self._directions(samples.features), samples.labels.clone()

    def _directions(self, features: torch.Tensor) -> torch.Tensor:
        return F.normalize((features.float() - self.mean) / self.deviation, dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features [B, D], or labels of their neighbors (see :meth:`nearest`), to logarithms of shares of votes
        [B, K]."""
        k = int(self.k)
        nearest = self.nearest(features, k) if features.is_floating_point() else features[:, :k]
        return F.one_hot(nearest, self.outputs).float().mean(1).clamp_min(SMALLEST).log() / self.temperature

    def nearest(self, features: torch.Tensor, k: int) -> torch.Tensor:
        """Return the labels of the k samples nearest to each of the features [B, D], int64 [B, k], nearest first."""
        parts = []
        for part in features.split(TOGETHER):
            with torch.autocast(features.device.type, enabled=False):
                similar = self._directions(part) @ self.bank.T
            parts.append(self.labels[similar.topk(min(k, len(self.bank)), dim=1).indices])
        return torch.cat(parts)


class NeighborProbe(Probe):
    """Votes of the k nearest training samples by cosine similarity, each of the same weight."""

    swept = "k"

    def head(self, width: int, outputs: int, samples: int) -> nn.Module:
        """No samples yet."""
        return Neighbors(width, outputs, samples)

    def fit(self, head: Any, samples: Samples, values: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Take the samples once, and each k."""
        head.fill(samples, standardize=self.options["standardize"])
        for value in values:
            head.k.fill_(int(value))
            yield {}

    def prepared(self, head: Any, features: torch.Tensor, values: Sequence[Any]) -> torch.Tensor:
        """The labels of as many neighbors as any k asks for."""
        return head.nearest(features, int(max(values)))
