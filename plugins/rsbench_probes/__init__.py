"""How good are the features of a network?  Linear and nearest-neighbor probes of frozen ones, computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import RecipeSpec


@hookimpl
def rsbench_recipes() -> Iterator[RecipeSpec]:
    """``linear-probe`` and ``knn-probe``."""
    from rsbench_probes.specs import RECIPES

    yield from RECIPES


@hookimpl
def rsbench_commands(app: Any, chosen: str | None) -> None:
    """``rsbench embed``."""
    from rsbench_probes.command import register

    register(app, chosen)
