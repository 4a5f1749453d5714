"""Muon for the filters of convolutions, AdamW for all other parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch

# Jordan et al. 2024: the polynomial whose iteration brings all singular values near 1 in few steps.
QUINTIC: Final = [(3.4445, -4.7750, 2.0315)]


class Muon(torch.optim.AdamW):
    """AdamW whose four-dimensional parameters, the filters, take orthogonalised steps of a fixed length instead.

    A filter [O, I, k, k] is a matrix [O, I * k * k] here.  Its averaged gradient is replaced by a matrix whose singular
    values are near 1, and it is kept at the Frobenius norm sqrt(O), so that a step turns it by an angle that the
    learning rate alone decides.  This is for networks that normalize after each convolution: weight decay of filters
    has no meaning and is not applied.  timm's ``muon`` always computes in bfloat16, which CPUs without it emulate
    30 times slower than float32.

    Args:
        params, lr, options: as for AdamW.
        filter_rate: learning rate of filters, as a multiple of that of the rest.
        momentum: of the filters' gradients, with Nesterov's look ahead.
        iterations: of Newton and Schulz.

    Source: Jordan et al. 2024, Muon; the norm of the filters: airbench94_muon of the same author.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        filter_rate: float = 16.0,
        momentum: float = 0.6,
        iterations: int = 3,
        **options: Any,
    ) -> None:
        super().__init__(params, lr=lr, **options)
        self.filter_rate, self.momentum, self.iterations = filter_rate, momentum, iterations

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; the gradients of filters are gone after it."""
        if closure is not None:
            raise ValueError("Muon takes no closure: call backward before step.")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim == 4 and parameter.grad is not None:
                    self._turn(parameter, parameter.grad, group["lr"] * self.filter_rate)
                    parameter.grad = None  # so that AdamW leaves it alone
        return super().step()

    def _turn(self, weight: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)  # AdamW looks for it when a state is loaded
            state["average"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        average = state["average"].lerp_(gradient, 1 - self.momentum)
        ahead = gradient.lerp(average, self.momentum)
        weight.mul_(math.sqrt(len(weight)) / weight.norm())
        weight.sub_(orthogonalised(ahead.flatten(1), self.iterations).view(weight.shape), alpha=rate)


def orthogonalised(matrix: torch.Tensor, iterations: int) -> torch.Tensor:
    """Return [O, I] with the singular vectors of *matrix* and singular values between about .7 and 1.2."""
    from timm.optim.muon import zeropower_via_newtonschulz

    dtype = torch.bfloat16 if matrix.is_cuda else torch.float32
    return zeropower_via_newtonschulz(matrix, iterations, QUINTIC, dtype=dtype).to(matrix.dtype)
