"""Pools of workers: what one is asked for, what it does, and the loop that drives it.

Imports neither torch nor NumPy nor Ray.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, Protocol, Self

from rsbench.engine.launch.run_result import BUSY, Outcome, all_of, cached
from rsbench.engine.parallel import world
from rsbench.errors import ENDING, UserError
from rsbench.plan import RunPlan
from rsbench.registry import registry

OnEvent = Callable[[dict[str, Any]], None]
INTERRUPT_GRACE_SECONDS: Final = 30.0
STOPPING: Final = "\nrsbench: stopping; runs write what they resume from. Ctrl-C ends them at once.\n"
WAITED_FOR: Final = "another process is at this run; what it finishes is not done again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where plans run.

    launcher: one that ``rsbench list launchers`` shows.
    parallel: runs at once, which take the GPUs of this machine in turn; default: one locally, as many as fit on a
        cluster.
    Of launchers that take them: address of a cluster, cpus and gpus reserved for a run.

    Raises:
        UserError: there is no such launcher, or it takes none of these.
    """

    launcher: str = "local"
    parallel: int | None = None
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        known = registry().specs("launcher")
        if self.launcher not in known:
            raise UserError(f"Launcher '{self.launcher}' is not one of {', '.join(known)}.")
        given = {name for name in ("address", "cpus", "gpus") if getattr(self, name) is not None}
        if given - {*known[self.launcher].takes}:
            able = " or ".join(name for name, spec in known.items() if given <= {*spec.takes})
            raise UserError(
                "--ray-address, --cpus-per-run and --gpus-per-run need "
                + (f"--launcher {able}." if able else "a launcher that is not installed.")
            )


class Pool(Protocol):
    """Workers that run groups of plans, each group together in one process."""

    @property
    def running(self) -> int:
        """Number of groups that were started and have not been returned."""

    @property
    def capacity(self) -> float:
        """Number of groups that may be started at once."""

    def start(self, plans: list[RunPlan], patient: bool = False) -> None:
        """Start a group; where *patient*, it waits for another process that is at it."""

    def wait(self, on_event: OnEvent) -> list[Outcome]:
        """Pass events on for a moment; return the outcomes of a group that has ended, or nothing."""

    def stop(self) -> None:
        """Ask all runs to write a state to resume from and to end."""

    def kill(self) -> None:
        """End all runs at once."""


def drive(pool: Pool, groups: Iterable[list[RunPlan]], on_event: OnEvent) -> list[Outcome]:
    """Run *groups* in *pool* and return an outcome for each plan, in the order in which they came.

    A group that another process is at is put off until all others were started, and is then waited for.
    At the first Ctrl-C or SIGTERM the runs get time to write their state, and what has not been started counts as
    interrupted, too; at a second Ctrl-C they are killed.
    """
    with Signals() as signals:
        return _Drive(pool, deque(groups), on_event, signals).run()


class Signals:
    """Collects, in the main thread, signals that would end the process, so that none falls between two steps.

    SIGTERM is left alone where it has its default: a program of which rsbench is a part ends by it, and its workers
    notice.
    """

    def __init__(self) -> None:
        self.caught: deque[int] = deque()
        self.answered = world.is_nonzero_rank()  # of several ranks the first answers
        self._replaced: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if callable(signal.getsignal(number)):
                    self._replaced[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._replaced.items():
            signal.signal(number, handler)

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        if not self.answered:  # at once, whatever this thread is waiting for; print is not reentrant
            self.answered = True
            with suppress(OSError):
                os.write(2, STOPPING.encode())
        self.caught.append(number)


class _Drive:
    """The state of :func:`drive`."""

    def __init__(self, pool: Pool, waiting: deque[list[RunPlan]], on_event: OnEvent, signals: Signals) -> None:
        self.pool, self.waiting, self.on_event, self.signals = pool, waiting, on_event, signals
        self.groups: dict[str, list[RunPlan]] = {}  # those that were started, by their first run
        self.busy: set[str] = set()  # groups that another process was at
        self.outcomes: list[Outcome] = []
        self.stopped: int | None = None  # by which signal
        self.deadline = float("inf")

    def run(self) -> list[Outcome]:
        while self.waiting or self.pool.running:
            try:
                done = self._fill() or (self.pool.wait(self.on_event) if self.pool.running else [])
                self._heed()
                self._take(done)
            except KeyboardInterrupt:  # of another thread than the main, or of on_event
                self._stop(signal.SIGINT)
            except BaseException:
                self.pool.kill()
                raise
        return self.outcomes

    def _heed(self) -> None:
        """Act on signals and on the end of the grace."""
        while self.signals.caught:
            self._stop(self.signals.caught.popleft())
        if time.monotonic() > self.deadline:
            self.pool.kill()

    def _stop(self, number: int) -> None:
        if self.stopped is not None:
            if number == signal.SIGINT:
                self.pool.kill()
            return
        self.stopped, self.deadline = number, time.monotonic() + INTERRUPT_GRACE_SECONDS
        for group in self.waiting:
            self.outcomes += all_of(group, "interrupted", signal=number)
        self.waiting.clear()
        self.pool.stop()

    def _take(self, done: list[Outcome]) -> None:
        if not done:
            return
        status, number, group = done[0].status, done[0].signal, self.groups.get(done[0].run_id, [])
        if status == BUSY and self.stopped is None:
            self.busy.add(group[0].run_id)
            self.waiting.append(group)
            return
        if status in (BUSY, "interrupted"):
            if self.stopped is None:
                self._stop(number or signal.SIGTERM)
            done = all_of(group, "interrupted", signal=self.stopped)
        self.outcomes += done
        for outcome in done:
            self.on_event(outcome.event())

    def _fill(self) -> list[Outcome]:
        """Start groups for as long as there is room; return the outcomes of one that has been run before."""
        while self.waiting and self.pool.running < self.pool.capacity:
            group = self.waiting.popleft()
            if found := cached(group):
                return found
            first = group[0].run_id
            if first in self.busy:
                self.on_event({"type": "warning", "run_id": first, "text": WAITED_FOR})
            self.groups[first] = group
            self.pool.start(group, patient=first in self.busy)
        return []
