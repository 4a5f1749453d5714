"""What each loss is, without importing torch."""

from __future__ import annotations

from typing import Final

from rsbench.specs import LossSpec, Option

_MODULE: Final = "rsbench_losses.losses"

LOSSES: Final = (
    LossSpec(
        name="cross-entropy",
        summary="Cross entropy with class weights and label smoothing.",
        factory=f"{_MODULE}:cross_entropy",
        tasks=("classification", "captioning", "vqa"),
        options={
            "class_weights": Option(
                default="none",
                help="none | inverse | effective-number | bmta-author | a list of one weight a class",
            ),
            "label_smoothing": Option(default=0.0, help="in [0, 1)"),
            "beta": Option(default=0.9999, help="of class_weights=effective-number"),
        },
    ),
    LossSpec(
        name="focal",
        summary="Softmax focal loss, -(1 - p_y)^gamma log p_y.",
        factory=f"{_MODULE}:focal",
        tasks=("classification", "captioning", "vqa"),
        options={"gamma": Option(default=2.0, help="focusing exponent, >= 0; 0 is cross entropy")},
        citation="Lin et al. 2017, Focal Loss for Dense Object Detection, eq. 4",
    ),
    LossSpec(
        name="class-focal",
        summary="Class Focal Loss, with the share of each class as factor or exponent.",
        factory=f"{_MODULE}:class_focal",
        needs=("logits", "class_counts"),
        options={
            "gamma": Option(default=0.5, help="focusing exponent, >= 0"),
            "variant": Option(
                default="multiplicative",
                help="how eq. 4 is read: beta_y as a factor or in the exponent",
                choices=("multiplicative", "exponent"),
            ),
        },
        citation="ResNet-18 with Class Focal Loss on EuroSAT, eq. 4; the typesetting allows both readings",
    ),
    LossSpec(
        name="class-balanced",
        summary="Cross entropy or focal loss weighted by the effective number of samples.",
        factory=f"{_MODULE}:class_balanced",
        needs=("logits", "class_counts"),
        options={
            "beta": Option(default=0.9999, help="in [0, 1); 0 is no weighting"),
            "gamma": Option(default=0.0, help="focusing exponent; 0 is cross entropy"),
        },
        citation="Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples, eq. 2",
    ),
)
