"""How many CPU cores there are to use."""

from __future__ import annotations

import os
from typing import Final

ALLOTTED: Final = "RSBENCH_CORES"  # set by a launcher for each of several runs on one machine


def usable_cores() -> int:
    """Number of CPU cores that this process may use: those the system gives it, or the fewer it is allotted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, int(os.environ.get(ALLOTTED, cores)))
