"""EuroSAT (RGB and multispectral), its protocols, and any torchgeo classification dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ClaimSet, DatasetSpec, ProtocolSpec, RecipeSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """EuroSAT in RGB and in 13 bands, and the family ``torchgeo:<Name>``."""
    from rsbench_eurosat.datasets import EUROSAT, EUROSAT_MS, TORCHGEO

    yield from (EUROSAT, EUROSAT_MS, TORCHGEO)


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """The protocols of these datasets."""
    from rsbench_eurosat.protocols import PROTOCOLS

    yield from PROTOCOLS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """Standard recipes of the closed division, and a short one."""
    from rsbench_eurosat.recipes import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_claims() -> Iterator[ClaimSet]:
    """What BMTA, the Class Focal Loss paper and EuroSAT's own paper report on it."""
    from rsbench_eurosat.claims import CLAIMS

    yield from CLAIMS


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    return {"dataset/torchgeo:*/example": "each of torchgeo's datasets has files of its own, which nobody has made up"}
