"""Features of every image of a dataset, computed once and kept below the data root for all runs that want the same.

The same are: the tensors of the network but for its classifier, its code and options, the data, bands, size and
normalization, pooling, layers and flips, precision, kind of device, and the libraries.  Files are named by the hash of
these; ``NAME.json`` beside ``NAME.npy`` says what they were, with the digest of the array, which is held against it
whenever it is opened.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import torch
from filelock import FileLock
from torch import nn

from rsbench import reading
from rsbench.engine.input.loader import Labels
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.run import preflight
from rsbench.engine.run.report import Machine
from rsbench.engine.tasks.base import TrainingTask
from rsbench.errors import RunError
from rsbench.files import regular, write_atomically
from rsbench.plan import digest
from rsbench_probes.features import Features

FOLDER: Final = "embeddings"  # below the data root
LIBRARIES: Final = ("torch", "timm", "torchvision")
BATCH: Final = {"cpu": 64, "cuda": 512}


@dataclass(frozen=True)
class Embeddings:
    """Features of all images of a prepared dataset.

    Attributes:
        values: float32 [N, D], mapped from the file.
        path: of the file.
        sha256: of the values.
        seconds: that it took to compute them, now or when that was.
        reused: they were there.
        damaged: they were there, but not as they had been written.
    """

    values: np.ndarray
    path: Path
    sha256: str
    seconds: float
    reused: bool
    damaged: bool


def embeddings(
    task: TrainingTask,
    features: Features,
    norm: Normalization,
    machine: Machine,
    fabric: Any,
    check: Callable[[], None] = lambda: None,
) -> Embeddings:
    """Return the features of every image of the task's dataset, from the file where there is one.

    Args:
        task: whose dataset, bands and size they are of.
        features: what computes them.
        norm: of the images, in stored units.
        machine: whose device computes them.
        fabric: has ``autocast``.
        check: called between batches; what it raises ends the work.

    Raises:
        RunError: values are not finite.
    """
    facts = _facts(task, features, norm, machine)
    words = (task.plan.dataset["name"], task.plan.model["name"], digest(facts)[:16])
    path = Path(task.plan.data_root) / FOLDER / ("-".join(word.replace(":", "-") for word in words) + ".npy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.stem}.lock")):
        damaged = path.exists()
        if damaged and (found := _opened(path)) is not None:
            return found
        begin = time.perf_counter()
        batches = _computed(task, features, norm, machine, fabric, check)
        sha256 = _write(path, batches, len(task.data.store.images))
        note = {**facts, "sha256": sha256, "seconds": time.perf_counter() - begin}
        write_atomically(path.with_suffix(".json"), json.dumps(note, indent=1))
    return Embeddings(np.load(path, mmap_mode="r"), path, sha256, note["seconds"], reused=False, damaged=damaged)


def _opened(path: Path) -> Embeddings | None:
    """Return what is at *path* if it is what was written there."""
    note = reading.kept(path.with_suffix(".json"))
    try:
        values = np.load(regular(path), mmap_mode="r")
        sha256 = hashlib.sha256(values.data).hexdigest()
        if note["sha256"] != sha256:
            return None
        return Embeddings(values, path, sha256, float(note["seconds"]), reused=True, damaged=False)
    except (OSError, ValueError, EOFError, TypeError, LookupError):
        return None


def _computed(
    task: TrainingTask,
    features: Features,
    norm: Normalization,
    machine: Machine,
    fabric: Any,
    check: Callable[[], None],
) -> Iterator[np.ndarray]:
    """Yield the features of the dataset's images in order, float32 [B, D]."""
    every, device = np.arange(len(task.data.store.images)), machine.device
    batch = BATCH.get(device.type, BATCH["cpu"])
    for number, found in enumerate(
        task.loader(every, Labels(every), every, device, norm, batch=batch, training=False).in_order()
    ):
        check()
        if number == 0:
            preflight.check_values(found.images, normalized=task.plan.model["accepts"]["normalisation"] != "none")
        with torch.inference_mode(), fabric.autocast():
            values = features(found.images).float()
        if not torch.isfinite(values).all():
            raise RunError(f"Model '{task.name}' gives features that are not finite.", "encode")
        yield values.cpu().numpy()


def _write(path: Path, batches: Iterator[np.ndarray], images: int) -> str:
    """Write an array of so many rows as its batches come; return the digest of its values."""
    sha = hashlib.sha256()

    def content(stream: IO[bytes]) -> None:
        for number, batch in enumerate(batches):
            if number == 0:
                header = {"descr": "<f4", "fortran_order": False, "shape": (images, batch.shape[1])}
                np.lib.format.write_array_header_1_0(stream, header)
            block = np.ascontiguousarray(batch, "<f4")
            sha.update(block.data)
            stream.write(block.data)

    write_atomically(path, content, durable=False)
    return sha.hexdigest()


def _facts(task: TrainingTask, features: Features, norm: Normalization, machine: Machine) -> dict[str, Any]:
    """What the features depend on."""
    plan = task.plan
    model = {k: plan.model[k] for k in ("name", "version", "source_sha256", "distribution", "distribution_version")}
    return {
        "model": model | {"options": {k: v for k, v in plan.model["options"].items() if k != "weights"}},
        "tensors": tensors_sha256(features.network, features.classifier),
        "dataset": {k: plan.dataset[k] for k in ("name", "fingerprint")},
        "bands": task.data.bands,
        "size": task.data.size,
        "normalization": {"mean": list(norm.mean), "std": list(norm.std)},
        "pooling": features.pooling,
        "layers": features.names,
        "flips": features.flips,
        "precision": machine.precision,
        "device": machine.device.type,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def tensors_sha256(network: nn.Module, classifier: str | None) -> str:
    """Return a hash of parameters and buffers, those that are not saved among them, but for those of the classifier,
    which are random before it is fitted."""
    sha = hashlib.sha256()
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if classifier is None or not name.startswith(f"{classifier}."):
            held = tensor.detach().cpu().contiguous()
            sha.update(f"{name} {held.dtype} {list(held.shape)}\0".encode())
            sha.update(held.flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()
