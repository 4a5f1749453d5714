"""The child process of one run: takes a plan, sends events, writes the record."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

LOG: Final = "run.log"
LOCK: Final = ".lock"  # held by the process that is at the run


class _StopFlag:
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
        return self.set


def main(connection: Connection, plans_data: list[dict[str, Any]], environment: dict[str, str]) -> None:
    """Run one plan, or those of a family together.

    What the run prints goes to ``run.log`` in the first plan's folder; events go through *connection*, and at the end
    one ``result`` with a summary of each record.
    """
    os.environ.update(environment)
    stop = _StopFlag()
    first = plans_data[0]
    folder = Path(first["out"]) / first["run_id"]
    folder.mkdir(parents=True, exist_ok=True)
    _redirect_output(folder / LOG)

    def emit(event: dict[str, Any]) -> None:
        connection.send(event | {"run_id": first["run_id"]})

    from filelock import FileLock, Timeout

    from rsbench.engine.train import Interrupted

    try:
        with FileLock(folder / LOCK, timeout=0):
            records = _execute(plans_data, emit, stop)
    except Timeout:
        connection.send({"type": "result", "status": "busy"})
        return
    except Interrupted:
        connection.send({"type": "result", "status": "interrupted"})
        return
    connection.send({"type": "result", "status": "done", "records": [_summary(record) for record in records]})


def _execute(plans_data: list[dict[str, Any]], emit: Callable[[dict[str, Any]], None], stop: _StopFlag) -> list[Any]:
    from rsbench.engine import run, run_family
    from rsbench.plan import RunPlan

    plans = [RunPlan.from_dict(data) for data in plans_data]
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


def _redirect_output(path: Path) -> None:
    """Send stdout and stderr, those of C libraries too, to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
