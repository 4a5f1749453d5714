"""A folder, an archive or a list of one's own images as a dataset: ``folder:PATH``, without writing a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import DatasetSpec, ProtocolSpec, RecipeSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """The family ``folder:PATH``."""
    from rsbench_folder.specs import FAMILY

    yield FAMILY


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """One for each task that files may be for."""
    from rsbench_folder.specs import PROTOCOLS

    yield from PROTOCOLS


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """Standard recipes of the closed division."""
    from rsbench_folder.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    return {
        "dataset/folder:*/example": "each member is a folder of somebody's own; tests write some",
        "dataset/folder:*/members": "members are paths; one that is not there is refused in a sentence",
    }
