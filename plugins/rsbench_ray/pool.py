"""Runs on a Ray cluster: each group of plans is a task, and in it a worker process like those of this machine.

A Ray worker keeps its server of worker processes, so that only its first run pays for importing torch.  Imports neither
torch nor NumPy, and Ray only when a pool starts its first run.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rsbench.cores import ALLOTTED
from rsbench.engine.launch.local import LocalPool, Worker, death_message
from rsbench.engine.launch.pool import Launch, OnEvent, drive
from rsbench.engine.launch.run_result import Outcome, all_of, cached, record_death
from rsbench.engine.parallel.world import ENV_MARKERS
from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunPlan
from rsbench_ray import cluster as ray_cluster
from rsbench_ray.node import Needs

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

RETRIES: Final = 3  # of a run whose worker or node was lost
POLL_SECONDS: Final = 0.2
LOG: Final = "ray.log"  # of what Ray says, beside the folders of the runs
NICE: Final = (
    "Ray node {host} runs at niceness {niceness}, after all other work there; start Ray with RAY_worker_niceness=0."
)
PASSED_ON: Final = ("RSBENCH_", "HF_", "TORCH_", "PYTORCH_")  # not what belongs to a machine: CUDA_ and OMP_


class WorkerLost(Exception):
    """The process of a run was ended from outside; Ray is to start the run again."""


class Mailbox:
    """Actor that holds the events of all runs until they are asked for; the oldest are lost where nobody asks."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=10_000)

    def put(self, event: dict[str, Any]) -> None:
        """Take in an event."""
        self._events.append(event)

    def take(self) -> list[dict[str, Any]]:
        """Give away all events."""
        events = list(self._events)
        self._events.clear()
        return events


class RayPool:
    """Runs groups of plans as Ray tasks, with CPUs and GPUs reserved for each."""

    def __init__(self, launch: Launch, plans: Sequence[RunPlan]) -> None:
        self.capacity: float = launch.parallel or float("inf")
        self._launch, self._plans = launch, plans
        self._cluster: ray_cluster.Cluster | None = None
        self._mailbox: ActorHandle | None = None
        self._tasks: dict[ObjectRef, list[RunPlan]] = {}
        self._stopping = False
        self._refused: set[str] = set()  # ids of nodes
        self._sent = 0
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        ray_cluster.require_ray()
        if any(plan.nodes > 1 for plan in self._plans):
            raise UserError("A Ray task runs on one node: leave --nodes out, or start with torchrun without Ray.")
        for device in sorted({plan.device for plan in self._plans}):
            if device.partition(":")[2] not in ("", "0"):
                raise UserError(f"Ray chooses the GPUs of a run: give --device cuda in place of {device}.")
        return self

    def __exit__(self, *_: object) -> None:
        if self._cluster is not None:
            self._cluster.close()

    @property
    def running(self) -> int:
        """Number of tasks, those that wait for a place on the cluster among them."""
        return len(self._tasks)

    def start(self, plans: list[RunPlan], patient: bool = False) -> None:
        """Submit *plans* as one task, which waits for another process that is at them in any case.

        Raises:
            UserError: at the first task: the cluster cannot be reached, is too small, or does not see the folders.
        """
        import ray

        if self._cluster is None:
            self._cluster = ray_cluster.Cluster(self._launch.address, log=Path(plans[0].out) / LOG)
            self._cluster.check(self._plans, [self._resources(p) for p in self._plans])
            self._mailbox = ray.remote(Mailbox).options(num_cpus=0, max_restarts=-1).remote()
        self._submit(plans, "SPREAD")

    def _submit(self, plans: list[RunPlan], where: Any) -> None:
        cpus, gpus = self._resources(plans[0])
        environment = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
        environment[ALLOTTED] = str(max(1, int(cpus)))
        if not gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        reference = ray_cluster.task(
            Needs.of(plans),
            run_group,
            [plan.to_dict() for plan in plans],
            environment,
            mailbox=self._mailbox,
            num_cpus=cpus,
            num_gpus=gpus,
            max_retries=RETRIES,
            retry_exceptions=[WorkerLost],
            scheduling_strategy=where,
            name=plans[0].run_id,
        )
        self._tasks[reference] = plans

    def wait(self, on_event: OnEvent) -> list[Outcome]:
        """Pass events on for a moment; return the outcomes of a task that has ended, or nothing.

        Raises:
            UserError: no node can take a run.
        """
        import ray

        ended, _ = ray.wait(list(self._tasks), timeout=POLL_SECONDS)
        under_way = {plans[0].run_id for plans in self._tasks.values()}
        for event in self._events():
            if event["run_id"] in under_way:  # not what was late
                self._pass_on(event, on_event)
        return self._end(ended[0], on_event) if ended else []

    def _pass_on(self, event: dict[str, Any], on_event: OnEvent) -> None:
        """Pass an event on; of what is said of nodes, each sentence once."""
        if event["type"] == "warning" and event["text"].startswith("Ray node "):
            if event["text"] in self._said:
                return
            self._said.add(event["text"])
        on_event(event)

    def stop(self) -> None:
        """Raise KeyboardInterrupt in the tasks, which lets the runs write their state; drop those that wait."""
        self._cancel(force=False)

    def kill(self) -> None:
        """End the Ray workers."""
        self._cancel(force=True)

    def _cancel(self, force: bool) -> None:
        import ray

        self._stopping = True
        for reference in self._tasks:
            ray.cancel(reference, force=force)

    def _events(self) -> list[dict[str, Any]]:
        import ray
        from ray.exceptions import RayError

        if self._mailbox is None:
            return []
        with suppress(RayError):
            events: list[dict[str, Any]] = ray.get(self._mailbox.take.remote(), timeout=POLL_SECONDS)
            return events
        return []

    def _end(self, reference: ObjectRef, on_event: OnEvent) -> list[Outcome]:
        import ray
        from ray.exceptions import RayError

        plans = self._tasks.pop(reference)
        try:
            node, problems, outcomes = ray.get(reference)
        except RayError as error:
            if self._stopping:
                return all_of(plans, "interrupted")
            return cached(plans) or record_death(plans, _lost_message(error), None)
        if problems and self._stopping:
            return all_of(plans, "interrupted")
        if problems:
            self._send_elsewhere(plans, node, problems, on_event)
        found: list[Outcome] = outcomes
        return found

    def _send_elsewhere(self, plans: list[RunPlan], node: str, problems: list[str], on_event: OnEvent) -> None:
        """Give a run that a node cannot take to one that has not refused any, in turn."""
        assert self._cluster is not None
        self._refused.add(node)
        for text in problems:
            self._pass_on({"type": "warning", "run_id": plans[0].run_id, "text": f"{text} It gets no runs."}, on_event)
        nodes = self._cluster.fitting(self._resources(plans[0]), self._refused)
        if not nodes:
            raise UserErrors(problems)
        self._sent += 1
        self._submit(plans, ray_cluster.at(nodes[self._sent % len(nodes)], soft=True))

    def _resources(self, plan: RunPlan) -> tuple[float, float]:
        """CPUs and GPUs of a run: by default a GPU for each of its devices on CUDA, and a CPU for each thread."""
        assert self._cluster is not None
        cuda = plan.device.startswith("cuda") or (plan.device == "auto" and self._cluster.has_gpus)
        cpus = self._launch.cpus if self._launch.cpus is not None else float(plan.devices * (plan.threads or 1))
        gpus = self._launch.gpus if self._launch.gpus is not None else float(plan.devices * cuda)
        return cpus, gpus


def _lost_message(error: Exception) -> str:
    cause = getattr(error, "cause", None)
    last = str(cause) if isinstance(cause, WorkerLost) else str(error)
    return f"Ray lost the worker of this run {RETRIES + 1} times; the last time: {' '.join(last.split())}"


def run_group(plans_data: list[dict[str, Any]], environment: dict[str, str], mailbox: ActorHandle) -> list[Outcome]:
    """Run one plan, or those of a family together, in a process of this node.

    Raises:
        WorkerLost: the process was ended from outside.
    """
    for sign in ENV_MARKERS:  # a cluster that srun has started is no group of ranks
        os.environ.pop(sign, None)
    plans = [RunPlan(**data) for data in plans_data]

    def post(event: dict[str, Any]) -> None:
        if event["type"] != "done":
            with suppress(Exception):  # events may be lost; the run goes on
                mailbox.put.remote(event)

    if niceness := os.nice(0):
        text = NICE.format(host=socket.gethostname(), niceness=niceness)
        post({"type": "warning", "run_id": plans[0].run_id, "text": text})
    outcomes = drive(_TaskPool(1, environment), [plans], post)
    if any(outcome.status == "interrupted" for outcome in outcomes):
        raise WorkerLost("The run was asked to stop.")  # a canceled task is not started again
    return outcomes


class _TaskPool(LocalPool):
    """The one worker process of a Ray task."""

    def died(self, lost: Worker) -> list[Outcome]:
        """Raise WorkerLost where the process was killed; what ended by itself would end again."""
        if lost.process.exitcode == -signal.SIGKILL:
            raise WorkerLost(death_message(lost.process.exitcode, lost.plans[0]))
        return super().died(lost)
