"""The child process of one run: takes a plan, sends events, writes the record."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

from rsbench.engine import distributed_world

LOG: Final = distributed_world.LOG
LOCK: Final = ".lock"  # held by the process that is at the run
ORPHAN_GRACE_SECONDS: Final = 30.0


class StopFlag:
    """Set by SIGINT or SIGTERM; a second SIGINT ends the process at once.

    SIGTERM does not count as the second: on Ctrl-C the terminal sends SIGINT and the parent SIGTERM.
    """

    def __init__(self) -> None:
        self.set, self.interrupts = False, 0
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.set and number == signal.SIGINT and self.interrupts:
            os._exit(128 + number)
        self.interrupts += number == signal.SIGINT
        self.set = True

    def __call__(self) -> bool:
        """Whether the run is to stop."""
        return self.set


def main(
    connection: Connection, plans_data: list[dict[str, Any]], environment: dict[str, str], patience: float = 0.0
) -> None:
    """Run one plan, or those of a family together.

    What the run prints goes to ``run.log`` in the first plan's folder; events go through *connection*, and at the end
    one ``result`` with a summary of each record.  Another process at the same run is waited for *patience* seconds.
    """
    os.environ.update(environment)
    stop = StopFlag()
    stop_with_parent(stop)
    first = plans_data[0]
    folder = Path(first["out"]) / first["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    redirect_output(folder / distributed_world.log_name())

    def send(event: dict[str, Any]) -> None:
        with suppress(OSError):  # the parent is gone; the run ends at its next look at the stop flag
            connection.send(event)

    def emit(event: dict[str, Any]) -> None:
        send(event | {"run_id": first["run_id"]})

    from filelock import Timeout

    from rsbench.engine.train import Interrupted

    try:
        with _lock(folder, patience):
            records = _execute(plans_data, emit, stop)
    except Timeout:
        send({"type": "result", "status": "busy"})
        return
    except Interrupted:
        send({"type": "result", "status": "interrupted"})
        return
    send({"type": "result", "status": "done", "records": [_summary(record) for record in records]})


def _lock(folder: Path, patience: float) -> AbstractContextManager[Any]:
    """Hold the run; a rank other than the first takes part in what the first holds."""
    from filelock import FileLock

    return nullcontext() if distributed_world.follows() else FileLock(folder / LOCK, timeout=patience)


def stop_with_parent(stop: StopFlag) -> None:
    """Once the parent is gone, stop as at an interrupt, and end in any case after a grace."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        assert parent is not None
        parent.join()
        stop.set = True
        time.sleep(ORPHAN_GRACE_SECONDS)
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()


def _execute(plans_data: list[dict[str, Any]], emit: Callable[[dict[str, Any]], None], stop: StopFlag) -> list[Any]:
    from rsbench.engine import run, run_family
    from rsbench.engine.distributed_launch import Supervisor
    from rsbench.plan import RunPlan
    from rsbench.records import throughput

    plans = [RunPlan.from_dict(data) for data in plans_data]
    if plans[0].division == throughput.DIVISION:
        from rsbench.engine.throughput.execute import execute

        return [execute(plans[0], emit, stop)]
    places = distributed_world.places(plans_data[0])
    if places:
        return [Supervisor(plans[0], places, emit, stop).run()]
    if distributed_world.follows():
        return [run.elsewhere(plan) for plan in plans]
    return run_family.execute(plans, emit, stop) if plans[0].family else [run.execute(plans[0], emit, stop)]


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": record["status"],
        "record_path": record["path"],
        "error": record["error"],
        "primary": primary_of(record["metrics"]),
        "seconds": record["timing"]["total"],
    }


def primary_of(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """Return ``{name, value, ci95, unit}`` of the primary metric of a record's ``metrics``."""
    for name, entry in metrics.items():
        if entry.get("primary"):
            return {"name": name, "value": entry["value"], "ci95": entry["ci95"], "unit": entry["unit"]}
    return None


def redirect_output(path: Path) -> None:
    """Send stdout and stderr, those of C libraries too, to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
