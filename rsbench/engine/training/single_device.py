"""Single-process stand-in for Lightning Fabric: what the engine asks of it, where no gradients are scaled.

Fabric wraps the network, its optimizer and each backward pass; on a network of a millisecond a step that is a tenth of
the time.  And importing it makes torch ask the driver for a GPU at each step of each optimizer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import torch
from torch import nn

AUTOCAST: Final = {"fp32": None, "bf16": torch.bfloat16}


class SingleDeviceFabric:
    """Has the part of ``lightning_fabric.Fabric`` that the engine uses.

    Args:
        precision: ``fp32 | bf16``.
    """

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device, self.dtype = device, AUTOCAST[precision]

    def setup(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return both as they are."""
        return model, optimizer

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context for forward passes."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a scalar loss."""
        loss.backward()

    def clip_gradients(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, max_norm: float, error_if_nonfinite: bool = False
    ) -> None:
        """Scale the gradients of *model* down to the norm *max_norm* where they are above it.

        Args:
            model: its gradients are scaled in place.
            optimizer: not used; Fabric has it.
            max_norm: the largest L2 norm of all gradients together.
            error_if_nonfinite: raise where the norm is not finite.
        """
        del optimizer
        nn.utils.clip_grad_norm_(model.parameters(), max_norm, error_if_nonfinite=error_if_nonfinite)
