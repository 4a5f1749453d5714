"""How many CPU cores there are to use, and processes that use them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from rsbench.errors import UserError
from rsbench.foreign import whole

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing.connection import Connection

A = TypeVar("A")
B = TypeVar("B")

ALLOTTED: Final = "RSBENCH_CORES"  # set by a launcher for each of several runs on one machine


def usable_cores() -> int:
    """Number of CPU cores that this process may use: those the system gives it, or the fewer it is allotted.

    Raises:
        UserError: what it is allotted is no number.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allotted = os.environ.get(ALLOTTED, str(cores))
    if not (number := whole(allotted)):
        raise UserError(f"{ALLOTTED} is a whole number, 1 or more; '{allotted}' is not.")
    return min(cores, number)


@contextmanager
def hide_main_module() -> Iterator[None]:
    """Hide the main module while processes are being started: they need nothing of it and would import it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def process_pool(workers: int, prepare: Callable[..., object], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends, and at once where the block is left by an exception.

    Args:
        prepare: called with *arguments* in each process as it starts.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with ours, theirs, ProcessPoolExecutor(workers, context, _tether, (theirs, prepare, arguments)) as pool:
        try:
            yield pool
        except BaseException:
            ours.close()  # not before the work that is queued would be
            pool.shutdown(cancel_futures=True)
            raise


def _tether(lifeline: Connection, prepare: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """End this process when the other end of *lifeline* is closed; Ctrl-C is for that end to answer."""

    def watch() -> None:
        lifeline.poll(None)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, daemon=True).start()
    prepare(*arguments)


class Processes:
    """Processes that share work, once they are started; until then it is done in this one.

    Threads would not do for work on thousands of records, most of which is done in Python.

    Args:
        prepare: imports what the work needs; called in each process as it starts.
    """

    def __init__(self, prepare: Callable[[], object]) -> None:
        self.prepare = prepare
        self._pool: ProcessPoolExecutor | None = None
        self._stack = ExitStack()

    def open(self, workers: int) -> None:
        """Start so many, if they are several: early, they have their imports behind them when the first is needed."""
        if self._pool is None and workers > 1:
            self._pool = self._stack.enter_context(process_pool(workers, self.prepare))
            with hide_main_module():
                for _ in range(workers):
                    self._pool.submit(_nothing)

    def map(self, function: Callable[[A], B], items: Sequence[A], chunk: int = 1) -> Iterator[B]:
        """Yield what *function* returns for each item, in their order; *chunk* of them are handed over at once.

        Raises:
            UserError: a process was killed.
        """
        return map(function, items) if self._pool is None else _whole(self._pool.map(function, items, chunksize=chunk))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _nothing() -> None:
    """Make a pool start a process."""


def _whole(results: Iterator[B]) -> Iterator[B]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        yield from results
    except BrokenProcessPool:
        raise UserError(
            f"A process that shares the work was ended (the system ran out of memory?); {ALLOTTED}=1 does it in one."
        ) from None
