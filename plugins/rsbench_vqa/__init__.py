"""The VQA systems that others are compared with, rebuilt from their papers, and their baselines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, RecipeSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """Lobry 2020, Yuan 2022, Bazi 2022, and baselines that lack the image or the words."""
    from rsbench_vqa.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """One recipe for all, and that of Lobry et al."""
    from rsbench_vqa.specs import RECIPES

    yield from RECIPES
