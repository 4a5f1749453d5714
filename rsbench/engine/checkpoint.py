"""Checkpoints: weights as safetensors, and the whole training state to resume from, both written atomically."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

WEIGHTS: Final = "model.safetensors"
RESUME: Final = "resume.pt"


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Write parameters and buffers; return ``{path, sha256, bytes}`` with the path relative to its folder."""
    from safetensors.torch import save

    tensors = {k: v.detach().contiguous().cpu().clone() for k, v in model.state_dict().items()}
    data = save(tensors, metadata=dict(metadata))
    write_atomically(path, data)
    return {"path": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def write_atomically(path: Path, data: bytes) -> None:
    """Write *data* so that *path* holds all of it or what it held before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write a training state (tensors, numbers, lists and dicts) atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(dict(state), temporary)
    temporary.replace(path)


def load_state(path: Path) -> dict[str, Any] | None:
    """Return the state at *path*, or ``None`` where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, ValueError, OSError):
        return None


def random_state() -> dict[str, Any]:
    """State of torch's generators (dropout and the like)."""
    state: dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: Mapping[str, Any]) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
