"""Which GPUs each of several runs at once on this machine sees.

Imports neither torch nor NumPy: the process that starts the runs never touches a device.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from typing import Final

from rsbench.engine.parallel import world
from rsbench.plan import RunPlan

VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
NAME: Final = re.compile(r"\d+|(GPU|MIG)-\S+")
LISTED: Final = re.compile(r"\(UUID: ((?:GPU|MIG)-[^)]+)\)")
LIST_SECONDS: Final = 30.0


def environment(plan: RunPlan, slot: int) -> dict[str, str]:
    """Return the environment variables that give the run in *slot* its own share of the GPUs, in turn.

    They are none where the plan names its device, where torchrun or SLURM shares the GPUs out, and where there are no
    more GPUs than one run takes.
    """
    if plan.device not in ("auto", "cuda") or world.detect_launcher() is not None:
        return {}
    gpus = visible_gpus()
    if len(gpus) <= plan.devices:
        return {}
    return {VISIBLE: ",".join(gpus[(slot * plan.devices + k) % len(gpus)] for k in range(plan.devices))}


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA names them; none where that is not known."""
    given = os.environ.get(VISIBLE)
    if given is None:
        return installed_gpus()
    names = [name.strip() for name in given.split(",")]
    return names if all(NAME.fullmatch(name) for name in names) else []


@cache
def installed_gpus() -> list[str]:
    """Return the UUIDs of NVIDIA's GPUs, or of the instances into which MIG cuts them."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=LIST_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found: list[str] = []
    for name in LISTED.findall(listed):
        if name.startswith("MIG-") and found and found[-1].startswith("GPU-"):
            found.pop()  # an instance comes after the GPU that it is a part of
        found.append(name)
    return found
