"""Balanced Multi-Task Attention (Vir 2025): its three networks and the ResNet-50 that it compares with.

The abstract was read, not the full text; per-class figures and sizes are those of the README of the author's
repository (virAditya/satellite-image-classification-eurosat, history before commit a01ffe4).
"""

from __future__ import annotations

from typing import Any, Final

from rsbench.specs import Claim, ClaimSet
from rsbench_eurosat.datasets import CLASSES

_ABSTRACT: Final = "abstract"
_README: Final = "table, README of the code"
_OURS: Final = "BMTA, balanced 12-layer"
_RESNET: Final = "ResNet-50, fine-tuned"
# Test images per class of the author's split: torchvision's order, random_split with seed 42.
_TEST: Final = (472, 442, 458, 391, 378, 299, 379, 450, 375, 406)
_PERCENT: Final = ("95.55", "98.64", "98.25", "96.68", "98.68", "97.66", "94.46", "97.78", "96.27", "98.28")
_ONE_RUN: Final = "one training, seed 42"


def _abstract(system: str, metric: str, value: str, **more: Any) -> Claim:
    return Claim(system=system, metric=metric, value=value, place=_ABSTRACT, **more)


def _readme(system: str, metric: str, value: str, **more: Any) -> Claim:
    return Claim(system=system, metric=metric, value=value, place=_README, certainty="code", **more)


BMTA: Final = ClaimSet(
    name="bmta-eurosat",
    summary="BMTA and its two baselines on EuroSAT RGB, without pre-training.",
    paper="bmta",
    dataset="eurosat",
    protocol="random 70/15/15 of 27,000 images, seed 42, 64x64 RGB; one training",
    measured_by="bmta-70-15-15",
    parts=CLASSES,
    models={
        "baseline 3-layer": ("baseline-cnn",),
        "CBAM 7-layer": ("cbam-cnn",),
        _OURS: ("bmta", "bmta-paper-dropblock"),
        _RESNET: ("resnet50-finetuned",),
    },
    rows=(
        _abstract("baseline 3-layer", "overall_accuracy", "94.30", n=4050, runs=1, note=_ONE_RUN),
        _abstract("CBAM 7-layer", "overall_accuracy", "95.98", n=4050, runs=1, note=_ONE_RUN),
        _abstract(_OURS, "overall_accuracy", "97.23", n=4050, runs=1, note=_ONE_RUN),
        _abstract(_OURS, "cohen_kappa", "0.9692", unit="", runs=1),
        _abstract(_OURS, "accuracy", "94.46", part="*", relation=">", note="'all classes exceeding 94.46%'"),
        _abstract(_OURS, "confidence_gap", "24.25", note="called calibration; it is none"),
        _abstract(_OURS, "alpha", "0.57", unit="", note="mean of 11 weights presumably; approximate"),
        _abstract(_RESNET, "overall_accuracy", "98.57", protocol="helber-80-20", note="on other test images"),
        _abstract(_RESNET, "overall_accuracy", "1.34", minus=_OURS, note="of two different test sets"),
        *(
            _readme(_OURS, "accuracy", value, part=name, n=n, runs=1)
            for name, n, value in zip(CLASSES, _TEST, _PERCENT, strict=True)
        ),
        _readme(_OURS, "minimum_class_accuracy", "94.46", runs=1),
        _readme(_OURS, "mcc", "0.9692", unit="", runs=1),
        _readme("baseline 3-layer", "params", "2.1", unit="M", note="the code has 4,293,642"),
        _readme("CBAM 7-layer", "params", "7.4", unit="M", note="the code, repaired, has 9,912,212"),
        _readme(_OURS, "params", "11.2", unit="M", note="the code, repaired, has 13,115,813"),
        _readme("baseline 3-layer", "errors_river_highway", "27", unit="", note="of both directions"),
        _readme(_OURS, "errors_river_highway", "5", unit="", note="of both directions"),
    ),
    left_open=(
        "whether test-time augmentation and training augmentation were active (the code's loader switches both off)",
        "epoch reached and how the checkpoint was chosen",
        "confusion matrix and final weight of each attention block",
        "spread over seeds",
    ),
    citation="Vir 2025, arXiv 2510.15527; class counts from the author's split, recovered exactly",
)
