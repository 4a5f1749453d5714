"""Controls: what a result must beat to mean anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import ModelSpec


@hookimpl
def rsbench_models() -> Iterator[ModelSpec]:
    """The controls of this plugin."""
    from rsbench.specs import Accepts, ModelSpec, Option

    anything = Accepts(normalisation="none")
    yield ModelSpec(
        name="majority-class",
        summary="Always the commonest class of the training split.",
        factory="rsbench_controls.classification:MajorityClass",
        kind="estimator",
        accepts=anything,
        tags=("control",),
    )
    yield ModelSpec(
        name="pixel-statistics",
        summary="Logistic regression on each band's mean and standard deviation.",
        factory="rsbench_controls.classification:PixelStatistics",
        kind="estimator",
        accepts=anything,
        options={"l2": Option(default=1e-3, help="weight of the squared norm of the coefficients, per sample")},
        tags=("control", "gate-baseline"),
    )
