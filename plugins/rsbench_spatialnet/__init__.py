"""SpatialNet-ViT: one Vision Transformer with heads for scene classification, captioning and VQA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec, RecipeSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """The network, its question-blind form, and its heads on other encoders."""
    from rsbench_spatialnet.specs import MODELS

    yield from MODELS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """The author's recipe, and one that a CPU can run."""
    from rsbench_spatialnet.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    from rsbench_spatialnet.specs import EXPECTED_FAILURES

    return EXPECTED_FAILURES
