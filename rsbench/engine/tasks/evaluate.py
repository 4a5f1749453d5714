"""Evaluation: every sample exactly once, in order, as float64 probabilities."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch, map_state
from rsbench.engine.memory import is_out_of_memory, release


@dataclass(frozen=True)
class Evaluation:
    """Outputs on one split.

    Attributes:
        logits: float32 [N, K].
        targets: int64 [N].
        index: int64 [N], sample numbers in the store.
        seconds: wall time of the whole pass.
    """

    logits: np.ndarray
    targets: np.ndarray
    index: np.ndarray
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of samples whose arg-max is the target."""
        return float((self.logits.argmax(1) == self.targets).mean())

    @property
    def loss(self) -> float:
        """Mean negative log-likelihood in nats, computed in float64."""
        log_p = log_softmax(self.logits)
        return float(-log_p[np.arange(len(self.targets)), self.targets].mean())

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax float64 [N, K]."""
        return np.exp(log_softmax(self.logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-softmax over the last axis in float64."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@torch.inference_mode()
def evaluate(model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluation:
    """Run *model* over *loader* once; leaves the model in the mode it was in.

    Of several ranks each takes its part of the samples, and all return the whole.  Where memory runs out, fewer images
    go through the network at once, which changes no number.
    """
    training = model.training
    model.eval()
    logits, targets, index = [], [], []
    begin, most = time.perf_counter(), loader.batch
    for batch in loader.in_order():
        rows, most = _logits(model, batch, loader, fabric, most)
        logits.append(rows)
        targets.append(batch.targets)
        index.append(batch.index)
    for batch in loader.padding_batches():
        with fabric.autocast():
            model(batch.images)
    result = Evaluation(
        logits=of_all(loader, logits).cpu().numpy(),
        targets=of_all(loader, targets).cpu().numpy(),
        index=np.concatenate([part for parts in loader.ranks.all_gather_object(index) for part in parts]),
        seconds=time.perf_counter() - begin,
    )
    model.train(training)
    return result


def _logits(model: nn.Module, batch: Batch, loader: ArrayLoader, fabric: Any, most: int) -> tuple[torch.Tensor, int]:
    """Return logits float32 [B, K], taken of at most so many images at once, and for how many memory had room."""
    images = len(batch.index)
    try:
        with fabric.autocast():
            parts = [model(_between(batch.images, k, k + most)).float() for k in range(0, images, most)]
        return torch.cat(parts), most
    except Exception as error:
        # Ranks that hold slices of the network have to call it equally often.
        if loader.ranks.sharded or min(most, images) == 1 or not is_out_of_memory(error):
            raise
    release(loader.device)
    return _logits(model, batch, loader, fabric, -(-min(most, images) // 2))


def _between(images: Any, first: int, last: int) -> Any:
    """Return some of the images, or of the features that stand for them."""
    return map_state(images, lambda tensor: tensor[first:last])


def of_all(loader: ArrayLoader, parts: list[torch.Tensor]) -> torch.Tensor:
    """Concatenate the parts of all ranks, [n, ...]; there may be none of this one, where samples are fewer than
    ranks."""
    return loader.ranks.gather(torch.cat(parts) if parts else torch.empty(0, device=loader.device))
