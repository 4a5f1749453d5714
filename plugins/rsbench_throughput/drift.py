"""How far faster arithmetic moves the logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch

from rsbench.engine.input.loader import Batch
from rsbench_throughput.subject import Workload

SAMPLES: Final = 16


@torch.inference_mode()
def reference_logits(subject: Workload, batch: Batch) -> torch.Tensor:
    """Return logits in float32, on a GPU without TF32; to be called before the network is compiled."""
    with _full_precision():
        return subject.task.forward(subject.model, batch).clone()


def drift(logits: torch.Tensor, reference: torch.Tensor) -> dict[str, float]:
    """Return the largest absolute difference, and the largest absolute reference to set it against."""
    return {
        "max_abs": float((logits - reference).abs().max()),
        "reference_max_abs": float(reference.abs().max()),
    }


@contextmanager
def _full_precision() -> Iterator[None]:
    cudnn, matmul = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = cudnn
        torch.set_float32_matmul_precision(matmul)
