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
    for name, summary, factory in (
        ("commonest-caption", "Always the commonest sentence of the training split.", "CommonestCaption"),
        (
            "class-template-caption",
            "The commonest sentence of the class predicted from pixel statistics.",
            "ClassTemplateCaption",
        ),
        (
            "nearest-image-caption",
            "The most central sentence of the training image with the nearest pixel statistics on a 4x4 grid.",
            "NearestImageCaption",
        ),
    ):
        yield ModelSpec(
            name=name,
            summary=summary,
            factory=f"rsbench_controls.captioning:{factory}",
            tasks=("captioning",),
            kind="estimator",
            accepts=anything,
            tags=("control",),
        )
