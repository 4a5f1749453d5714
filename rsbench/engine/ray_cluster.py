"""The Ray cluster that runs are sent to, and whether its nodes can take them."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rsbench import __version__
from rsbench.errors import UserError, UserErrors
from rsbench.plan import RunPlan

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

    address: ``auto``, HOST:PORT, or ``None``: that of RAY_ADDRESS, or else Ray is started here.  Where the process is
    connected already, that connection is used and kept.

    Raises:
        UserError: no cluster answers there.
    """

    def __init__(self, address: str | None) -> None:
        import ray

        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(address)

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
        problems += _unseen(plans)
        if problems:
            raise UserErrors(problems)


def _connect(address: str | None) -> None:
    import logging

    import ray

    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        for name, value in LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises bare ones too
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(f"The Ray cluster at '{address}' cannot be used: {first}. Is it up? See: ray status.") from None


def _nodes() -> list[dict[str, Any]]:
    """Nodes that can run something."""
    import ray

    return [node for node in ray.nodes() if node["Alive"] and any(_size(node))]


def _size(node: dict[str, Any]) -> tuple[float, float]:
    """CPUs and GPUs of a node."""
    return node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0)


def _unseen(plans: Sequence[RunPlan]) -> list[str]:
    """Ask each node whether it sees a fresh file in the folders of the records, and the stores of the data."""
    places = Places(
        outs=tuple(sorted({plan.out for plan in plans})),
        stores=tuple(sorted({plan.dataset["store"] for plan in plans})),
        token=f".ray-{uuid.uuid4().hex}",
        folder=os.getcwd(),
        version=__version__,
    )
    tokens = [Path(out) / places.token for out in places.outs]
    for token in tokens:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
    try:
        return _ask_nodes(places)
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


def _ask_nodes(places: Places) -> list[str]:
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = []
    for node in _nodes():
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        asked.append((node["NodeManagerAddress"], task.remote(places)))
    problems: list[str] = []
    for host, reference in asked:
        try:
            problems += ray.get(reference, timeout=CHECK_SECONDS)
        except RayError as error:
            last = str(error).strip().splitlines()[-1]
            problems.append(f"Ray node {host} cannot run rsbench {__version__}; install it there ({last}).")
    return list(dict.fromkeys(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What a node has to see: folders of records, with a file named *token* in each, and stores of data.

    folder: the working directory that relative paths start from.  version: that of rsbench where the command was given.
    """

    outs: tuple[str, ...]
    stores: tuple[str, ...]
    token: str
    folder: str
    version: str


def look(places: Places) -> list[str]:
    """Return what this node lacks, a sentence each; the body of a Ray task."""
    with suppress(OSError):  # absolute paths do not need it
        os.chdir(places.folder)
    host = socket.gethostname()
    shared = "on a file system that all nodes share"
    problems = []
    if places.version != __version__:
        problems.append(
            f"Ray node {host} has rsbench {__version__}, not {places.version}; install the same version there."
        )
    for out in map(Path, places.outs):
        if not (out / places.token).is_file():
            problems.append(f"Ray node {host} does not see the folder '{out}'; choose an --out {shared}.")
        elif not os.access(out, os.W_OK):
            problems.append(f"Ray node {host} may not write to the folder '{out}'; choose another --out.")
    for store in places.stores:
        if not os.path.isdir(store):
            problems.append(f"Ray node {host} does not see the data '{store}'; choose a --data-root {shared}.")
    return problems
