"""The embedded default: generated scenes, their protocol, and a network small enough for a laptop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import DatasetSpec, ModelSpec, ProtocolSpec, RecipeSpec


@hookimpl
def rsbench_datasets() -> Iterator[DatasetSpec]:
    """The generated scenes, with classes, with sentences and with questions."""
    from rsbench_scenes.specs import CAPTIONS, QUESTIONS, SCENES

    yield from (SCENES, CAPTIONS, QUESTIONS)


@hookimpl
def rsbench_protocols() -> Iterator[ProtocolSpec]:
    """One protocol for each task."""
    from rsbench_scenes.specs import CAPTIONS_STANDARD, QUESTIONS_STANDARD, STANDARD

    yield from (STANDARD, CAPTIONS_STANDARD, QUESTIONS_STANDARD)


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """A recipe of seconds for each task."""
    from rsbench_scenes.specs import QUESTIONS_SHORT, SHORT, TEXT_SHORT

    yield from (SHORT, TEXT_SHORT, QUESTIONS_SHORT)


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """A small network."""
    from rsbench_scenes.specs import TINY_CNN

    yield TINY_CNN
