"""The moving average of a network's weights, which is judged in place of them."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """Exponential moving average of parameters and buffers, in the form of torch's own but for two things.

    Integers are taken over as they are: torch averages them too and cuts off the fraction, so that a table of indices
    has other ones after a step.  And torch brings the count of updates to the device at each of them, and so waits for
    all that the device has yet to do; an exponential average has no need of the count.

    Args:
        decay: share of the average that an update leaves, in [0, 1].
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of *model* into the average; the first ones become it."""
        if self.n_averaged == 0:
            super().update_parameters(model)
            return
        groups: dict[torch.dtype, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
        for ours, theirs in zip(_tensors(self.module), _tensors(model), strict=True):
            averages, values = groups.setdefault(ours.dtype, ([], []))
            averages.append(ours)
            values.append(theirs)
        for dtype, (averages, values) in groups.items():
            if dtype.is_floating_point or dtype.is_complex:
                torch._foreach_lerp_(averages, values, 1 - self.decay)
            else:
                torch._foreach_copy_(averages, values)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> chain[torch.Tensor]:
    return chain(model.parameters(), model.buffers())
