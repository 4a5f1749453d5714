"""What the plugin gives, without importing NumPy."""

from __future__ import annotations

from typing import Final

from rsbench.specs import Band, DatasetSpec, ProtocolSpec, RecipeSpec
from rsbench.tasks.standard import CAPTIONING, CLASSIFICATION

CLASSES: Final = (
    "agricultural",
    "airplane",
    "baseballdiamond",
    "beach",
    "buildings",
    "chaparral",
    "denseresidential",
    "forest",
    "freeway",
    "golfcourse",
    "harbor",
    "intersection",
    "mediumresidential",
    "mobilehomepark",
    "overpass",
    "parkinglot",
    "river",
    "runway",
    "sparseresidential",
    "storagetanks",
    "tenniscourt",
)
_QU: Final = "Qu et al. 2016, Deep semantic understanding of high resolution remote sensing image"

DATASET: Final = DatasetSpec(
    name="ucm-captions",
    summary="UC Merced images, 256x256 at 0.3048 m, with five sentences each and 21 land-use labels.",
    source="rsbench_ucm_captions.source:source",
    tasks=("captioning", "classification"),
    classes=CLASSES,
    bands=tuple(Band(name=n, min=0, max=255) for n in ("red", "green", "blue")),
    image_size=256,
    samples=2100,
    class_counts=(100,) * len(CLASSES),
    fake="rsbench_ucm_captions.fake:write",
    default_protocol="ucm-captions-standard",
    license="research use; images are USGS, public domain",
    citation=f"{_QU}; Yang and Newsam 2010, UC Merced Land Use",
    homepage="http://weegee.vision.ucmerced.edu/datasets/landuse.html",
)

PROTOCOLS: Final = (
    ProtocolSpec(
        name="ucm-captions-standard",
        summary="The published split of 1,680/210/210 images, five references each; best epoch by CIDEr-D.",
        dataset="ucm-captions",
        task="captioning",
        split="rsbench.data.splits:from_column",
        size=256,
        primary="CIDEr-D",
        metrics=CAPTIONING,
        selection="best_val",
        recipe="ucm-captions-standard",
        citation=f"{_QU}; metrics as in coco-caption, against the raw sentences",
    ),
    ProtocolSpec(
        name="ucm-landuse",
        summary="The 21 land-use classes on the split of the captions; best epoch by accuracy.",
        dataset="ucm-captions",
        split="rsbench.data.splits:from_column",
        size=256,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="ucm-landuse-standard",
        citation="Yang and Newsam 2010; the split is that of UCM-captions, which is not stratified",
    ),
)

RECIPES: Final = (
    RecipeSpec(
        name="ucm-captions-standard",
        summary="20 epochs of Adam over all five sentences of each image, cosine, beam of three.",
        tasks=("captioning",),
        optimizer="adam",
        lr=5e-4,
        schedule="cosine",
        warmup=1,
        weight_decay=0.0,
        batch=32,
        epochs=20,
        clip_grad=5.0,
        task_options={"min_count": 5, "max_words": 20, "sentences": 5, "beam": 3},
    ),
    RecipeSpec(
        name="ucm-landuse-standard",
        summary="20 epochs of AdamW, cosine, the eight symmetries.",
        lr=5e-4,
        schedule="cosine",
        warmup=1,
        batch=32,
        epochs=20,
        augmentation={"hflip": 0.5, "vflip": 0.5, "quarter_turns": True},
    ),
)
