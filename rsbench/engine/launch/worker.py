"""The child process of one run: takes a plan, sends events, writes the record."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from rsbench.engine.events import Interrupted
from rsbench.engine.launch.process import StopFlag, exit_with_parent, leave, redirect_output
from rsbench.engine.launch.run_log import RunLog
from rsbench.engine.launch.run_result import (
    BUSY,
    LOCK,
    Outcome,
    all_of,
    begin,
    cached,
    folder_of,
    of_record,
    settle,
)
from rsbench.engine.parallel import world
from rsbench.files import sweep
from rsbench.plan import RunPlan

LOG: Final = world.LOG
LOCK_SECONDS: Final = 0.2  # between looks whether it is free


class Busy(Exception):
    """Another process is at the run."""


def main(
    connection: Connection, plans_data: list[dict[str, Any]], environment: dict[str, str], patient: bool = False
) -> None:
    """Run one plan, or those of a group together.

    What the run prints goes to ``run.log`` in the first plan's folder, beside a line for each stage and epoch; events
    go through *connection*, and at the end one ``result`` with the outcome of each plan.  Another process at the same
    run is waited for where *patient*; else the outcomes are :data:`rsbench.engine.launch.run_result.BUSY`.  What it has
    finished by then is not done again.

    Args:
        connection: to the process that launched it.
        plans_data: plans as :meth:`rsbench.plan.RunPlan.to_dict` gives them.
        environment: variables to set before torch is loaded.
        patient: wait for another process at the same run.
    """
    os.environ.update(environment)
    stop = StopFlag()
    if parent := multiprocessing.parent_process():
        exit_with_parent(stop, parent.join)
    plans = [RunPlan(**data) for data in plans_data]
    folder = folder_of(plans[0])
    folder.mkdir(parents=True, exist_ok=True)
    redirect_output(folder / world.log_name())

    def send(event: dict[str, Any]) -> None:
        with suppress(OSError):  # the parent is gone; the run ends at its next look at the stop flag
            connection.send(event)

    def emit(event: dict[str, Any]) -> None:
        send(event | {"run_id": plans[0].run_id})

    send({"type": "result", "outcomes": _outcomes(plans, emit, stop, patient)})
    connection.close()
    leave()


def _outcomes(
    plans: list[RunPlan], emit: Callable[[dict[str, Any]], None], stop: StopFlag, patient: bool
) -> list[Outcome]:
    try:
        with _held(folder_of(plans[0]), stop, patient):
            return cached(plans) or _logged(plans, emit, stop)
    except Busy:
        return all_of(plans, BUSY)
    except Interrupted as error:
        return all_of(plans, "interrupted", signal=stop.signal or next(iter(error.args), None))


def _logged(plans: list[RunPlan], emit: Callable[[dict[str, Any]], None], stop: StopFlag) -> list[Outcome]:
    """Execute, with a note and a log of it in the run's folder; of several ranks the first keeps these."""
    if world.is_nonzero_rank():
        return [of_record(record) for record in _execute(plans, emit, stop)]
    log = RunLog(plans)
    begin(plans)
    log.begin()

    def tell(event: dict[str, Any]) -> None:
        emit(event)
        log.event(event)

    try:
        outcomes = [of_record(record) for record in _execute(plans, tell, stop)]
    except Interrupted:
        log.end(all_of(plans, "interrupted"))
        raise
    settle(plans)
    log.end(outcomes)
    return outcomes


@contextmanager
def _held(folder: Path, stop: StopFlag, patient: bool) -> Iterator[None]:
    """Hold the run in *folder*; a rank other than the first takes part in what the first holds."""
    if world.is_nonzero_rank():
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    while True:
        try:
            lock.acquire()
            break
        except Timeout:
            if not patient:
                raise Busy from None
        if stop():
            raise Interrupted
        time.sleep(LOCK_SECONDS)
    try:
        sweep(folder)
        yield
    finally:
        lock.release()


def _execute(plans: list[RunPlan], emit: Callable[[dict[str, Any]], None], stop: StopFlag) -> list[dict[str, Any]]:
    from rsbench.engine.launch.supervisor import Supervisor
    from rsbench.engine.run import run

    if places := world.places(plans[0].to_dict()):
        return [Supervisor(plans[0], places, emit, stop).run()]
    if world.is_nonzero_rank():
        return [run.elsewhere(plan) for plan in plans]
    return run.execute_together(plans, emit, stop)
