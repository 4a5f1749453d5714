"""Backbones of torchgeo, trained on images of satellites, with the bands, units and normalization of their weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """``torchgeo:*``."""
    from rsbench_torchgeo.specs import FAMILY

    yield FAMILY
