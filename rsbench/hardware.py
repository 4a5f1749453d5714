"""What of the machine can be told without torch, whose import costs a dry run four times what the rest does."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

CPU_INFO: Final = Path("/proc/cpuinfo")
# Of NVIDIA's driver, the same under Windows' Linux, and of AMD's.
GPU_NODES: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def cpu_precision(name: str) -> str:
    """Return what a run computes in on a CPU, ``fp32 | bf16``: for ``auto`` bf16 where hardware has it and fp32
    elsewhere; what is stated as it is, but fp16, in which few CPUs compute: fp32 on all."""
    if name == "auto":
        return "bf16" if cpu_has_bf16() else "fp32"
    return "fp32" if name == "fp16" else name


@cache
def cpu_has_bf16() -> bool:
    """Whether this CPU does bf16 arithmetic in hardware (AVX512-BF16)."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    with suppress(OSError), CPU_INFO.open(encoding="ascii", errors="replace") as lines:
        return "avx512_bf16" in next((line.split() for line in lines if line.startswith("flags")), ())
    import torch

    return bool(torch.cpu.get_capabilities().get("avx512_bf16")) if hasattr(torch.cpu, "get_capabilities") else False


@cache
def can_have_gpu() -> bool:
    """Whether torch may find a GPU; where this is false it cannot, for want of a driver, and need not be asked."""
    if sys.platform != "linux":
        return sys.platform != "darwin"
    import ctypes

    with suppress(OSError):
        return bool(ctypes.CDLL("libcuda.so.1"))
    return any(map(os.path.exists, GPU_NODES))
