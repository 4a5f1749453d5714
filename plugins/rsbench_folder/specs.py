"""What the plugin gives, without importing NumPy."""

from __future__ import annotations

from typing import Final

from rsbench.specs import DatasetSpec, ProtocolSpec, RecipeSpec
from rsbench.tasks.standard import CAPTIONING, CLASSIFICATION

PREFIX: Final = "folder"
TASKS: Final = ("classification", "captioning", "vqa")

FAMILY: Final = DatasetSpec(
    name=f"{PREFIX}:*",
    summary="Your own images: class folders, a list of images and labels, captions or questions; folder:./fields.",
    source="rsbench_folder.source:source",
    reads="rsbench_folder.source:files",
    tasks=TASKS,
    resolver="rsbench_folder.naming:resolve",
    members="rsbench_folder.naming:members",
)

_SPLIT: Final = "rsbench.data.splits:from_column"

PROTOCOLS: Final = (
    ProtocolSpec(
        name="folder-classification",
        summary="The folder's own split, or 60/20/20 of each class by a seed; best epoch by accuracy.",
        dataset=f"{PREFIX}:*",
        split=_SPLIT,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="folder-standard",
    ),
    ProtocolSpec(
        name="folder-captioning",
        summary="The list's own split, or 60/20/20 of the images by a seed; best epoch by CIDEr-D.",
        dataset=f"{PREFIX}:*",
        task="captioning",
        split=_SPLIT,
        primary="CIDEr-D",
        metrics=CAPTIONING,
        selection="best_val",
        recipe="folder-captions-standard",
    ),
    ProtocolSpec(
        name="folder-vqa",
        summary="The list's own split, or 60/20/20 of the images by a seed; best epoch by accuracy.",
        dataset=f"{PREFIX}:*",
        task="vqa",
        split=_SPLIT,
        primary="OA",
        metrics=("OA", "AA", "unparsable_rate"),  # the other standard metrics are about RSVQA's types of questions
        selection="best_val",
        recipe="folder-vqa-standard",
    ),
)

RECIPES: Final = (
    RecipeSpec(
        name="folder-standard",
        summary="30 epochs of AdamW, one cycle, the eight symmetries.",
        lr=1e-3,
        schedule="onecycle",
        weight_decay=0.05,
        batch=32,
        epochs=30,
        augmentation={"hflip": 0.5, "vflip": 0.5, "quarter_turns": True},
    ),
    RecipeSpec(
        name="folder-captions-standard",
        summary="20 epochs of Adam over up to five sentences of each image, cosine, beam of three.",
        tasks=("captioning",),
        optimizer="adam",
        lr=5e-4,
        schedule="cosine",
        warmup=1,
        weight_decay=0.0,
        batch=32,
        epochs=20,
        clip_grad=5.0,
        task_options={"min_count": 2, "max_words": 30, "sentences": 5, "beam": 3},
    ),
    RecipeSpec(
        name="folder-vqa-standard",
        summary="20 epochs of Adam, cosine, up to 16 questions about each image in a step.",
        tasks=("vqa",),
        optimizer="adam",
        lr=1e-3,
        schedule="cosine",
        weight_decay=0.0,
        batch=64,
        epochs=20,
        clip_grad=5.0,
        task_options={"max_words": 30, "min_count": 1, "questions_per_image": 16},
    ),
)
