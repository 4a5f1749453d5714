"""What a run on several devices asks of its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STRATEGIES: Final = ("auto", "ddp")
TASKS: Final = ("classification",)  # whose losses are over logits of single samples


def problems(
    *, devices: int, nodes: int, strategy: str, device: str, task: str, recipe: Mapping[str, Any], samples: int
) -> list[str]:
    """Return what stands against a run of *task* on *nodes* times *devices*, trained on *samples* samples."""
    found = []
    if strategy not in STRATEGIES:
        found.append(f"Strategy '{strategy}' is not one of {', '.join(STRATEGIES)}.")
    world = devices * nodes
    if world == 1:
        return found
    if task not in TASKS:
        found.append(f"A run of {task} takes one device: leave --devices and --nodes out; --parallel runs several.")
    if ":" in device:
        found.append(f"--device {device} names one device; for {world} give --device {device.partition(':')[0]}.")
    batch = min(int(recipe.get("batch", world)), samples)
    if batch < world:
        found.append(f"A batch of {batch} cannot be shared by {world} devices: use fewer, or a larger batch.")
    return found
