"""What the plugin gives, without importing NumPy or torch."""

from __future__ import annotations

from typing import Final

from rsbench.specs import Accepts, Band, DatasetSpec, ModelSpec, ProtocolSpec, RecipeSpec
from rsbench.tasks.answers import ANSWERS_LR
from rsbench.tasks.standard import CAPTIONING, CLASSIFICATION, VQA

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
    version="2",
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

CAPTIONS: Final = DatasetSpec(
    name="scenes-captions",
    version="2",
    summary="2,000 generated scenes with five sentences each.",
    source="rsbench_scenes.text_sources:captions_source",
    tasks=("captioning", "classification"),
    classes=CLASSES,
    bands=SCENES.bands,
    image_size=64,
    samples=2000,
    class_counts=(200,) * len(CLASSES),
    generated=True,
    default_protocol="scenes-captions-standard",
    license="MIT",
    citation="rsbench",
)

QUESTIONS: Final = DatasetSpec(
    name="scenes-vqa",
    version="2",
    summary="77,232 questions about 772 generated scenes in the types of RSVQA-LR, nine answers.",
    source="rsbench_scenes.text_sources:questions_source",
    tasks=("vqa",),
    all_classes=False,
    classes=ANSWERS_LR,
    bands=SCENES.bands,
    image_size=64,
    samples=77_232,
    generated=True,
    cluster_key="image",
    default_protocol="scenes-vqa-standard",
    license="MIT",
    citation="rsbench",
)

STANDARD: Final = ProtocolSpec(
    name="scenes-standard",
    summary="3,000/500/1,500 scenes, last epoch.",
    dataset="scenes",
    split="rsbench.data.splits:from_column",
    size=64,
    metrics=CLASSIFICATION,
    selection="last",
    seeds=(0,),
    recipe="scenes-short",
    targets=(0.8, 0.9),
)

CAPTIONS_STANDARD: Final = ProtocolSpec(
    name="scenes-captions-standard",
    summary="1,500/200/300 scenes, last epoch.",
    dataset="scenes-captions",
    task="captioning",
    split="rsbench.data.splits:from_column",
    size=64,
    primary="CIDEr-D",
    metrics=CAPTIONING,
    selection="last",
    seeds=(0,),
    recipe="scenes-text-short",
)

QUESTIONS_STANDARD: Final = ProtocolSpec(
    name="scenes-vqa-standard",
    summary="57,223/10,005/10,004 questions about 572/100/100 scenes, last epoch.",
    dataset="scenes-vqa",
    task="vqa",
    split="rsbench.data.splits:from_column",
    size=64,
    primary="OA",
    metrics=VQA,
    selection="last",
    seeds=(0,),
    recipe="scenes-questions-short",
)

TEXT_SHORT: Final = RecipeSpec(
    name="scenes-text-short",
    summary="8 epochs of AdamW over all five sentences of each scene, one cycle.",
    tasks=("captioning",),
    lr=1e-3,
    schedule="onecycle",
    weight_decay=0.01,
    batch=32,
    epochs=8,
    clip_grad=1.0,
    task_options={"min_count": 2, "max_words": 20, "sentences": 5},
)

QUESTIONS_SHORT: Final = RecipeSpec(
    name="scenes-questions-short",
    summary="8 epochs of AdamW, sixteen questions of each scene at a time, one cycle.",
    tasks=("vqa",),
    lr=1e-3,
    schedule="onecycle",
    weight_decay=0.01,
    batch=512,
    epochs=8,
    clip_grad=1.0,
    task_options={"questions_per_image": 16},
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
    accepts=Accepts(min_size=16, normalization="dataset"),
    params=312_674,
)
