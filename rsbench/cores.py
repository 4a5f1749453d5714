"""How many CPU cores there are to use, and processes that use them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

A = TypeVar("A")
B = TypeVar("B")

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


class Processes:
    """Processes that share work, once they are started; until then it is done in this one.

    Threads would not do for work on thousands of records, most of which is done in Python.

    Args:
        prepare: imports what the work needs; called in each process as it starts.
    """

    def __init__(self, prepare: Callable[[], object]) -> None:
        self.prepare = prepare
        self._pool: ProcessPoolExecutor | None = None

    def open(self, workers: int) -> None:
        """Start so many, if they are several: early, they have their imports behind them when the first is needed."""
        if self._pool is None and workers > 1:
            import multiprocessing
            from concurrent.futures import ProcessPoolExecutor

            self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            with without_main():
                for _ in range(workers):
                    self._pool.submit(self.prepare)

    def map(self, function: Callable[[A], B], items: Sequence[A], chunk: int = 1) -> Iterator[B]:
        """Yield what *function* returns for each item, in their order; *chunk* of them are handed over at once."""
        return map(function, items) if self._pool is None else self._pool.map(function, items, chunksize=chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
