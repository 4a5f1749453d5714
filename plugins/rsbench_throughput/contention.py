"""Signs that a measurement was not alone on its machine."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from typing import Any, Final

import psutil

LOOK_S: Final = 0.3
BUSY: Final = 0.10  # share of the machine's cores that others keep busy
SWITCHES: Final = 50.0  # involuntary context switches a second
IDLE: Final = 0.95  # of one core, below which a single busy thread was kept waiting
NOISY: Final = 0.05  # interquartile range over median


class ContentionMonitor:
    """Looks at the machine before a measurement and at the process during it."""

    def __init__(self) -> None:
        self.load = os.getloadavg()[0]
        self.busy = psutil.cpu_percent(LOOK_S) / 100
        self.wall, self.cpu, self.switches = time.perf_counter(), time.process_time(), _switches()

    def block(self) -> dict[str, Any]:
        """Return load average and busy share of the cores before, and CPU seconds and switches since, by the second."""
        wall = max(time.perf_counter() - self.wall, 1e-9)
        return {
            "load": self.load,
            "busy_before": self.busy,
            "cpu_over_wall": (time.process_time() - self.cpu) / wall,
            "switches_per_s": (_switches() - self.switches) / wall,
        }


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def flags(perf: Mapping[str, Any], device: str, threads: int, quick: bool) -> list[str]:
    """Return what casts doubt on the numbers of a record's ``perf``, one short phrase each.

    Args:
        perf: of the record.
        device: its type, such as ``cpu``.
        threads: that torch used.
        quick: whether the measurement was a short one.
    """
    seen, found = perf["contention"], []
    if seen["busy_before"] > BUSY:
        found.append(f"others kept {seen['busy_before']:.0%} of the cores busy")
    if seen["switches_per_s"] > SWITCHES:
        found.append(f"preempted {seen['switches_per_s']:.0f} times a second")
    if device == "cpu" and threads == 1 and seen["cpu_over_wall"] < IDLE:
        found.append(f"got {seen['cpu_over_wall']:.0%} of its core")
    if seen["throttle"]:
        found.append("throttled: " + ", ".join(seen["throttle"]))
    for mode in ("inference", "training"):
        found += _doubts(mode, perf.get(mode))
    return [*found, *(["quick"] if quick else [])]


def _doubts(mode: str, measured: Mapping[str, Any] | None) -> list[str]:
    if measured is None:
        return []
    point = next(p for p in measured["points"] if p["batch"] == measured["batch"])
    low, high = point["quartiles"]
    found = []
    if high - low > NOISY * point["samples_per_s"]:
        found.append(f"{mode} is noisy: quartiles {(high - low) / point['samples_per_s']:.0%} apart")
    if not point["warmup"]["steady"]:
        found.append(f"{mode} never became steady")
    return found
