"""Optimizers and learning-rate schedules of a recipe, from timm and torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from torch import nn
from torch.optim import lr_scheduler

from rsbench.errors import RunError, UserError, did_you_mean
from rsbench.registry import registry
from rsbench.specs import load_attribute

SCHEDULES: Final = ("constant", "cosine", "linear", "onecycle", "cosine_restarts", "plateau")


def parameter_groups(model: nn.Module, weight_decay: float, no_decay: Iterable[str]) -> list[dict[str, Any]]:
    """Split trainable parameters into decayed and exempt ones.

    Exempt are those whose name matches a pattern of *no_decay* (``"norm_and_bias"``: all one-dimensional ones) and
    those that the model itself names in ``no_weight_decay()``.
    """
    patterns = [p for p in no_decay if p != "norm_and_bias"]
    flat = "norm_and_bias" in tuple(no_decay)
    named = getattr(model, "no_weight_decay", None)
    own: set[str] = set(named()) if callable(named) else set()
    decayed: list[nn.Parameter] = []
    exempt: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        free = name in own or (flat and parameter.ndim <= 1) or any(re.search(p, name) for p in patterns)
        (exempt if free else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    return [g for g in groups if g["params"]]


def make_optimizer(model: nn.Module, recipe: Mapping[str, Any]) -> torch.optim.Optimizer:
    """Return the recipe's optimizer: torch's own (fused where it can be) for the common names, that of a plugin, or
    timm's.

    Raises:
        UserError: nobody knows the name, or an option is not one of the optimizer's.
        RunError: the factory of a plugin returned something else.
    """
    groups = parameter_groups(model, recipe["weight_decay"], recipe["no_decay"])
    options: dict[str, Any] = {"lr": recipe["lr"], **recipe["optimizer_options"]}
    # A fused step divides by the scale of fp16's loss itself; Fabric does not clip gradients that are still scaled.
    fused = not (recipe.get("precision") == "fp16" and recipe.get("clip_grad"))
    common = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    name = recipe["optimizer"].lower()
    try:
        if name in common:
            return common[name](groups, fused=fused, **options)
        if spec := registry().find("optimizer", name):
            made = load_attribute(spec.factory)(groups, **options)
            if not isinstance(made, torch.optim.Optimizer):
                found = type(made).__name__
                raise RunError(f"The factory of optimizer '{name}' returned {found}, not an optimizer.", "train")
            return made
        from timm.optim import create_optimizer_v2, list_optimizers

        known = [*common, *registry().names("optimizer"), *(str(n) for n in list_optimizers())]
        if name not in known:
            raise UserError(f"'{name}' is not an optimizer.{did_you_mean(name, known)}")
        return create_optimizer_v2(groups, opt=name, weight_decay=recipe["weight_decay"], **options)
    except TypeError as error:
        raise UserError(f"Optimizer '{name}' does not take these options: {error}.") from None


class Schedule:
    """A learning-rate schedule stepped once per batch, and once per epoch with the validation loss.

    Args:
        optimizer: whose learning rates it sets; those that it has are the largest.
        recipe: fields ``schedule``, ``schedule_options``, ``warmup`` (epochs).
        epochs, steps_per_epoch: length of the phase.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any], epochs: int, steps_per_epoch: int
    ) -> None:
        name, options = recipe["schedule"], dict(recipe["schedule_options"])
        if name not in SCHEDULES:
            raise UserError(
                f"'{name}' is not a schedule.{did_you_mean(name, SCHEDULES)} Known: {', '.join(SCHEDULES)}."
            )
        self.optimizer = optimizer
        self.plateau: lr_scheduler.ReduceLROnPlateau | None = None
        self.per_step: lr_scheduler.LambdaLR | None = None
        if name == "plateau":
            self.plateau = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        else:
            factor = _Factor(name, options, epochs, steps_per_epoch, recipe["warmup"])
            self.per_step = lr_scheduler.LambdaLR(optimizer, factor)

    def step(self) -> None:
        """Call after each optimizer step."""
        if self.per_step is not None:
            self.per_step.step()

    def epoch_end(self, loss: float) -> None:
        """Call after each epoch with the loss that a plateau is judged by."""
        if self.plateau is not None:
            self.plateau.step(loss)

    @property
    def lr(self) -> float:
        """The current learning rate of the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """State to resume from."""
        inner = self.per_step or self.plateau
        assert inner is not None
        return dict(inner.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state_dict`."""
        inner = self.per_step or self.plateau
        assert inner is not None
        inner.load_state_dict(state)


class _Factor:
    """Multiplier of the base learning rate at a step."""

    def __init__(self, name: str, options: dict[str, Any], epochs: int, steps: int, warmup: float) -> None:
        self.name, self.options = name, options
        self.total, self.steps = max(epochs * steps, 1), max(steps, 1)
        self.warmup = round(warmup * steps)
        known = {"constant": set(), "linear": {"min_ratio"}, "cosine": {"min_ratio"}}
        known |= {"onecycle": {"peak", "min_ratio"}, "cosine_restarts": {"first", "multiply", "min_ratio"}}
        for key in options:
            if key not in known[name]:
                raise UserError(f"Schedule '{name}' has no option '{key}'.{did_you_mean(key, known[name])}")

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        low = float(self.options.get("min_ratio", 0.0))
        return low + (1 - low) * self._shape(step)

    def _shape(self, step: int) -> float:
        if self.name == "constant":
            return 1.0
        if self.name == "cosine_restarts":
            return _half_cosine(self._restart_progress(step / self.steps))
        progress = (step - self.warmup) / max(self.total - self.warmup, 1)
        if self.name == "cosine":
            return _half_cosine(progress)
        if self.name == "onecycle":
            peak = float(self.options.get("peak", 0.3))
            return 0.04 + 0.96 * progress / peak if progress < peak else (1 - progress) / (1 - peak)
        return 1.0 - progress

    def _restart_progress(self, epoch: float) -> float:
        """Position in [0, 1) within the current cycle of SGDR (Loshchilov and Hutter 2017, eq. 5)."""
        length, multiply = float(self.options.get("first", 10)), float(self.options.get("multiply", 1))
        while epoch >= length:
            epoch -= length
            length *= multiply
        return epoch / length


def _half_cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
