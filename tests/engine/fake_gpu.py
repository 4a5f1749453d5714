"""A GPU that is not there: tensors have CUDA's device and types, and no values.

What would go wrong on a GPU alone goes wrong here: tensors left on the CPU, types that autocast brings together, and
whatever has to wait for the device, since there is no value to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, UnsupportedOperatorException
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._python_dispatch import TorchDispatchMode

FOUND: Final = "aten::nonzero"  # how many, the host has to know
LOOKS: Final = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::masked_select", FOUND)


class Waits(TorchDispatchMode):
    """Notes operations at which the host waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func.name()
        if name in LOOKS or self._crosses(name, args, kwargs, result) or self._searches(name, args):
            self.seen.append(name)
        return result

    @staticmethod
    def _crosses(name: str, args: Any, kwargs: Any, result: Any) -> bool:
        """Whether a copy between devices is waited for."""
        other = {"aten::_to_copy": result, "aten::copy_": args[1] if len(args) > 1 else None}.get(name)
        waits = not (kwargs.get("non_blocking") or (name == "aten::copy_" and len(args) > 2 and args[2]))
        return isinstance(other, torch.Tensor) and other.device != args[0].device and waits

    @staticmethod
    def _searches(name: str, args: Any) -> bool:
        """Whether places are given by a mask, or by numbers on the CPU."""
        if name not in ("aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_"):
            return False
        return any(i is not None and (i.dtype == torch.bool or i.device != args[0].device) for i in args[1])


class FakeGpu:
    """A GPU without values; ``shapes``: let results have sizes that only their values would tell."""

    def __init__(self, *, shapes: bool = False) -> None:
        environment = ShapeEnv() if shapes else None
        self.mode = FakeTensorMode(allow_fallback_kernels=False, shape_env=environment, static_shapes=True)
        self._moved: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def tensor(self, real: torch.Tensor) -> torch.Tensor:
        """Return what stands for *real* on the GPU, the same at each call."""
        if id(real) not in self._moved:
            fake = self.mode.from_tensor(real.detach())
            with self.mode:
                fake = fake.to("cuda")
            parameter = isinstance(real, nn.Parameter)
            self._moved[id(real)] = real, nn.Parameter(fake, real.requires_grad) if parameter else fake
        return self._moved[id(real)][1]

    def module(self, real: nn.Module) -> nn.Module:
        """Move a module in place, and return it."""
        for module in real.modules():
            for tensors in (module._parameters, module._buffers):
                tensors.update({name: self.tensor(t) for name, t in tensors.items() if t is not None})
            if isinstance(module, nn.RNNBase):
                module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
        return real

    def value(self, real: Any) -> Any:
        """Move the tensors of a dataclass, or a tensor."""
        if is_dataclass(real) and not isinstance(real, type):
            return type(real)(**{f.name: self.value(getattr(real, f.name)) for f in fields(real)})
        return self.tensor(real) if isinstance(real, torch.Tensor) else real

    @contextmanager
    def at_work(self, precision: str = "fp32") -> Iterator[Waits]:
        """Run operations on the GPU, under autocast where *precision* is ``bf16``."""
        torch.set_autocast_enabled("cuda", precision == "bf16")  # torch.autocast itself refuses without a GPU
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        try:
            with torch.backends.cudnn.flags(enabled=False), self.mode, Waits() as waits:
                yield waits
        finally:
            torch.set_autocast_enabled("cuda", False)


@cache
def works() -> bool:
    """Whether this torch makes tensors of a GPU that is not there: 2.8 asks the driver all the same."""
    try:
        FakeGpu().tensor(torch.zeros(1))
    except RuntimeError:
        return False
    return True


NEEDED: Final = pytest.mark.skipif(not works(), reason=f"torch {torch.__version__} asks the driver for its fake GPU")


@cache
def runs_gru() -> bool:
    """Whether this torch can tell the shapes that a GRU's fused cell gives on a GPU (2.14 cannot; 2.15 can)."""
    gpu = FakeGpu()
    gru = gpu.module(nn.GRU(2, 2))
    try:
        with gpu.at_work():
            gru(gpu.tensor(torch.zeros(1, 1, 2)))
    except UnsupportedOperatorException:
        return False
    return True
