"""UCM-captions: 2,100 aerial images with five sentences each, and their 21 land-use classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ClaimSet, DatasetSpec, ProtocolSpec, RecipeSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """The dataset."""
    from rsbench_ucm_captions.specs import DATASET

    yield DATASET


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """Captioning and land use on the same split."""
    from rsbench_ucm_captions.specs import PROTOCOLS

    yield from PROTOCOLS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """The standard recipes of the two protocols."""
    from rsbench_ucm_captions.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_claims() -> Iterator[ClaimSet]:
    """What SpatialNet-ViT's paper reports on it."""
    from rsbench_ucm_captions.claims import SPATIALNET

    yield SPATIALNET
