"""The child process of one run: takes a plan, sends events, writes the record."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from rsbench.engine import distributed_world
from rsbench.engine.process import StopFlag, redirect_output, stop_with_parent

LOG: Final = distributed_world.LOG
LOCK: Final = ".lock"  # held by the process that is at the run


def main(
    connection: Connection, plans_data: list[dict[str, Any]], environment: dict[str, str], patience: float = 0.0
) -> None:
    """Run one plan, or those of a family together.

    What the run prints goes to ``run.log`` in the first plan's folder; events go through *connection*, and at the end
    one ``result`` with a summary of each record.  Another process at the same run is waited for *patience* seconds.
    """
    os.environ.update(environment)
    stop = StopFlag()
    if parent := multiprocessing.parent_process():
        stop_with_parent(stop, parent.join)
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
