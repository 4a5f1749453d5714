"""Pools of workers: what one is asked for, what it does, and the loop that drives it.

Imports neither torch nor NumPy nor Ray.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from rsbench.engine.outcome import Outcome, cached
from rsbench.errors import UserError
from rsbench.execution import LAUNCHERS
from rsbench.plan import RunPlan

OnEvent = Callable[[dict[str, Any]], None]
INTERRUPT_GRACE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where plans run.

    launcher: one of :data:`rsbench.execution.LAUNCHERS`.
    parallel: runs at once, which take the GPUs of this machine in turn; default: one locally, as many as fit on a Ray
        cluster.
    Of Ray alone: address (see :class:`rsbench.engine.ray_cluster.Cluster`), cpus and gpus reserved for a run.

    Raises:
        UserError: there is no such launcher, or it takes none of these.
    """

    launcher: str = "local"
    parallel: int | None = None
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise UserError(f"Launcher '{self.launcher}' is not one of {', '.join(LAUNCHERS)}.")
        if self.launcher == "local" and {self.address, self.cpus, self.gpus} != {None}:
            raise UserError("--ray-address, --cpus-per-run and --gpus-per-run need --launcher ray.")


class Pool(Protocol):
    """Workers that run groups of plans, each group together in one process."""

    @property
    def running(self) -> int:
        """Number of groups that were started and have not been returned."""

    @property
    def capacity(self) -> float:
        """Number of groups that may be started at once."""

    def start(self, plans: list[RunPlan]) -> None:
        """Start a group."""

    def wait(self, on_event: OnEvent) -> list[Outcome]:
        """Pass events on for a moment; return the outcomes of a group that has ended, or nothing."""

    def stop(self) -> None:
        """Ask all runs to write a state to resume from and to end."""

    def kill(self) -> None:
        """End all runs at once."""


def drive(pool: Pool, groups: Iterable[list[RunPlan]], on_event: OnEvent) -> list[Outcome]:
    """Run *groups* in *pool* and return the outcomes in the order in which they came.

    At the first Ctrl-C the runs get time to write their state; at the second they are killed.

    Raises:
        KeyboardInterrupt: at a Ctrl-C while nothing runs.
    """
    waiting = deque(groups)
    outcomes: list[Outcome] = []
    deadline: float | None = None
    while waiting or pool.running:
        try:
            done = _fill(pool, waiting) or pool.wait(on_event)
            outcomes += done
            for outcome in done:
                on_event(outcome.event())
                if outcome.status == "interrupted":
                    waiting.clear()
            if deadline is not None and time.monotonic() > deadline:
                pool.kill()
        except KeyboardInterrupt:
            if not pool.running:
                raise
            waiting.clear()
            if deadline is not None:
                pool.kill()
            else:
                deadline = time.monotonic() + INTERRUPT_GRACE_SECONDS
                pool.stop()
        except BaseException:
            pool.kill()
            raise
    return outcomes


def _fill(pool: Pool, waiting: deque[list[RunPlan]]) -> list[Outcome]:
    """Start groups for as long as there is room; return the outcomes of one that has been run before."""
    while waiting and pool.running < pool.capacity:
        group = waiting.popleft()
        if found := cached(group):
            return found
        pool.start(group)
    return []
