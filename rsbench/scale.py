"""What a run on several devices asks of its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rsbench.execution import STRATEGIES
from rsbench.specs import TaskSpec

SLICED_STEPS: Final = ("sgd", "adam", "adamw")  # optimizers that look at each number of a parameter by itself


def problems(
    *, devices: int, nodes: int, strategy: str, device: str, task: TaskSpec, recipe: Mapping[str, Any], samples: int
) -> list[str]:
    """Return what stands against a run of *task* on *nodes* times *devices*, trained on *samples* samples.

    Args:
        devices, nodes: of each node, and how many of these.
        strategy: one of :data:`rsbench.execution.STRATEGIES`.
        device: as it was asked for, such as ``cuda:1``.
        task: says which strategies it can take.
        recipe: resolved; its ``batch`` is that of all devices together.
        samples: of the training split.
    """
    found = []
    if strategy not in STRATEGIES:
        found.append(f"Strategy '{strategy}' is not one of {', '.join(STRATEGIES)}.")
    world = devices * nodes
    if world == 1:
        return found
    if ":" in device:
        found.append(f"--device {device} names one device; for {world} give --device {device.partition(':')[0]}.")
    batch = min(int(recipe.get("batch", world)), samples)
    if batch < world:
        found.append(f"A batch of {batch} cannot be shared by {world} devices: use fewer, or a larger batch.")
    return found + (_unsliceable(task, recipe) if strategy == "fsdp" else [])


def _unsliceable(task: TaskSpec, recipe: Mapping[str, Any]) -> list[str]:
    """Return what stands against a run whose network is in slices, one a device."""
    found = []
    if "fsdp" not in task.strategies:
        found.append(f"--strategy fsdp is not for {task.name}; share a run of it by --strategy ddp.")
    if recipe.get("ema"):
        found.append("--strategy fsdp keeps no moving average of weights: use --set ema=null or --strategy ddp.")
    if recipe.get("precision") == "fp16":
        found.append("--strategy fsdp does not scale gradients of fp16: use --precision bf16 or --strategy ddp.")
    phases = (recipe, *(phase["overrides"] for phase in recipe.get("phases") or ()))
    for name in sorted({str(phase.get("optimizer", "sgd")).lower() for phase in phases} - set(SLICED_STEPS)):
        found.append(f"--strategy fsdp takes {', '.join(SLICED_STEPS)}, not '{name}', which needs whole parameters.")
    return found
