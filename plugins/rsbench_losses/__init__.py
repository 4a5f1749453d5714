"""Losses of scene classification as a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import LossSpec


@hookimpl
def rsbench_losses() -> Iterator[LossSpec]:
    """The losses of this plugin."""
    from rsbench_losses.specs import LOSSES

    yield from LOSSES
