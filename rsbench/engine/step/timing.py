"""Clocks that time a window of steps with one synchronization."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

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


@dataclass(frozen=True)
class WarmUp:
    """What warming up took.

    Attributes:
        first_s: the first call, compilation included.
        seconds, windows: in all, after the first call.
        steady: whether the last windows agreed; otherwise the bound was reached.
        steps: steps that fill a window.
    """

    first_s: float
    seconds: float
    windows: int
    steady: bool
    steps: int

    def block(self) -> dict[str, Any]:
        """Return the record's entry."""
        return {"first_s": self.first_s, "seconds": self.seconds, "windows": self.windows, "steady": self.steady}


def warm_up(clock: Clock, step: Step, rules: Mapping[str, Any], check: Callable[[], None]) -> WarmUp:
    """Run windows until ``agree`` successive ones lie within ``tolerance`` of the largest, bounded by the rules.

    Args:
        clock: of the device.
        step: does one step; it is not waited for.
        rules: ``warmup_windows``, ``warmup_s`` and ``window_s`` (seconds), ``agree`` (a number of windows) and
            ``tolerance`` (a share).
        check: called between windows; raises to stop.
    """
    first = clock.window(step, 1)
    recent: list[float] = []
    seconds, windows, steps = 0.0, 0, 1
    while windows < rules["warmup_windows"] and seconds < rules["warmup_s"]:
        check()
        taken = clock.window(step, steps)
        seconds, windows = seconds + taken, windows + 1
        recent = [*recent, taken / steps][-rules["agree"] :]
        if agree(recent, rules["agree"], rules["tolerance"]):
            break
        steps = steps_for(rules["window_s"], taken / steps)
    steady = agree(recent, rules["agree"], rules["tolerance"])
    return WarmUp(first, seconds, windows, steady, steps_for(rules["window_s"], statistics.median(recent or [first])))


def agree(values: list[float], count: int, tolerance: float) -> bool:
    """Whether the last *count* values lie within *tolerance* of the largest of them."""
    last = values[-count:]
    return len(last) == count and max(last) - min(last) <= tolerance * max(last)


def steps_for(seconds: float, step_s: float) -> int:
    """Return how many steps fill a window, at least one."""
    return max(1, math.ceil(seconds / max(step_s, 1e-9)))


def measure(clock: Clock, step: Step, steps: int, windows: int, check: Callable[[], None]) -> list[float]:
    """Return the seconds of each of *windows* windows of *steps* steps.

    Args:
        clock: of the device.
        step: does one step; it is not waited for.
        steps, windows: how many steps a window has, and how many windows there are.
        check: called between windows; raises to stop.
    """
    taken = []
    for _ in range(windows):
        check()
        taken.append(clock.window(step, steps))
    return taken
