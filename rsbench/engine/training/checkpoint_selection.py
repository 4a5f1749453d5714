"""Which epoch's weights a record takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn


@dataclass
class Selection:
    """The choice of one record among the epochs, by one score of the validation split.

    Attributes:
        mode: ``last`` or ``best_val`` (highest score, earliest epoch among equals).
        score: key of the epoch's logs; where the logs lack it, the last epoch is taken.
        loss: key of the validation loss, on which patience waits.
        part: path of the submodule that is selected; empty for the whole network.
        targets: scores whose first epoch is noted in seconds of training.
    """

    mode: str
    score: str
    loss: str = "val_loss"
    part: str = ""
    targets: tuple[float, ...] = ()
    best_epoch: int = 0
    best_score: float = -math.inf
    best_loss: float = math.inf
    stale: int = 0
    time_to: dict[str, float] = field(default_factory=dict)
    weights: dict[str, torch.Tensor] | None = field(default=None, repr=False)

    def update(self, logs: Mapping[str, Any], epoch: int, seconds: float, network: nn.Module) -> None:
        """Take note of a finished epoch; keep its weights where it is the best so far.

        Args:
            logs: of the epoch.
            epoch: its number, from 1.
            seconds: of training since its start.
            network: whose weights are kept.
        """
        score = logs.get(self.score)
        if score is None:
            self.best_epoch = epoch
            return
        for target in self.targets:
            if score >= target:
                self.time_to.setdefault(str(target), seconds)
        self.stale = 0 if logs[self.loss] < self.best_loss else self.stale + 1
        self.best_loss = min(self.best_loss, logs[self.loss])
        if self.mode == "last":
            self.best_epoch = epoch
        elif score > self.best_score:
            self.best_score, self.best_epoch = score, epoch
            self.keep(network)

    def keep(self, network: nn.Module) -> None:
        """Keep the weights of the part as they are now."""
        self.weights = {k: v.detach().clone() for k, v in network.get_submodule(self.part).state_dict().items()}

    def take(self, network: nn.Module) -> None:
        """Put the kept weights, if there are any, back into the part."""
        if self.weights is not None:
            network.get_submodule(self.part).load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know."""
        names = ("best_epoch", "best_score", "best_loss", "stale", "time_to", "weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Inverse of :meth:`state_dict`."""
        for name, value in state.items():
            setattr(self, name, value)
        if self.weights is not None:
            self.weights = {k: v.to(device) for k, v in self.weights.items()}
