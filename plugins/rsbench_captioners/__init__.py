"""The captioning systems that papers on UCM-captions compare, each in its smallest faithful form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """Five encoder-decoders and a retrieval system."""
    from rsbench_captioners.specs import MODELS

    yield from MODELS
