"""Batches cut into micro-batches whose gradients add up to those of the whole.

Where a target is a tensor (one label an image), each part is judged among the targets of the whole batch, with constant
logits in the place of the other parts'.  So the sum is exact for every loss that is a sum over samples divided by what
targets alone decide: means, and means with class weights.  A loss in which samples meet one another is not such a sum.

Sentences and questions are cut with the images that they are about, and each part counts by its share of the words or
the answers.  That is exact for plain means over these; class weights, and what a network adds in a ``training_loss`` of
its own, are averaged over parts.

Nothing of this holds for what a network itself takes over a batch: BatchNorm in training sees one part at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.engine.input.loader import Batch
from rsbench.engine.tasks.base import Loss
from rsbench.engine.tasks.beam_search import map_state
from rsbench.engine.tasks.vqa import VqaTargets
from rsbench.tasks.captioning import CaptionTargets
from rsbench.tasks.text import PAD


@dataclass(frozen=True)
class MicroBatch:
    """Consecutive images of a batch with their targets.

    Attributes:
        loss: to be used in place of the batch's.
        weight: of the value of this loss in that of the whole batch; a float, or a scalar tensor.
    """

    batch: Batch
    loss: Loss
    weight: Any


def can_split(batch: Any) -> bool:
    """Whether *batch* has several images, and targets that are known to belong to them one by one."""
    known = slice_targets.dispatch(type(getattr(batch, "targets", None))) is not slice_targets.dispatch(object)
    return isinstance(batch, Batch) and known and len(batch.index) > 1


def split_batch(batch: Batch, loss: Loss, parts: int) -> Iterator[MicroBatch]:
    """Yield *parts* slices of a batch; their sizes in images differ by one at most."""
    images = len(batch.index)
    for number in range(parts):
        first, last = number * images // parts, (number + 1) * images // parts
        part = slice_batch(batch, first, last)
        if isinstance(batch.targets, torch.Tensor):
            yield MicroBatch(part, FullBatchLoss(loss, batch.targets, first, last, parts), 1.0)
        else:
            yield MicroBatch(part, loss, _weight(part.targets) / _weight(batch.targets))


def slice_batch(batch: Batch, first: int, last: int) -> Batch:
    """Return the images from number *first* to *last* - 1, with their targets; tensors are views where they can be."""
    images = map_state(batch.images, lambda tensor: tensor[first:last])
    return Batch(images, slice_targets(batch.targets, first, last), batch.index[first:last])


class FullBatchLoss(nn.Module):
    """The part of a loss of a whole batch that the logits of some of its samples decide.

    Args:
        loss: ``(logits [B, K], targets [B]) -> scalar``.
        targets: [B], of the whole batch.
        first, last: which of them the logits belong to.
        parts: into how many the batch is cut; the values of all of them add up to the loss.
    """

    def __init__(self, loss: Loss, targets: torch.Tensor, first: int, last: int, parts: int) -> None:
        super().__init__()
        self.loss, self.targets, self.place, self.parts = loss, targets, (first, last), parts

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the scalar of logits [last - first, K]; the targets are known already."""
        del targets
        first, last = self.place
        around = F.pad(logits, (0, 0, first, len(self.targets) - last))
        constant = self.loss(torch.zeros_like(around), self.targets)
        return self.loss(around, self.targets) - constant * ((self.parts - 1) / self.parts)


@singledispatch
def slice_targets(targets: Any, first: int, last: int) -> Any:
    """Return the targets of the images from number *first* to *last* - 1; a task's own type is registered here."""
    raise TypeError(f"Targets of type {type(targets).__name__} cannot be cut.")


@slice_targets.register
def _(targets: torch.Tensor, first: int, last: int) -> torch.Tensor:
    return targets[first:last]


@slice_targets.register
def _(targets: CaptionTargets, first: int, last: int) -> CaptionTargets:
    each = targets.sentences
    labels = None if targets.labels is None else targets.labels[first:last]
    return CaptionTargets(targets.tokens[first * each : last * each], labels, each)


@slice_targets.register
def _(targets: VqaTargets, first: int, last: int) -> VqaTargets:
    return targets.about(slice(first, last))


def _weight(targets: Any) -> Any:
    """What a plain mean over these targets divides by: words of sentences that follow another, or answers."""
    return (targets.tokens[:, 1:] != PAD).sum() if isinstance(targets, CaptionTargets) else len(targets)
