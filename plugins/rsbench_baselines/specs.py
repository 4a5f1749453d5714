"""What the baselines are, without importing numpy or torch."""

from __future__ import annotations

from typing import Final

from rsbench_timm.options import encoder_options, test_options

from rsbench.specs import Accepts, ModelSpec, Option

_ANYTHING: Final = Accepts(normalization="none")


def _caption(name: str, summary: str, factory: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        summary=summary,
        factory=f"rsbench_baselines.captioning:{factory}",
        tasks=("captioning",),
        kind="estimator",
        accepts=_ANYTHING,
        tags=("baseline",),
    )


MODELS: Final = (
    ModelSpec(
        name="majority-class",
        summary="Always the most frequent class of the training split.",
        factory="rsbench_baselines.classification:MajorityClass",
        kind="estimator",
        accepts=_ANYTHING,
        tags=("baseline",),
    ),
    ModelSpec(
        name="pixel-statistics",
        summary="Logistic regression on each band's mean and standard deviation.",
        factory="rsbench_baselines.classification:PixelStatistics",
        kind="estimator",
        accepts=_ANYTHING,
        options={"l2": Option(default=1e-3, help="weight of the squared norm of the coefficients, per sample")},
        tags=("baseline", "sanity-check-baseline"),
    ),
    _caption("commonest-caption", "Always the most frequent sentence of the training split.", "MostFrequentCaption"),
    _caption(
        "class-template-caption",
        "The most frequent sentence of the class predicted from pixel statistics.",
        "ClassTemplateCaption",
    ),
    _caption(
        "nearest-image-caption",
        "The most central sentence of the training image with the nearest pixel statistics on a 4x4 grid.",
        "NearestImageCaption",
    ),
    ModelSpec(
        name="nearest-image-features",
        summary="The most central sentence of the training image whose encoder vector has the largest cosine.",
        factory="rsbench_baselines.features:NearestImageFeatures",
        tasks=("captioning",),
        kind="estimator",
        accepts=Accepts(channels=3, unit="uint8", min_size=32),
        options=encoder_options("torchvision:resnet50"),
        test_options=test_options(),
        tags=("baseline",),
    ),
)
