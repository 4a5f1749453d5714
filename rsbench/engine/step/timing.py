"""Clocks that time a window of steps with one synchronization."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

import torch

Step = Callable[[], object]


class Clock(Protocol):
    """Times windows."""

    def window(self, step: Step, steps: int) -> float:
        """Return the seconds that *steps* calls of *step* take."""


def nothing() -> None:
    """Look at nothing while the device is at work."""


class HostClock:
    """The wall clock, for a device whose operations are done when they return."""

    def window(self, step: Step, steps: int) -> float:
        """Return the wall time."""
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        return time.perf_counter() - begin


class CudaClock:
    """Events on the device, which wait for nothing between the first step and the last.

    while_busy: called once all steps of a window have been handed over and the device is still at work.
    """

    def __init__(self, device: torch.device, while_busy: Callable[[], None] = nothing) -> None:
        self.device, self.while_busy = device, while_busy

    def window(self, step: Step, steps: int) -> float:
        """Return the time between an event before the first step and one after the last."""
        with torch.cuda.device(self.device):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            for _ in range(steps):
                step()
            end.record()
            self.while_busy()
            end.synchronize()
        return begin.elapsed_time(end) / 1e3


def clock_of(device: torch.device, while_busy: Callable[[], None] = nothing) -> Clock:
    """Return the clock of a device."""
    return CudaClock(device, while_busy) if device.type == "cuda" else HostClock()


def steps_for(seconds: float, step_s: float) -> int:
    """Return how many steps fill a window, at least one."""
    return max(1, math.ceil(seconds / max(step_s, 1e-9)))
