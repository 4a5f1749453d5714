"""The process of one rank: takes part in a run, and sends events (rank 0) and a result (each)."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from rsbench.cores import ALLOTTED, usable_cores
from rsbench.engine import distributed_world
from rsbench.engine.distributed_world import Place
from rsbench.engine.process import StopFlag, redirect_output, stop_with_parent
from rsbench.plan import RunPlan

PARENT_SECONDS: Final = 1.0  # between looks whether the parent lives


@dataclass(eq=False)
class Rank:
    """A rank as the process that looks after it sees it.

    Attributes:
        result: what it sent last: ``status`` done or interrupted, and its ``record``.
        gone: whether nothing more will come.
    """

    place: Place
    process: BaseProcess
    connection: Connection
    result: dict[str, Any] | None = None
    gone: bool = False

    def receive(self) -> dict[str, Any] | None:
        """Return the next event; keep a result; note the end."""
        try:
            event: dict[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            self.gone = True
            self.process.join()
            return None
        if event["type"] != "result":
            return event
        self.result, self.gone = event, True
        return None


def start(plan: RunPlan, place: Place) -> Rank:
    """Fork the process of a rank from this one, which has touched no device; it gets its share of cores."""
    context = multiprocessing.get_context("fork")  # a fork cannot use the server of forks, and would start another
    ours, theirs = context.Pipe(duplex=False)
    cores = {ALLOTTED: str(distributed_world.cores_of(place, usable_cores()))}
    process = context.Process(target=main, args=(theirs, plan, place, cores | place.environment()))
    process.start()
    theirs.close()
    return Rank(place, process, ours)


def main(connection: Connection, plan: RunPlan, place: Place, environment: dict[str, str]) -> None:
    """Take part in a run as the rank at *place*; what is printed goes to ``run.log``, of others to ``rank<n>.log``."""
    os.environ.update(environment)
    stop = StopFlag()
    stop_with_parent(stop, _wait_for_parent)
    redirect_output(Path(plan.out) / plan.run_id / distributed_world.log_name(place.rank))

    def send(event: dict[str, Any]) -> None:
        with suppress(OSError):  # the parent is gone; the run ends at its next look at the stop flag
            connection.send(event)

    result = _take_part(plan, place, send if place.rank == 0 else lambda event: None, stop)
    send({"type": "result"} | result)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # threads of collectives that wait for a lost rank would hold the process


def _wait_for_parent() -> None:
    """By its number, and not by a pipe as the worker does: forks hold each other's pipes, which so tell of no end."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)


def _take_part(
    plan: RunPlan, place: Place, emit: Callable[[dict[str, Any]], None], stop: Callable[[], bool]
) -> dict[str, Any]:
    from rsbench.engine import run
    from rsbench.engine.process import Interrupted

    try:
        return {"status": "done", "record": run.execute(plan, emit, stop, place)}
    except Interrupted:
        return {"status": "interrupted"}
