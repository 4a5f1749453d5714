"""Batches cut into micro-batches whose gradients add up to those of the whole.

Where a target is a tensor (one label an image), each part is judged among the targets of the whole batch, with constant
logits in the place of the other parts'.  So the sum is exact for every loss that is a sum over samples divided by what
targets alone decide: means, and means with class weights.  A loss in which samples meet one another is not such a sum.

Sentences and questions are cut with the images that they are about (by ``about`` of such targets), and each part counts
by its share of the words or the answers (their ``weight``).  That is exact for plain means over these; class weights,
and what a network adds in a ``training_loss`` of its own, are averaged over parts.

Nothing of this holds for what a network itself takes over a batch: BatchNorm in training sees one part at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.engine.input.loader import Batch, map_state
from rsbench.engine.tasks.base import Loss


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
    known = isinstance(batch, Batch) and (isinstance(batch.targets, torch.Tensor) or hasattr(batch.targets, "about"))
    return known and len(batch.index) > 1


def split_batch(batch: Batch, loss: Loss, parts: int) -> Iterator[MicroBatch]:
    """Yield *parts* slices of a batch; their sizes in images differ by one at most."""
    images = len(batch.index)
    for number in range(parts):
        first, last = number * images // parts, (number + 1) * images // parts
        part = slice_batch(batch, first, last)
        if isinstance(batch.targets, torch.Tensor):
            yield MicroBatch(part, FullBatchLoss(loss, batch.targets, first, last, parts), 1.0)
        else:
            yield MicroBatch(part, loss, part.targets.weight / batch.targets.weight)


def slice_batch(batch: Batch, first: int, last: int) -> Batch:
    """Return the images from number *first* to *last* - 1, with their targets; tensors are views where they can be."""
    images, targets = map_state(batch.images, lambda tensor: tensor[first:last]), batch.targets
    own = targets[first:last] if isinstance(targets, torch.Tensor) else targets.about(slice(first, last))
    return Batch(images, own, batch.index[first:last])


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
