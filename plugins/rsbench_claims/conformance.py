"""Checks of a set of claims."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rsbench.registry import registry
from rsbench.specs import ClaimSet
from rsbench.testing.contract import Checks, Group, require
from rsbench_claims.check import check

CHECKS: Final = Checks()


def groups(spec: ClaimSet) -> Iterator[Group]:
    """Yield the checks of a set of claims."""
    yield Group(spec.name, CHECKS, lambda: spec)


@CHECKS(
    "referred",
    reason="claims are set beside what is measured under a protocol",
    remedy="name an installed dataset, protocol and models",
)
def referred(spec: ClaimSet) -> None:
    """Dataset, protocol and the models that stand for its systems are installed; every claim has a source."""
    registry().get("dataset", spec.dataset)
    if spec.measured_by:
        registry().get("protocol", spec.measured_by)
    for models in spec.models.values():
        for model in models:
            registry().get("model", model.partition("@")[0])
    require(spec.rows, "it holds no claims")


@CHECKS(
    "arithmetic",
    reason="numbers that contradict one another are found before they are compared with",
    remedy="mend the rule that raised; what the rules find against the numbers themselves is no fault",
)
def arithmetic(spec: ClaimSet) -> None:
    """Every rule can be applied to the numbers."""
    check([spec])
