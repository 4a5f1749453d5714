"""The process of one rank: takes part in a run, and sends events (rank 0), signs of life and a result (each)."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from rsbench.cores import ALLOTTED, usable_cores
from rsbench.engine.launch.process import StopFlag, exit_with_parent, leave, redirect_output
from rsbench.engine.parallel import world
from rsbench.engine.parallel.world import RankInfo
from rsbench.plan import RunPlan

PARENT_SECONDS: Final = 1.0  # between looks whether the parent lives
LIFE_SECONDS: Final = 1.0  # between signs of life


@dataclass(eq=False)
class Rank:
    """A rank as the process that looks after it sees it.

    Attributes:
        result: what it sent last: ``status`` done or interrupted, its ``record`` or the ``signal``.
        gone: whether nothing more will come.
        heard: when the last event or sign of life came, by ``time.monotonic``.
        at: where in the code it was then.
    """

    place: RankInfo
    process: BaseProcess
    connection: Connection
    result: dict[str, Any] | None = None
    gone: bool = False
    heard: float = field(default_factory=time.monotonic)
    at: str = "its start"

    def receive(self) -> dict[str, Any] | None:
        """Return the next event; keep a result; note signs of life and the end."""
        try:
            event: dict[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            self.gone = True
            self.process.join()
            return None
        self.heard = time.monotonic()
        if event["type"] == "alive":
            self.at = event["at"]
        if event["type"] != "result":
            return event
        self.result, self.gone = event, True
        return None


def start(plan: RunPlan, place: RankInfo) -> Rank:
    """Fork the process of a rank from this one, which has touched no device; it gets its share of cores."""
    context = multiprocessing.get_context("fork")  # a fork cannot use the server of forks, and would start another
    ours, theirs = context.Pipe(duplex=False)
    cores = {ALLOTTED: str(world.cores_of(place, usable_cores()))}
    process = context.Process(target=main, args=(theirs, plan, place, cores | place.environment()))
    process.start()
    theirs.close()
    return Rank(place, process, ours)


def main(connection: Connection, plan: RunPlan, place: RankInfo, environment: dict[str, str]) -> None:
    """Take part in a run as the rank at *place*; what is printed goes to ``run.log``, of others to ``rank<n>.log``.

    Args:
        connection: to the supervisor, for events and one ``result``.
        plan: of the run.
        place: which of its ranks this is, and where they meet.
        environment: variables to set before torch is loaded.
    """
    os.environ.update(environment)
    stop = StopFlag()
    exit_with_parent(stop, _wait_for_parent)
    redirect_output(Path(plan.out) / plan.run_id / world.log_name(place.rank))

    lock = threading.Lock()

    def send(event: dict[str, Any]) -> None:
        with lock, suppress(OSError):  # the parent is gone; the run ends at its next look at the stop flag
            connection.send(event)

    threading.Thread(target=_live, args=(send, threading.get_ident()), daemon=True).start()
    result = _take_part(plan, place, send if place.rank == 0 else lambda event: None, stop)
    send({"type": "result"} | result)
    leave()  # without threads of collectives that wait for a lost rank, which would hold the process


def _live(send: Callable[[dict[str, Any]], None], main_thread: int) -> None:
    """Tell now and then that this process runs, and where its main thread is."""
    while True:
        frame = sys._current_frames().get(main_thread)
        if frame is not None:
            code = frame.f_code
            send({"type": "alive", "at": f"{Path(code.co_filename).name}:{frame.f_lineno} ({code.co_name})"})
        time.sleep(LIFE_SECONDS)


def _wait_for_parent() -> None:
    """By its number, and not by a pipe as the worker does: forks hold each other's pipes, which so tell of no end."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)


def _take_part(
    plan: RunPlan, place: RankInfo, emit: Callable[[dict[str, Any]], None], stop: StopFlag
) -> dict[str, Any]:
    from rsbench.engine.events import Interrupted
    from rsbench.engine.run import run

    try:
        return {"status": "done", "record": run.execute(plan, emit, stop, place)}
    except Interrupted:
        return {"status": "interrupted", "signal": stop.signal}
