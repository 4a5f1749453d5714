"""Timed windows of steps, after a warm-up that ends when they agree."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rsbench.engine.step.timing import Clock, Step, steps_for


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
