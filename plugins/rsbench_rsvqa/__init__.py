"""RSVQA-LR: questions about 772 Sentinel-2 images, and its annotations alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ClaimSet, DatasetSpec, ProtocolSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """With images and without."""
    from rsbench_rsvqa.specs import DATASETS

    yield from DATASETS


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """The official split, and validation to test for what needs no image."""
    from rsbench_rsvqa.specs import PROTOCOLS

    yield from PROTOCOLS


@hookimpl
def rsbench_claims() -> Iterator[ClaimSet]:
    """What SpatialNet-ViT's paper reports on it."""
    from rsbench_rsvqa.claims import SPATIALNET

    yield SPATIALNET


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    return {
        "dataset/rsvqa-lr-questions/splits": "one black pixel stands for every image",
        "dataset/rsvqa-lr-questions/truncated-file": "it reads no images",
    }
