"""Baselines: what a result must beat to mean anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """The baselines of this plugin."""
    from rsbench_baselines.specs import MODELS

    yield from MODELS
