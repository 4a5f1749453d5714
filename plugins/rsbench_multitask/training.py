"""Training of several tasks at once: each step takes one batch of each and one sum of losses.

The members are the model's networks for each task, with the submodules that its spec names in common.
L = sum_t lambda_t L_t over the tasks t (SpatialNet-ViT, eq. 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.tasks.base import Loss, TrainingTask
from rsbench.errors import RunError


class MultitaskNetwork(nn.Module):
    """Networks of several tasks; a parameter that they share is there once."""

    def __init__(self, members: Sequence[nn.Module], shared: Sequence[str], model: str) -> None:
        super().__init__()
        for part in shared:
            _share(members, part, model)
        self.members = nn.ModuleList(members)

    def forward(self, loss: Callable[[nn.ModuleList], torch.Tensor]) -> torch.Tensor:
        """Return ``loss(members)``: a step passes here as a whole, which data-parallel wrappers need."""
        return loss(self.members)

    def log_values(self) -> dict[str, float]:
        """What the members note of themselves, by their number."""
        return {
            f"{k}/{name}": value
            for k, member in enumerate(self.members)
            if callable(getattr(member, "log_values", None))
            for name, value in member.log_values().items()  # type: ignore[operator]
        }


def _share(members: Sequence[nn.Module], part: str, model: str) -> None:
    """Give all members the *part* of the first."""
    first = getattr(members[0], part)
    shapes = {k: v.shape for k, v in first.state_dict().items()}
    for member in members[1:]:
        own = {k: v.shape for k, v in getattr(member, part).state_dict().items()}
        odd = [k for k in shapes.keys() | own.keys() if shapes.get(k) != own.get(k)]
        if odd:
            raise RunError(
                f"The tasks cannot share the {part} of '{model}': {min(odd)} is {_size(shapes, odd)} for one and "
                f"{_size(own, odd)} for another; choose one input size (--option input_size=...) and as many bands.",
                "build",
            )
        setattr(member, part, first)


def _size(shapes: Mapping[str, torch.Size], odd: Sequence[str]) -> str:
    shape = shapes.get(min(odd))
    return "absent" if shape is None else "x".join(map(str, shape))


@dataclass
class JointBatch:
    """One batch of each task."""

    batches: list[Batch]

    def __len__(self) -> int:
        """Samples of all tasks."""
        return sum(map(len, self.batches))


class JointLoader:
    """Streams of several loaders side by side, each beginning its next pass when one has ended.

    Where a stream stands depends on the number of the step alone, so that a resumed run goes on exactly.
    """

    def __init__(self, loaders: Sequence[ArrayLoader], steps: int) -> None:
        self.loaders, self.steps = loaders, steps
        self.device = loaders[0].device

    def __len__(self) -> int:
        """Steps of an epoch."""
        return self.steps

    @property
    def batch_samples(self) -> float:
        """Samples of a step, on average."""
        return sum(loader.batch_samples for loader in self.loaders)

    def training_epoch(self, epoch: int, start: int = 0) -> Iterator[JointBatch]:
        """Yield the batches of *epoch* from step *start* on."""
        first = epoch * self.steps + start
        streams = [_stream(loader, first) for loader in self.loaders]
        for _ in range(start, self.steps):
            yield JointBatch([next(stream) for stream in streams])


def _stream(loader: ArrayLoader, first: int) -> Iterator[Batch]:
    """Yield batches without end, from number *first* on."""
    turn, step = divmod(first, len(loader))
    while True:
        yield from loader.training_epoch(turn, step)
        turn, step = turn + 1, 0


class JointTask:
    """The tasks of all members as one.

    Args:
        names, tasks, losses, weights: of each member, in one order.
    """

    def __init__(
        self, names: Sequence[str], tasks: Sequence[TrainingTask], losses: Sequence[Loss], weights: Sequence[float]
    ) -> None:
        self.names, self.tasks, self.losses, self.weights = names, tasks, losses, weights
        self._sums: list[torch.Tensor] = []
        self._steps = 0

    def loss(self, model: Any, batch: JointBatch, loss: Any) -> torch.Tensor:
        """Return the weighted sum of the members' losses."""
        del loss
        return model(partial(self._sum, batch.batches))

    def _sum(self, batches: Sequence[Batch], members: nn.ModuleList) -> torch.Tensor:
        each = [
            task.loss(member, batch, loss)
            for task, member, batch, loss in zip(self.tasks, members, batches, self.losses, strict=True)
        ]
        noted = [value.detach().double() for value in each]
        self._sums = [a + b for a, b in zip(self._sums, noted, strict=True)] if self._sums else noted
        self._steps += 1
        return torch.stack([w * value for w, value in zip(self.weights, each, strict=True)]).sum()

    def logs(self) -> dict[str, float]:
        """Mean training loss of each member since the last call."""
        means = {f"{n}/train_loss": float(s) / self._steps for n, s in zip(self.names, self._sums, strict=False)}
        self._sums, self._steps = [], 0
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return the losses of the epoch under way."""
        return {"sums": self._sums, "rounds": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the losses of an epoch."""
        self._sums, self._steps = list(state.get("sums", [])), state.get("rounds", 0)

    def validate(self, model: Any, loader: Sequence[ArrayLoader | None], fabric: Any) -> dict[str, float]:
        """Return each member's losses and scores, under its name; members without a validation split have none."""
        return {
            f"{name}/{key}": value
            for name, task, member, own in zip(self.names, self.tasks, model.members, loader, strict=True)
            if own is not None
            for key, value in task.validate(member, own, fabric).items()
        }


def own_curve(curve: Sequence[Mapping[str, Any]], name: str, number: int) -> list[dict[str, Any]]:
    """Return a learning curve of all as member *name*, the *number*-th, sees it; the sum is ``family_loss``."""
    own = []
    for logs in curve:
        entry = {k: v for k, v in logs.items() if "/" not in k}
        entry["family_loss"] = entry.pop("train_loss")
        for prefix in (f"{name}/", f"{number}/"):
            entry |= {k.removeprefix(prefix): v for k, v in logs.items() if k.startswith(prefix)}
        own.append(entry)
    return own
