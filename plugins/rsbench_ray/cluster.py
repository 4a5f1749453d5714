"""The Ray cluster that runs are sent to, and whether its nodes can take them."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rsbench import __version__
from rsbench.engine.launch.run_result import folder_of
from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunPlan
from rsbench_ray.address import UNUSABLE, require_answer
from rsbench_ray.node import Needs

OBJECT_STORE_BYTES: Final = 128 << 20  # tasks return a few kilobytes; Ray would take a third of the memory
CHECK_SECONDS: Final = 120.0
# Ray reports its use to its makers, and lets its workers give way to every other process.
LOCAL_ENVIRONMENT: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


def require_ray() -> None:
    """Raise UserError where Ray is not installed."""
    if find_spec("ray") is None:
        raise UserError("Ray is not installed; install it with: pip install 'rsbench[ray]'.")


class Cluster:
    """A connection to a cluster, or to a Ray of this machine's own that ends with it.

    log: file for what Ray says of workers that it loses, which its driver would print between ours.
    address: ``auto``, HOST:PORT, or ``None``: that of RAY_ADDRESS, or else Ray is started here.  Where the process is
    connected already, that connection is used and kept.

    Raises:
        UserError: no cluster answers there.
    """

    def __init__(self, address: str | None, log: Path) -> None:
        self._ours = not _is_connected()
        if self._ours:
            _connect(address)
            _log_to(log)

    @property
    def has_gpus(self) -> bool:
        """Whether a node has a GPU."""
        return any(gpus for _, gpus in map(_size, _nodes()))

    def close(self) -> None:
        """Leave the cluster."""
        import ray

        if self._ours:
            ray.shutdown()

    def check(self, plans: Sequence[RunPlan], requests: Iterable[tuple[float, float]]) -> None:
        """See that some node is large enough for each of *requests* (CPUs, GPUs) and that all see the plans' folders.

        Raises:
            UserErrors: one sentence for each thing that is missing.
        """
        problems = []
        for cpus, gpus in sorted(set(requests)):
            if not any(has[0] >= cpus and has[1] >= gpus for has in map(_size, _nodes())):
                problems.append(
                    f"No node of the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs; "
                    "ask for less with --cpus-per-run and --gpus-per-run."
                )
        problems += _ask_nodes(Needs.of(plans))
        if problems:
            for plan in plans:
                with suppress(OSError):  # what was there before is not empty
                    folder_of(plan).rmdir()
            raise UserErrors(problems)

    def fitting(self, request: tuple[float, float], refused: Container[str]) -> list[str]:
        """Return the ids of the nodes that are large enough for a *request* (CPUs, GPUs) and not *refused*."""
        return [
            node["NodeID"]
            for node in _nodes()
            if node["NodeID"] not in refused
            and all(has >= asked for has, asked in zip(_size(node), request, strict=True))
        ]


def _is_connected() -> bool:
    """Whether this process is, for which Ray need not be imported."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


def _connect(address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    require_answer(address)
    import logging

    import ray

    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        for name, value in LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    heeded = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises bare ones too
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(UNUSABLE.format(address=address, reason=first)) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, heeded)  # Ray's own ends the process at once


def _log_to(log: Path) -> None:
    """Let Ray's driver write into a file what it hears of workers, tracebacks above all; it has no option for that."""
    from ray._private import worker

    def write(message: dict[str, Any], **_: Any) -> None:
        with suppress(OSError), log.open("a", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in message["lines"])

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = write


def _nodes() -> list[dict[str, Any]]:
    """Nodes that can run something."""
    import ray

    return [node for node in ray.nodes() if node["Alive"] and any(_size(node))]


def _size(node: dict[str, Any]) -> tuple[float, float]:
    """CPUs and GPUs of a node."""
    return node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0)


def task(
    needs: Needs, function: Callable[..., Any] | None, *arguments: Any, mailbox: Any = None, **options: Any
) -> Any:
    """Submit a task that calls *function* where a node has what it needs (see ``ray_task.on_node``)."""
    import ray
    from ray import cloudpickle

    from rsbench_ray import task as ray_task

    cloudpickle.register_pickle_by_value(ray_task)
    work = pickle.dumps((needs, function, arguments))
    return ray.remote(ray_task.on_node).options(**options).remote(__version__, work, mailbox)


def _ask_nodes(needs: Needs) -> list[str]:
    """Return what nodes lack, a sentence each."""
    import ray
    from ray.exceptions import RayError

    asked = []
    for node in _nodes():
        reference = task(needs, None, num_cpus=0, max_retries=0, scheduling_strategy=at(node["NodeID"]))
        asked.append((node["NodeManagerAddress"], reference))
    problems: list[str] = []
    for host, reference in asked:
        try:
            problems += ray.get(reference, timeout=CHECK_SECONDS)[1]
        except RayError as error:
            last = str(error).strip().splitlines()[-1]
            problems.append(f"Ray node {host} cannot run rsbench {__version__}; install it there ({last}).")
    return list(dict.fromkeys(problems))


def at(node: str, soft: bool = False) -> Any:
    """Return the strategy that schedules a task on the node of this id; if *soft*, elsewhere once it is gone."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=soft)
