"""The device's matrix peak: what its fastest dense product does in this process, at the precision of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch.nn import functional as F

from rsbench.engine.step.timing import Clock
from rsbench_throughput.windows import measure, warm_up

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Side of the square matrices, and batch, channels and side of the 3 x 3 convolution: large enough to saturate.
SIZES: Final[Mapping[str, tuple[int, tuple[int, int, int]]]] = {
    "cuda": (8192, (128, 512, 64)),
    "cpu": (2048, (16, 128, 32)),
}


@torch.inference_mode()
def matrix_peak(
    device: torch.device, precision: str, clock: Clock, rules: Mapping[str, Any], check: Callable[[], None]
) -> dict[str, float]:
    """Return FLOP a second of a matrix product and of a convolution in their fastest windows, and the larger.

    On a CPU it is often the convolution.

    Args:
        device: to measure.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        clock: of the device.
        rules: of the measurement; see :mod:`rsbench_throughput.plan`.
        check: called between windows; raises to stop.
    """
    side, shape = SIZES["cuda" if device.type == "cuda" else "cpu"]
    dtype = DTYPES[precision]
    found = {
        "matmul": _fastest(*_matmul(device, dtype, side), clock, rules, check),
        "convolution": _fastest(*_convolution(device, dtype, *shape), clock, rules, check),
    }
    return {"flops": max(found.values()), **found}


def _fastest(
    step: Callable[[], object], flops: float, clock: Clock, rules: Mapping[str, Any], check: Callable[[], None]
) -> float:
    steps = warm_up(clock, step, rules, check).steps
    return flops * steps / min(measure(clock, step, steps, rules["peak_windows"], check))


def _matmul(device: torch.device, dtype: torch.dtype, side: int) -> tuple[Callable[[], object], float]:
    a = torch.randn(side, side, device=device, dtype=dtype)
    b = torch.randn(side, side, device=device, dtype=dtype)
    out = torch.empty_like(a)
    return (lambda: torch.mm(a, b, out=out)), 2.0 * side**3


def _convolution(
    device: torch.device, dtype: torch.dtype, batch: int, channels: int, side: int
) -> tuple[Callable[[], object], float]:
    images = torch.randn(batch, channels, side, side, device=device, dtype=dtype)
    images = images.to(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    return (lambda: F.conv2d(images, weight, padding=1)), 2.0 * batch * (channels * side * 3) ** 2
