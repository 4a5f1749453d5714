"""The three networks of BMTA's paper: 3-layer baseline, 7-layer CBAM, 12-layer balanced attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, RecipeSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """The networks, and BMTA with the paper's DropBlock."""
    from rsbench_convnets.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """The author's recipes, for the open division."""
    from rsbench_convnets.specs import RECIPES

    yield from RECIPES
