"""Runs plans in worker processes, one after another, each forked from a server that has imported torch once.

This module is imported by the CLI's process and imports neither torch nor NumPy.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from rsbench.engine import worker
from rsbench.plan import RunPlan
from rsbench.records import store
from rsbench.records.blank import blank_record

# Waiting OpenMP threads that spin make two busy threads slower than one; large blocks that malloc hands back to the
# system after each batch cost more than the work on them.  Both are read when a process starts.
SERVER_ENVIRONMENT: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
}
PASSED_ON: Final = ("RSBENCH_", "HF_", "TORCH_", "CUDA_", "OMP_")
INTERRUPT_GRACE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plan: ``ok | failed | interrupted | cached``."""

    run_id: str
    status: str
    record_path: Path | None = None
    error: str | None = None
    primary: dict[str, Any] | None = None
    seconds: float | None = None


def run_plans(
    plans: Sequence[RunPlan], *, on_event: Callable[[dict[str, Any]], None], keep_going: bool = True
) -> list[Outcome]:
    """Run *plans* one after another and return an outcome for each that was started.

    A plan whose finished record exists is not run again.  After an interrupt no further plan is started.
    ``on_event`` gets the workers' events; an exception in it ends everything.
    """
    outcomes: list[Outcome] = []
    for plan in plans:
        outcome = _cached(plan) or _run_one(plan, on_event)
        outcomes.append(outcome)
        on_event(_done_event(outcome))
        if outcome.status == "interrupted" or (outcome.status == "failed" and not keep_going):
            break
    return outcomes


def _done_event(outcome: Outcome) -> dict[str, Any]:
    return {
        "type": "done",
        "run_id": outcome.run_id,
        "status": outcome.status,
        "record_path": str(outcome.record_path) if outcome.record_path else None,
        "error": outcome.error,
        "primary": outcome.primary,
        "seconds": outcome.seconds,
    }


def _cached(plan: RunPlan) -> Outcome | None:
    folder = Path(plan.out) / plan.run_id
    if not store.finished(folder):
        return None
    record = json.loads((folder / "record.json").read_text())
    return Outcome(plan.run_id, "cached", folder / "record.json", None, worker.primary_of(record["metrics"]), 0.0)


def _run_one(plan: RunPlan, on_event: Callable[[dict[str, Any]], None]) -> Outcome:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rsbench.engine.preload"])
    ours, theirs = context.Pipe(duplex=False)
    passed = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    begin = time.perf_counter()
    with _environment(SERVER_ENVIRONMENT):
        process = context.Process(target=worker.main, args=(theirs, plan.to_dict(), passed), name=plan.run_id)
        process.start()
    theirs.close()
    result = _listen(process, ours, on_event)
    process.join()
    if result is None:
        return _record_death(plan, process.exitcode, time.perf_counter() - begin)
    error = (result.get("error") or {}).get("message")
    path = Path(result["record_path"]) if result.get("record_path") else None
    return Outcome(plan.run_id, result["status"], path, error, result.get("primary"), result.get("seconds"))


def _listen(
    process: BaseProcess, connection: Connection, on_event: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """Pass events on until the result comes (returned) or the worker is gone (``None``).

    At the first Ctrl-C the worker, which the terminal has signalled too, gets time to write its state; at the second
    it is killed.
    """
    deadline = None
    while True:
        try:
            if connection.poll(0.2):
                event = connection.recv()
                if event["type"] == "result":
                    return event
                on_event(event)
            elif deadline is not None and time.monotonic() > deadline:
                process.kill()
        except EOFError:
            return {"status": "interrupted"} if deadline is not None else None
        except KeyboardInterrupt:
            if deadline is not None:
                process.kill()
            else:
                deadline = time.monotonic() + INTERRUPT_GRACE_SECONDS
                _signal(process, signal.SIGTERM)
        except BaseException:
            process.kill()
            raise


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    """Tell the worker to stop, in case only the parent was signalled."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)


def _record_death(plan: RunPlan, exitcode: int | None, seconds: float) -> Outcome:
    """Write the failure record of a worker that died without a word."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = " (the system ran out of memory?)" if name == "SIGKILL" else ""
        message = f"The worker process was ended by {name}{reason}."
    else:
        message = f"The worker process ended with exit code {exitcode}; see {plan.out}/{plan.run_id}/{worker.LOG}."
    record = blank_record(plan.run_id, plan.portable())
    record["error"] = {"stage": "process", "type": "WorkerDied", "message": message}
    record["timing"] = {"total": seconds}
    path = store.save(record, Path(plan.out) / plan.run_id)
    return Outcome(plan.run_id, "failed", path, message, None, seconds)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables that are not set, for as long as a process is being started."""
    added = [k for k in values if k not in os.environ]
    os.environ.update({k: values[k] for k in added})
    try:
        yield
    finally:
        for key in added:
            del os.environ[key]
