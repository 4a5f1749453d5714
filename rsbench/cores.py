"""How many CPU cores there are to use, and processes that use them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

ALLOTTED: Final = "RSBENCH_CORES"  # set by a launcher for each of several runs on one machine


def usable_cores() -> int:
    """Number of CPU cores that this process may use: those the system gives it, or the fewer it is allotted."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, int(os.environ.get(ALLOTTED, cores)))


@contextmanager
def without_main() -> Iterator[None]:
    """Hide the main module while processes are being started: they need nothing of it and would import it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
