"""What the networks and their author's recipes are, without importing torch.

Facts are from the author's public repository (virAditya/satellite-image-classification-eurosat, commit a01ffe4), whose
code does not run as published; the paper's own text was not read.
"""

from __future__ import annotations

from typing import Any, Final

from rsbench.specs import Accepts, ModelSpec, Option, RecipeSpec

_VIR: Final = "Vir 2025, arXiv 2510.15527"
_ATTENTION: Final = {
    "alpha_init": Option(default=0.5, help="raw value of each alpha at the start; its sigmoid is the weight"),
    "alpha_decay": Option(
        default=True, help="leave the alphas to the recipe's weight decay, as the author does", choices=(True, False)
    ),
}
_DROPBLOCK: Final = Option(
    default="author",
    help="author: seeds anywhere, one mask for all channels; paper: Ghiasi 2018; none: left out",
    choices=("author", "paper", "none"),
)
_DROPOUT: Final = Option(default=0.5, help="probability before the classifier")


def _rgb(size: int | None = None, min_size: int = 1) -> Accepts:
    return Accepts(channels=3, unit="uint8", size=size, min_size=min_size, normalization="imagenet")


_REPAIRED: Final = "ours: repaired, the code stops at linear layers without bias; elsewhere as coded"
_BMTA_PARTS: Final = {
    "layers, widths, attention, alphas": "code",
    "DropBlock": "code: its probabilities of 5 to 20 % by depth are the paper's as well",
    "initialization": _REPAIRED,
}

MODELS: Final = (
    ModelSpec(
        name="baseline-cnn",
        summary="Three convolutions and two linear layers: the paper's baseline.",
        factory="rsbench_convnets.baseline:baseline_cnn",
        accepts=_rgb(size=64),
        recipes=("baseline-cnn-author",),
        params=4_293_642,
        citation=_VIR,
        provenance={"layers, widths, initialization": "code: the paper's 2.1 million parameters are not theirs"},
    ),
    ModelSpec(
        name="cbam-cnn",
        summary="Seven convolutional units with channel and spatial attention (CBAM).",
        factory="rsbench_convnets.cbam:cbam_cnn",
        accepts=_rgb(min_size=64),  # six poolings by 2
        recipes=("cbam-cnn-author",),
        params=9_912_212,
        citation=_VIR,
        tags=("reconstruction",),
        provenance={
            "layers, widths, attention": "code: the paper's 7.4 million parameters are not theirs",
            "initialization": _REPAIRED,
        },
    ),
    ModelSpec(
        name="bmta",
        summary="Balanced multi-task attention, 12 layers, as the author coded it but for a repaired initialization.",
        factory="rsbench_convnets.bmta:bmta",
        accepts=_rgb(min_size=8),
        options={**_ATTENTION, "dropblock": _DROPBLOCK, "dropout": _DROPOUT},
        recipes=("bmta-author", "bmta-author-erase", "bmta-author-plain"),
        params=13_115_813,
        citation=_VIR,
        tags=("reconstruction",),
        provenance=_BMTA_PARTS,
    ),
    ModelSpec(
        name="bmta-paper-dropblock",
        summary="BMTA with DropBlock as its own paper defines it (torchvision's).",
        factory="rsbench_convnets.bmta:bmta_paper_dropblock",
        accepts=_rgb(min_size=49),  # below, torchvision's DropBlock meets maps it cannot take
        options=_ATTENTION,
        recipes=("bmta-author",),
        params=13_115_813,
        citation=f"{_VIR}; DropBlock: Ghiasi et al. 2018",
        tags=("reconstruction",),
        provenance=_BMTA_PARTS | {"DropBlock": "ours: torchvision's, as its own paper defines it, not as coded"},
    ),
)

_CITATION: Final = f"{_VIR}; training script and augmentation that acts are not in its code"
_TRAINING: Final = {
    "lr, weight_decay, schedule, batch, epochs, patience": "code: configuration",
    "optimizer": "code: the README's, for all networks; no configuration names it",
    "no_decay": "code: the README says all parameters",
    "precision": "code: a network's own configuration where it has one, else torch's default",
    "drop_last": "code: loaders that keep the last, smaller batch",
    "steps of the schedule": "ours: by batch; there is no training script",
    "epoch that is kept, early stopping": "ours: by validation accuracy and loss; there is no training script",
}
_TRANSFORMS: Final = {
    "augmentation": "code: torchvision's transforms with their defaults (rotation by nearest neighbor, order of the "
    "color jitter drawn for each image)",
    "that augmentation acts": "ours: a later line of the code undoes it, and the paper means it",
}
_WEIGHTS_STATED: Final = {"class_weights": "code: set by hand; the README's own loss is not weighted"}
_AUGMENTATION: Final[dict[str, Any]] = {
    "hflip": 0.5,
    "vflip": 0.5,
    "rotation": 90,
    "interpolation": "nearest",
    "color_jitter": [0.3, 0.3, 0.3, 0.1],
    "color_jitter_order": "random",
    "blur": [0.1, 2.0],
}
_BMTA: Final[dict[str, Any]] = {
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.05,
    "no_decay": (),
    "schedule": "cosine_restarts",
    "schedule_options": {"first": 15, "multiply": 2},
    "batch": 64,
    "drop_last": False,
    "epochs": 80,
    "patience": 15,
    "precision": "fp16",
    "reconstruction": True,
    "citation": _CITATION,
}
_WEIGHTED: Final = {"class_weights": "bmta-author"}

RECIPES: Final = (
    RecipeSpec(
        name="baseline-cnn-author",
        summary="30 epochs of AdamW with a plateau schedule; the optimizer is the repository's general one.",
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        no_decay=(),
        schedule="plateau",
        schedule_options={"patience": 3, "factor": 0.5},
        batch=64,
        drop_last=False,
        epochs=30,
        patience=10,
        precision="fp32",
        augmentation=_AUGMENTATION,
        reconstruction=True,
        citation=_CITATION,
        provenance=_TRAINING | _TRANSFORMS,
    ),
    RecipeSpec(
        name="cbam-cnn-author",
        summary="40 epochs of AdamW with cosine annealing; the optimizer is the repository's general one.",
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        no_decay=(),
        schedule="cosine",
        batch=64,
        drop_last=False,
        epochs=40,
        patience=12,
        precision="fp32",
        augmentation=_AUGMENTATION,
        reconstruction=True,
        citation=_CITATION,
        provenance=_TRAINING | _TRANSFORMS,
    ),
    RecipeSpec(
        name="bmta-author",
        summary="80 epochs, cosine with warm restarts, hand-set class weights, augmentation as the paper means it.",
        loss_options=_WEIGHTED,
        augmentation=_AUGMENTATION,
        provenance=_TRAINING | _TRANSFORMS | _WEIGHTS_STATED,
        **_BMTA,
    ),
    RecipeSpec(
        name="bmta-author-erase",
        summary="bmta-author with random erasing, which a third-party reproduction ascribes to the paper.",
        loss_options=_WEIGHTED,
        augmentation={**_AUGMENTATION, "erase": 0.5},
        provenance=_TRAINING
        | _TRANSFORMS
        | _WEIGHTS_STATED
        | {"erase": "recalled: a third-party reproduction names it"},
        **_BMTA,
    ),
    RecipeSpec(
        name="bmta-author-plain",
        summary="bmta-author without augmentation, as the published loader really trains.",
        loss_options=_WEIGHTED,
        provenance=_TRAINING | _WEIGHTS_STATED | {"augmentation": "code: a later line of it undoes the transforms"},
        **_BMTA,
    ),
)
