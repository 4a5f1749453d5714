"""How many CPU threads a run uses: all cores, or fewer where other processes keep them busy and that is faster.

Threads of one operation wait for each other.  Where one of them has lost its core to another process, the rest may
spin until it is back: oneDNN's gradients of strided convolutions in bf16 do, whatever OpenMP is told, and were 45 times
slower with two threads on two busy cores than with one.  Other operations gain from each thread even there.  So where
cores are taken, both are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import torch

from rsbench.cores import usable_cores

LOOK_S: Final = 0.1
WINDOW_S: Final = 0.15
ROUNDS: Final = 3  # windows of each number of threads, in turn: what others do changes meanwhile


def pin_threads(threads: int, dtype: torch.dtype | None = None) -> int:
    """Set torch's thread count and return it.

    Args:
        threads: the count; 0 chooses it.
        dtype: in which convolutions are computed, if the count is to follow what other processes leave; ``None``: all
            usable cores are taken.
    """
    count = threads or usable_cores()
    if not threads and dtype is not None and (fewer := min(count, max(1, round(free_cores())))) < count:
        count = faster_of(fewer, count, strided_convolution(dtype))
    torch.set_num_threads(count)
    return count


def free_cores() -> float:
    """Return how many cores of this process nobody was using in the last tenth of a second."""
    import psutil

    idle = [times.idle / 100 for times in psutil.cpu_times_percent(LOOK_S, percpu=True)]
    ours = psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else range(len(idle))
    return sum(idle[k] for k in ours if k < len(idle))


def faster_of(fewer: int, more: int, step: Callable[[], object]) -> int:
    """Return which number of threads takes more steps in the same time."""
    rates = dict.fromkeys((fewer, more), 0.0)
    for threads in rates:
        torch.set_num_threads(threads)
        step()  # chooses kernels
    for _ in range(ROUNDS):
        for threads in rates:
            torch.set_num_threads(threads)
            steps, begin = 0, time.perf_counter()
            while (seconds := time.perf_counter() - begin) < WINDOW_S:
                step()
                steps += 1
            rates[threads] += steps / seconds
    return max(rates, key=lambda threads: rates[threads])


def strided_convolution(dtype: torch.dtype) -> Callable[[], object]:
    """Return a step whose threads wait for each other: the gradient of a convolution, float [32, 32, 32, 32] with
    stride 2.  It draws no random numbers."""
    images, weight = torch.ones(32, 32, 32, 32, dtype=dtype), torch.ones(64, 32, 3, 3, dtype=dtype, requires_grad=True)
    return lambda: torch.autograd.grad(
        torch.nn.functional.conv2d(images, weight, stride=2, padding=1).float().mean(), weight
    )
