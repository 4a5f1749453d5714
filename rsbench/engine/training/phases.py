"""Phases of a recipe: which parameters each of them trains."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from rsbench.errors import RunError


def phases_of(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the recipe once for each of its phases, with the phase's overrides; one phase where it names none."""
    if not recipe["phases"]:
        return [{**recipe, "train_only": None}]
    return [
        {**recipe, **phase["overrides"], "epochs": phase["epochs"], "train_only": phase["train_only"]}
        for phase in recipe["phases"]
    ]


def freeze(model: nn.Module, train_only: str | None) -> None:
    """Let only parameters whose name matches *train_only* be trained; the modules of the others evaluate.

    Raises:
        RunError: no parameter matches.
    """
    matched = False
    for name, parameter in model.named_parameters():
        free = train_only is None or re.search(train_only, name) is not None
        parameter.requires_grad_(free)
        matched = matched or free
    if not matched:
        raise RunError(f"No parameter's name matches train_only='{train_only}'.", "train")


def set_training_mode(model: nn.Module) -> None:
    """Training mode, except for modules all of whose own parameters are frozen: their BatchNorm must not drift."""
    model.train()
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(p.requires_grad for p in own):
            module.eval()
