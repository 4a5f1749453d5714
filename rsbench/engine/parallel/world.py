"""Which ranks a run has, and which of them this process has to start.

By itself rsbench starts all ranks on this machine; torchrun or SLURM's srun has started one process for each rank, and
then each of these looks after its own.  Imports torch only where one of the two has left its signs.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from rsbench.errors import UserError
from rsbench.foreign import whole

ENV_MARKERS: Final = ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID")
LOCALHOST: Final = "127.0.0.1"
LOG: Final = "run.log"
FOLLOWER_LOG: Final = "rank{}.log"
# What tells launches apart: a SLURM job that is put back into the queue keeps its number.
KEY: Final = (
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "SLURM_JOB_ID",
    "SLURM_RESTART_COUNT",
    "SLURM_STEP_ID",
    "MASTER_PORT",
)


# Numbers of SLURM's steps from here on (0xfffffffb of the batch script, 0xfffffffa of an interactive shell) are of
# processes that srun did not start.
SPECIAL_STEPS: Final = 0xFFFFFFF0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchEnvironment:
    """This process among those that a launcher has started.

    rank: of *world*.  local: of *devices* on this node.  address: of the node of rank 0.  key: of this launch.
    """

    rank: int
    world: int
    local: int
    devices: int
    address: str
    key: str

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.world // self.devices


@dataclass(frozen=True, slots=True, kw_only=True)
class RankInfo:
    """The place of one rank: *rank* of *world*, *local* of *devices* on its node; all meet at *address* and *port*."""

    rank: int
    world: int
    local: int
    devices: int
    address: str
    port: int

    def describe(self, strategy: str) -> dict[str, Any]:
        """Return the record's ``env.ranks``."""
        nodes = self.world // self.devices
        return {"count": self.world, "nodes": nodes, "strategy": "ddp" if strategy == "auto" else strategy}

    def environment(self) -> dict[str, str]:
        """Return what Fabric's LightningEnvironment and torch read."""
        return {
            "MASTER_ADDR": self.address,
            "MASTER_PORT": str(self.port),
            "LOCAL_RANK": str(self.local),
            "NODE_RANK": str(self.rank // self.devices),
            "TORCHELASTIC_USE_AGENT_STORE": "False",  # torchrun's store lives longer than one run
        }


@cache
def detect_launcher() -> LaunchEnvironment | None:
    """Return this process's place among those of torchrun or srun, or ``None`` where there is no other.

    Raises:
        UserError: what the launcher says does not fit together.
    """
    if not any(sign in os.environ for sign in ENV_MARKERS) or _is_special_step():
        return None
    try:
        from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment  # reads ranks, too

        for kind in (TorchElasticEnvironment, SLURMEnvironment):
            if kind.detect():
                return _described(kind())
    except (RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"The environment that torchrun or SLURM has set cannot be used: {error}") from None
    return None


def _is_special_step() -> bool:
    step = os.environ.get("SLURM_STEP_ID", "")
    return "TORCHELASTIC_RUN_ID" not in os.environ and step.isdecimal() and int(step) >= SPECIAL_STEPS


def _described(environment: Any) -> LaunchEnvironment | None:
    """Return what Fabric's *environment* says; ``None`` for a single process."""
    world = environment.world_size()
    if world == 1:
        return None
    per_node = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or str(world)
    devices = int(per_node)
    if world % devices:
        raise UserError(f"{world} processes are not as many on each node; give each node {devices}.")
    rank, local = environment.global_rank(), environment.local_rank()
    if rank % devices != local:
        raise UserError(
            f"Rank {rank} of {world} is process {local} of its node, which has {devices}: number the ranks one node "
            "after another (srun --distribution=block)."
        )
    return LaunchEnvironment(
        rank=rank,
        world=world,
        local=local,
        devices=devices,
        address=environment.main_address,
        key="-".join(os.environ.get(word, "") for word in KEY).replace("/", "_"),
    )


def token() -> str:
    """Return a word that the processes of this launch share with no other; empty where the key is of one launch.

    torchrun's id is "none" and its port 29500 unless they are given, so its store, which ends with it, keeps a word.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return ""
    from torch.distributed import TCPStore

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    word: bytes = store.compare_set(f"rsbench/{attempt}", "", uuid.uuid4().hex)
    return word.decode()


def cores_of(place: RankInfo, usable: int) -> int:
    """Return how many of the *usable* cores of this process a rank has: its part of them, or what srun gave to it."""
    given = whole(os.environ.get("SLURM_CPUS_PER_TASK", ""))
    if given and detect_launcher() and "TORCHELASTIC_RUN_ID" not in os.environ:
        return min(usable, given)
    return max(1, usable // place.devices)


def is_nonzero_rank() -> bool:
    """Whether another process prints and writes: this one is a rank other than the first."""
    found = detect_launcher()
    return found is not None and found.rank > 0


def log_name(rank: int | None = None) -> str:
    """Return the name of the file for what *rank* prints; default: this process's own."""
    found = detect_launcher()
    number = rank if rank is not None else found.rank if found else 0
    return FOLLOWER_LOG.format(number) if number else LOG


def scale(devices: int, nodes: int) -> tuple[int, int]:
    """Return devices of a node and nodes: those asked for, or those for which a launcher has started processes.

    Raises:
        UserError: they are not the same, or several nodes are asked for and nothing has started processes on them.
    """
    found = detect_launcher()
    if found is None:
        if nodes > 1:
            raise UserError(
                f"--nodes {nodes} needs a process on each of them: start with torchrun --nnodes {nodes} or srun."
            )
        return devices, nodes
    if (devices, nodes) not in ((1, 1), (found.devices, found.nodes)):
        raise UserError(
            f"--devices {devices} --nodes {nodes} is not what was started: {found.devices} processes on each of "
            f"{found.nodes} node(s); leave both options out."
        )
    return found.devices, found.nodes


def places(plan: Mapping[str, Any]) -> list[RankInfo]:
    """Return the ranks that this process has to start for a plan's data; none where one process is the whole run."""
    world = plan["devices"] * plan["nodes"]
    if world == 1:
        return []
    common: dict[str, Any] = {"world": world, "devices": plan["devices"], "port": _free_port()}
    found = detect_launcher()
    if found is not None:
        return [RankInfo(rank=found.rank, local=found.local, address=found.address, **common)]
    return [RankInfo(rank=n, local=n, address=LOCALHOST, **common) for n in range(world)]


def _free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
