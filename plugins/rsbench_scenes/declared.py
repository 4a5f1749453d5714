"""What the plugin gives, without importing NumPy or torch."""

from __future__ import annotations

from typing import Final

from rsbench.specs import Accepts, Band, DatasetSpec, ModelSpec, ProtocolSpec, RecipeSpec

CLASSES: Final = (
    "cropland",
    "forest",
    "highway",
    "industrial",
    "lake",
    "orchard",
    "pasture",
    "residential",
    "river",
    "wetland",
)
SIZES: Final = {"train": 3000, "val": 500, "test": 1500}

SCENES: Final = DatasetSpec(
    name="scenes",
    summary="Generated overhead scenes of 64x64 pixels in ten land-cover classes; nothing is downloaded.",
    source="rsbench_scenes.source:source",
    classes=CLASSES,
    bands=tuple(Band(name=n, min=0, max=255) for n in ("red", "green", "blue")),
    image_size=64,
    samples=sum(SIZES.values()),
    class_counts=(sum(SIZES.values()) // len(CLASSES),) * len(CLASSES),
    generated=True,
    default_protocol="scenes-standard",
    license="MIT",
    citation="rsbench",
)

STANDARD: Final = ProtocolSpec(
    name="scenes-standard",
    summary="3,000/500/1,500 scenes, last epoch.",
    dataset="scenes",
    split="rsbench.data.splits:from_column",
    size=64,
    metrics=(
        "overall_accuracy",
        "average_accuracy",
        "macro_f1",
        "weighted_f1",
        "cohen_kappa",
        "mcc",
        "top3_accuracy",
        "top5_accuracy",
        "nll",
        "ece",
        "mce",
        "brier",
        "overconfidence",
        "confidence_gap",
    ),
    selection="last",
    seeds=(0,),
    recipe="scenes-short",
    targets=(0.8, 0.9),
)

SHORT: Final = RecipeSpec(
    name="scenes-short",
    summary="8 epochs of AdamW, one cycle, the eight symmetries.",
    lr=4e-3,
    schedule="onecycle",
    weight_decay=0.05,
    batch=64,
    epochs=8,
    augmentation={"hflip": 0.5, "vflip": 0.5, "quarter_turns": True},
)

TINY_CNN: Final = ModelSpec(
    name="tiny-cnn",
    summary="Four strided convolutional stages, about 0.3 M parameters.",
    factory="rsbench_scenes.network:tiny_cnn",
    accepts=Accepts(min_size=16, normalisation="dataset"),
    params=312_674,
)
