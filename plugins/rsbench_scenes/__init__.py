"""The embedded default: generated scenes, their protocol, and a network small enough for a laptop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import DatasetSpec, ModelSpec, ProtocolSpec, RecipeSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """The generated scenes."""
    from rsbench_scenes.declared import SCENES

    yield SCENES


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """Their one protocol."""
    from rsbench_scenes.declared import STANDARD

    yield STANDARD


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """A recipe of seconds."""
    from rsbench_scenes.declared import SHORT

    yield SHORT


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """A small network."""
    from rsbench_scenes.declared import TINY_CNN

    yield TINY_CNN
