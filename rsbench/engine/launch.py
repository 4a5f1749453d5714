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
from rsbench.family import families
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
BUSY: Final = "Another process is at this run in {out}; wait for it, or choose another --out."
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

    Plans of a family that follow each other are run together.  A plan whose finished record exists is not run again,
    nor is a family all of whose records exist.  After an interrupt no further plan is started.
    ``on_event`` gets the workers' events; an exception in it ends everything.
    """
    outcomes: list[Outcome] = []
    for group in families(plans):
        cached = [_cached(plan) for plan in group]
        found = [o for o in cached if o is not None]
        done = found if len(found) == len(group) else _run_group(group, on_event)
        for outcome in done:
            on_event(_done_event(outcome))
        outcomes += done
        states = {outcome.status for outcome in done}
        if "interrupted" in states or ("failed" in states and not keep_going):
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


def _run_group(plans: Sequence[RunPlan], on_event: Callable[[dict[str, Any]], None]) -> list[Outcome]:
    """Run one plan, or a family's, in one worker."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rsbench.engine.preload"])
    ours, theirs = context.Pipe(duplex=False)
    passed = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    begin = time.perf_counter()
    arguments = (theirs, [p.to_dict() for p in plans], passed)
    with _environment(SERVER_ENVIRONMENT):
        process = context.Process(target=worker.main, args=arguments, name=plans[0].run_id)
        process.start()
    theirs.close()
    result = _listen(process, ours, on_event)
    process.join()
    if result is None:
        seconds = time.perf_counter() - begin
        return [_record_death(plan, plans[0], process.exitcode, seconds) for plan in plans]
    if result["status"] == "busy":
        return [Outcome(plan.run_id, "failed", error=BUSY.format(out=plan.out)) for plan in plans]
    if result["status"] == "interrupted":
        return [Outcome(plan.run_id, "interrupted") for plan in plans]
    return [_outcome(plan, summary) for plan, summary in zip(plans, result["records"], strict=True)]


def _outcome(plan: RunPlan, summary: dict[str, Any]) -> Outcome:
    error = (summary["error"] or {}).get("message")
    path = Path(summary["record_path"])
    return Outcome(plan.run_id, summary["status"], path, error, summary["primary"], summary["seconds"])


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


def _record_death(plan: RunPlan, first: RunPlan, exitcode: int | None, seconds: float) -> Outcome:
    """Write the failure record of a worker that died without a word; its log is in the *first* plan's folder."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = " (the system ran out of memory?)" if name == "SIGKILL" else ""
        message = f"The worker process was ended by {name}{reason}."
    else:
        message = f"The worker process ended with exit code {exitcode}; see {first.out}/{first.run_id}/{worker.LOG}."
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
