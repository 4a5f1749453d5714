"""A small network of our own that learns EuroSAT from scratch in minutes on two CPU cores, and a larger one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, OptimizerSpec, RecipeSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """Both networks."""
    from rsbench_speedrun.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """The recipes they are made for, for the open division."""
    from rsbench_speedrun.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_optimizers() -> Iterator[OptimizerSpec]:
    """What both recipes train with."""
    from rsbench_speedrun.specs import FILTER_MUON

    yield FILTER_MUON
