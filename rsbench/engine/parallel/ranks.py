"""What the processes (ranks) of one run do together: share batches, gather rows, agree.

A global batch is cut into consecutive slices of images, one a rank.  Each rank computes the logits of its slice,
gathers those of all, and takes the loss of the whole batch.  So every loss over logits, weighted means and means over
words too, is that of one process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process, *number*, among *world* processes; one alone takes all and asks nobody.

    Where the network is *sharded*, each holds a slice of its parameters, and all have to call it equally often.
    """

    number: int = 0
    world: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this is the rank that prints and writes."""
        return self.number == 0

    def local_slice(self, total: int) -> slice:
        """Return this rank's consecutive part of *total* things."""
        return slice(self.number * total // self.world, (self.number + 1) * total // self.world)

    def sizes(self, total: int) -> list[int]:
        """Return how many of *total* things each rank has."""
        return [(n + 1) * total // self.world - n * total // self.world for n in range(self.world)]

    def broadcast_bool(self, value: bool) -> bool:
        """Return the first rank's answer, on all ranks."""
        return bool(self.broadcast_object(value)) if self.world > 1 else value

    def any(self, value: bool) -> bool:
        """Return whether the answer of some rank is yes, on all ranks."""
        return any(self.all_gather_object(value))

    def broadcast_object(self, value: Any) -> Any:
        """Return the first rank's value, on all ranks; it is pickled."""
        told = [value]
        if self.world > 1:
            dist.broadcast_object_list(told)
        return told[0]

    def all_gather_object(self, value: Any) -> list[Any]:
        """Return the values of all ranks, on all ranks; they are pickled."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value)
        return found

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the rows [n, ...] of all ranks, one rank's after another's; a rank without rows gives shape [0]."""
        if self.world == 1:
            return rows
        shapes = self.all_gather_object((len(rows), rows.shape[1:], rows.dtype))
        kind, inner = next((kind, inner) for count, inner, kind in shapes if count)
        return _gather(rows.reshape(len(rows), *inner).to(kind), [count for count, _, _ in shapes])


SINGLE_PROCESS = Ranks()


class SharedLoss(nn.Module):
    """A loss of the whole batch, taken by a rank that has a part of it.

    Args:
        loss: ``(logits [B, K], targets [B]) -> scalar``.
    """

    def __init__(self, loss: nn.Module, ranks: Ranks) -> None:
        super().__init__()
        self.loss, self.ranks = loss, ranks


class GlobalLoss(SharedLoss):
    """From the logits of this rank's slice, a row for each image."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss for logits [b, K] of this rank and targets [B] of the whole batch."""
        return self.loss(_Gathered.apply(logits, self.ranks.number, self.ranks.sizes(len(targets))), targets)


class GatheredLoss(SharedLoss):
    """From what this rank has, where the others do not know how much that is: words of sentences, questions about
    images."""

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss for logits [n, K] and targets [n] of this rank; the device is waited for."""
        count = torch.tensor([len(targets)], device=targets.device)
        sizes: list[int] = _gather(count, [1] * self.ranks.world).tolist()
        return self.loss(_Gathered.apply(logits, self.ranks.number, sizes), _gather(targets, sizes))


class _Gathered(torch.autograd.Function):
    """Logits of all ranks.  Gradients go to this rank's own, times the ranks, over which DDP and FSDP take the mean."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, number: int, sizes: list[int]) -> torch.Tensor:
        start = sum(sizes[:number])
        ctx.own, ctx.world = slice(start, start + sizes[number]), len(sizes)
        return _gather(logits, sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradients[0][ctx.own] * ctx.world, None, None


def _gather(rows: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Concatenate rows of all ranks; what pads the shorter ones on the way is cut off again."""
    most = max(sizes)
    sent = rows.new_zeros((most, *rows.shape[1:]))
    sent[: len(rows)] = rows
    received = [torch.empty_like(sent) for _ in sizes]
    dist.all_gather(received, sent)
    return torch.cat([part[:size] for part, size in zip(received, sizes, strict=True)])
