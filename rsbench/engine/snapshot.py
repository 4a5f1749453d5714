"""What a forward and a backward pass change beside gradients, kept to go back to."""

from __future__ import annotations

import torch
from torch import nn

from rsbench.engine import checkpoint


def is_statistic(buffer: torch.Tensor) -> bool:
    """Whether a buffer may be a running statistic: a vector or a number; tables and frozen weights have more axes."""
    return buffer.ndim <= 1


class Snapshot:
    """Random state and running statistics of a network, before a step that may be undone.

    Args:
        whole: keep every buffer, not only what :func:`is_statistic` says.
    """

    def __init__(self, model: nn.Module, *, whole: bool = False) -> None:
        self.model = model
        self._random = checkpoint.random_state()
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers() if whole or is_statistic(buffer)]

    @torch.no_grad()
    def restore(self) -> None:
        """Put both back, bit for bit, and drop the gradients."""
        self.model.zero_grad(set_to_none=True)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)
        checkpoint.set_random_state(self._random)
