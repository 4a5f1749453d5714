"""Checkpoints: weights as safetensors, with what one must know to use them; and the state of random generators."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from rsbench import __version__
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.tasks.base import TrainingTask
from rsbench.files import write_atomically
from rsbench.records.store import WEIGHTS as WEIGHTS

CONTEXT: Final = "context"  # in the metadata: what a factory is told and the others do not say
TOLD: Final = ("units", "class_counts", "max_length", "question_types", "outputs")


def describe(task: TrainingTask, norm: Normalization) -> dict[str, str]:
    """Return what one must know to use the weights elsewhere, as the metadata of a safetensors file.

    All values are text, those that are not text themselves as JSON.  ``normalization`` holds its name and, in units of
    the stored images, the mean and standard deviation of each band that were subtracted and divided by.
    """
    plan, data, context = task.plan, task.data, task.model_context()
    shown = plan.public_dict()
    model, protocol, dataset = shown["model"], shown["protocol"], shown["dataset"]
    facts: dict[str, Any] = {
        "format": "pt",
        "rsbench": __version__,
        "run_id": plan.run_id,
        "task": plan.task,
        "model": model["name"],
        "model_version": model["version"],
        "factory": model["factory"],
        "source_sha256": model["source_sha256"],
        "options": model["options"],
        "dataset": dataset["name"],
        "dataset_fingerprint": dataset["fingerprint"],
        "protocol": protocol["name"],
        "fingerprint": protocol["fingerprint"],
        "classes": context.classes,
        "vocabulary": context.vocabulary,
        "bands": [dataset["bands"][band] for band in data.bands],
        "unit": dataset["units"][data.bands[0]],
        "input_size": context.size,
        "normalization": {"name": model["accepts"]["normalisation"], "mean": norm.mean, "std": norm.std},
        CONTEXT: {name: getattr(context, name) for name in TOLD},
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def save(state: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Write parameters and buffers; return ``{path, sha256, bytes}`` with the path relative to its folder.

    The same weights and metadata give the same bytes.
    """
    from safetensors.torch import save as bytes_of

    tensors = {k: v.detach().contiguous().cpu().clone() for k, v in state.items()}
    data = _in_order(bytes_of(tensors, metadata=dict(metadata)))
    write_atomically(path, data)
    return {"path": path.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _in_order(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which the library writes in another order each time."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
