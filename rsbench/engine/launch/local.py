"""Worker processes on this machine, each forked from a server that has imported torch once.

Imports neither torch nor NumPy.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection as pipes
from multiprocessing.process import BaseProcess
from typing import Any, Final, Self

from rsbench.cores import ALLOTTED, hide_main_module, usable_cores
from rsbench.engine.launch import gpus, worker
from rsbench.engine.launch.pool import Launch
from rsbench.engine.launch.process import ending
from rsbench.engine.launch.ready import ensure_ready
from rsbench.engine.launch.run_result import Outcome, all_of, folder_of, record_death
from rsbench.plan import RunPlan

# Waiting OpenMP threads that spin as long as they do by default (300,000 turns) make two jobs on two cores many times
# slower than one after the other; threads that do not spin at all lose a quarter to being woken, and 1,000 turns are
# enough to save it.  Large blocks that malloc hands back to the system after each batch cost more than the work on
# them.  All are read when a process starts; what the user has set comes first.
SERVER_ENVIRONMENT: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "1000",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
}
PASSED_ON: Final = ("RSBENCH_", "HF_", "TORCH_", "PYTORCH_", "CUDA_", "NCCL_", "OMP_")
LEAVE_SECONDS: Final = 10.0  # for a worker to end, once it has said what became of its runs
POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A process, the end of its pipe, what it runs, when that began and its place among those that run at once."""

    process: BaseProcess
    connection: pipes.Connection
    plans: list[RunPlan]
    begin: float
    slot: int = 0

    def receive(self) -> dict[str, Any] | None:
        """Return the next event, or ``None`` where the process is gone."""
        try:
            event: dict[str, Any] | None = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return None
        return event

    def is_gone(self) -> bool:
        """Whether the process has ended.

        The end of its pipe does not say so, of which ranks that hang hold copies; nor does its server alone, which may
        have been killed.
        """
        import psutil

        if self.process.exitcode is None:
            return False
        try:
            return psutil.Process(self.process.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def signal(self, number: signal.Signals) -> None:
        """Signal the process; by its id, for its server may be gone."""
        if self.process.pid is not None and not self.is_gone():
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End the process and those that it has started."""
        import psutil

        if self.is_gone():
            return
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            for each in [*process.children(recursive=True), process]:
                with suppress(psutil.Error):
                    each.kill()


def open_pool(launch: Launch, plans: Sequence[RunPlan]) -> LocalPool:
    """The pool of ``--launcher local``; see :class:`rsbench.extensions.LauncherSpec`."""
    return LocalPool(launch.parallel or 1)


class LocalPool:
    """Runs up to *capacity* groups of plans at once, and divides cores and GPUs among them.

    environment: variables set in the workers.
    """

    def __init__(self, capacity: int, environment: Mapping[str, str] | None = None) -> None:
        self.capacity: float = capacity
        self.environment = dict(environment or {})
        self._workers: list[Worker] = []
        self._stopping = False
        if capacity > 1:
            self.environment[ALLOTTED] = str(max(1, usable_cores() // capacity))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def running(self) -> int:
        """Number of worker processes."""
        return len(self._workers)

    def start(self, plans: list[RunPlan], patient: bool = False) -> None:
        """Fork a worker for *plans*; where *patient*, it waits for another process that is at them.

        Raises:
            OSError: something is in the way of their files (see :func:`rsbench.engine.launch.ready.ensure_ready`).
            UserError: temporary files cannot be where they should.
        """
        for plan in plans:
            folder_of(plan).mkdir(parents=True, exist_ok=True)
            ensure_ready(folder_of(plan))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["rsbench.engine.run.undisturbed", "rsbench.engine.launch.preload"])
        ours, theirs = context.Pipe(duplex=False)
        slot = min(set(range(len(self._workers) + 1)) - {each.slot for each in self._workers})
        passed = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
        passed |= (gpus.environment(plans[0], slot) if self.capacity > 1 else {}) | self.environment
        begin = time.perf_counter()
        arguments = (theirs, [p.to_dict() for p in plans], passed, patient)
        with _environment(SERVER_ENVIRONMENT), hide_main_module():
            process = context.Process(target=worker.main, args=arguments, name=plans[0].run_id)
            process.start()
        theirs.close()
        self._workers.append(Worker(process, ours, plans, begin, slot))

    def wait(self, on_event: Callable[[dict[str, Any]], None]) -> list[Outcome]:
        """Pass events on for a moment; return the outcomes of a worker that has ended, or nothing."""
        ready = pipes.wait([w.connection for w in self._workers], POLL_SECONDS)
        for each in [w for w in self._workers if w.connection in ready or w.is_gone()]:
            event = each.receive()
            if event is None or event["type"] == "result":
                return self._end(each, event)
            on_event(event)
        return []

    def stop(self) -> None:
        """Send SIGTERM, in case the terminal has signaled this process alone."""
        self._stopping = True
        for each in self._workers:
            each.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the workers and to the processes that they have started."""
        for each in self._workers:
            each.kill()

    def _end(self, ended: Worker, result: dict[str, Any] | None) -> list[Outcome]:
        ended.process.join(LEAVE_SECONDS)
        ended.kill()
        ended.process.join()
        ended.connection.close()
        self._workers.remove(ended)
        if result is not None:
            outcomes: list[Outcome] = result["outcomes"]
            return outcomes
        return all_of(ended.plans, "interrupted") if self._stopping else self.died(ended)

    def died(self, lost: Worker) -> list[Outcome]:
        """Write the failure records of a worker that ended without a result."""
        message = death_message(lost.process.exitcode, lost.plans[0])
        return record_death(lost.plans, message, time.perf_counter() - lost.begin)


def death_message(exitcode: int | None, first: RunPlan) -> str:
    """Say how a worker ended, and whose network it ran; its log is in the *first* plan's folder."""
    whose = f"model '{first.model['name']}' (distribution '{first.model.get('distribution')}')"
    return f"The worker process of {whose} {ending(exitcode, worker.LOG)}."


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
