"""What a forward and a backward pass change beside gradients, kept to go back to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


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
        self._random = random_state()
        self._buffers = [(buffer, buffer.clone()) for buffer in model.buffers() if whole or is_statistic(buffer)]

    @torch.no_grad()
    def restore(self) -> None:
        """Put both back, bit for bit, and drop the gradients."""
        self.model.zero_grad(set_to_none=True)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)
        set_random_state(self._random)


def random_state() -> dict[str, Any]:
    """State of torch's generators (dropout and the like): on the CPU, and on the current GPU where one is in use."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        state["gpu"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Inverse of :func:`random_state`; the GPU may be another, on a machine with fewer of them."""
    torch.set_rng_state(state["cpu"])
    if "gpu" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["gpu"])
