"""What is checked before the first step, without a trace in the model: shapes, values, units, loss and gradients.

A model of the wrong shape stops here with one sentence instead of producing a row on a leaderboard.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.memory import is_out_of_memory
from rsbench.engine.step.snapshot import Snapshot
from rsbench.engine.tasks.base import Loss, TrainingTask
from rsbench.errors import RunError, first_of

# A freshly initialized classifier predicts nearly uniformly; pretrained ones may start higher.
LOSS_FACTOR: Final = 3.0
# Normalized images lie within a few standard deviations; more means a wrong unit.
PLAUSIBLE_MEAN: Final = 6.0
GRADIENTS: Final = "preflight:gradients"


def run(
    task: TrainingTask, model: nn.Module, batch: Batch, loss: Loss, fabric: Any, *, sharded: bool = False
) -> tuple[list[dict[str, Any]], float]:
    """Check *model* on one training batch and return the record's checks and the loss at the start.

    Args:
        task: of the batch.
        model: on the device of the batch; left as it is.
        batch: of training.
        loss: ``(logits [B, K], targets [B]) -> scalar``.
        fabric: has ``autocast``.
        sharded: no rank holds the whole network, so that it is too large to copy.

    Raises:
        RunError: wrong shape, values that are not finite, or images whose values cannot be of the declared unit.
    """
    random = torch.random.fork_rng(devices=[batch.images.device] if batch.images.is_cuda else [])
    with random, _restored(model) if sharded else _copied(model) as trial:
        check_values(batch.images, normalized=task.plan.model["accepts"]["normalisation"] != "none")
        with fabric.autocast():
            task.check_logits(forward(task, trial, batch), task.expected_shape(batch))
            start = task.loss(trial, batch, loss)
        _check_loss(task.name, start)
        start.backward()
        gradients = gradient_check(trial)
    value = float(start.detach())
    expected = task.start_loss()
    checks = [] if expected is None else [loss_check(value, expected)]
    return [*checks, gradients], value


def check_last_batch(task: TrainingTask, model: nn.Module, train: ArrayLoader, fabric: Any) -> None:
    """Try a last batch of one image before an epoch is spent: BatchNorm refuses it where a channel has one value.

    Args:
        task: of the batch.
        model: left as it is.
        train: loader of the training split.
        fabric: has ``autocast``.

    Raises:
        RunError: the model fails on it.
    """
    if train.short != 1:
        return
    batch = next(train.training_epoch(0, len(train) - 1))
    random = torch.random.fork_rng(devices=[batch.images.device] if batch.images.is_cuda else [])
    try:
        with random, _copied(model) as trial, fabric.autocast():
            forward(task, trial, batch)
    except RunError as error:
        raise RunError(
            f"{error} The last batch of an epoch holds this one image: leave it out (--set drop_last=true) or choose "
            "another batch (--set batch=...).",
            "preflight",
        ) from error


@contextmanager
def _copied(model: nn.Module) -> Iterator[nn.Module]:
    yield copy.deepcopy(model).train()


@contextmanager
def _restored(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the model itself, in training mode, and bring it back to what it was."""
    before, training = Snapshot(model, whole=True), model.training
    yield model.train()
    model.train(training)
    before.restore()


def forward(task: TrainingTask, model: nn.Module, batch: Batch) -> torch.Tensor:
    """Call the model and turn whatever it raises, but for a lack of memory, into a RunError that names it."""
    try:
        return task.forward(model, batch)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        shape = list(batch.images.shape)
        raise RunError(
            f"Model '{task.name}' failed on images {shape}: {type(error).__name__}: {error}", "preflight"
        ) from error


def check_values(images: torch.Tensor, normalized: bool = True) -> None:
    """Raise when images are not finite or, once *normalized*, of another unit than declared."""
    if not torch.isfinite(images).all():
        raise RunError("The images hold values that are not finite after normalization.", "preflight")
    if not normalized:
        return
    mean, std = float(images.mean()), float(images.std())
    if abs(mean) > PLAUSIBLE_MEAN or (std == 0 and images.shape[-1] > 1):  # a single pixel stands for no image
        raise RunError(
            f"Normalized images have mean {mean:.3g} and standard deviation {std:.3g}: the stored unit is not the one "
            "that the model's normalization is made for.",
            "preflight",
        )


def loss_check(value: float, expected: float) -> dict[str, Any]:
    """Whether the loss at the start is near that of a uniform guess, ln K."""
    ok = value < LOSS_FACTOR * expected
    return {"name": "preflight:initial-loss", "ok": ok, "detail": f"{value:.4f} at start, ln K = {expected:.4f}"}


def gradient_check(model: nn.Module) -> dict[str, Any]:
    """Whether a finite gradient reaches every trainable parameter."""
    missing = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not _is_finite(p.grad))]
    shown = first_of(missing, 5)
    detail = f"no finite gradient reaches {shown}" if missing else "reach every trainable parameter"
    return {"name": GRADIENTS, "ok": not missing, "detail": detail}


def _is_finite(gradient: torch.Tensor) -> bool:
    found = torch.isfinite(gradient).all()
    return bool(found.full_tensor() if hasattr(found, "full_tensor") else found)  # of slices, by all ranks


def _check_loss(name: str, value: Any) -> None:
    """Raise unless *value* is one finite number that gradients are taken of."""
    if not isinstance(value, torch.Tensor) or value.ndim or not torch.isfinite(value):
        raise RunError(
            f"The loss of '{name}' on its first batch is {_short(value)}, not one finite number.", "preflight"
        )
    if not value.requires_grad:
        raise RunError(f"The loss of '{name}' has no gradient: it does not come of what the model gave.", "preflight")


def _short(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return str(value.item()) if value.numel() == 1 else f"a tensor {list(value.shape)}"
