"""Backbones of timm and torchvision, and two fine-tuned systems built on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, RecipeSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """The families ``timm:<name>`` and ``torchvision:<name>``, focal ResNet-18 and fine-tuned ResNet-50."""
    from rsbench_timm.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """Recipes of the two named systems, and a fine-tuning one."""
    from rsbench_timm.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    from rsbench_timm.specs import EXPECTED_FAILURES

    return EXPECTED_FAILURES
