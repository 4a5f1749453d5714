"""Checks of a recipe: that the engine can build all that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rsbench.errors import UserError
from rsbench.specs import RecipeSpec, to_jsonable
from rsbench.testing.contract import CheckFailure, Checks, Group, require

CHECKS: Final = Checks()


def groups(spec: RecipeSpec) -> Iterator[Group]:
    """Yield the checks of a recipe."""
    yield Group(spec.name, CHECKS, lambda: spec)


@CHECKS(
    "optimizer",
    reason="a wrong name or option stops a run after its data have been read",
    remedy="use an optimizer of torch or timm with its own options, and a schedule that the engine knows",
)
def optimizer(spec: RecipeSpec) -> None:
    """Optimizer and schedule of each phase can be built."""
    from torch import nn

    from rsbench.engine.training.optimizers import Schedule, make_optimizer
    from rsbench.engine.training.trainer import phases_of

    for phase in phases_of(to_jsonable(spec)):
        require(phase["epochs"] > 0 and phase["batch"] > 0, "epochs and batch have to be positive")
        try:
            Schedule(make_optimizer(nn.Linear(2, 2), phase), phase, phase["epochs"], 3)
        except UserError as error:
            raise CheckFailure(str(error)) from None


@CHECKS(
    "augmentation",
    reason="a name that is not known would be no augmentation at all",
    remedy="use the names that rsbench.engine.input.augmentation lists",
)
def augmentation(spec: RecipeSpec) -> None:
    """Every augmentation is known."""
    from rsbench.engine.input.augmentation import Augmentation

    try:
        Augmentation(spec.augmentation)
    except UserError as error:
        raise CheckFailure(str(error)) from None
