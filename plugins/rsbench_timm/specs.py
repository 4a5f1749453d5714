"""What the models and their recipes are, without importing torch or timm."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rsbench.specs import Accepts, ModelSpec, Option, Phase, RecipeSpec

# Statistics of ImageNet hold for 3-band uint8 images; the engine takes those of the training split for others.
_ANY: Final = Accepts(normalization="imagenet", min_size=16)
_ACCEPTS: Final = {"timm": _ANY, "torchvision": replace(_ANY, channels=3)}
_WIGHTMAN: Final = "Wightman 2019, PyTorch Image Models"


def _weights(default: str) -> Option:
    return Option(
        default=default,
        help="none | imagenet (downloaded) | a local .safetensors, .npz, .pt or .pth file",
        file_unless=("none", "imagenet"),
    )


def _size() -> Option:
    return Option(default=0, help="side to which images are upsampled inside the model, in pixels; 0 leaves them")


def _family(kind: str, summary: str, example: str) -> ModelSpec:
    return ModelSpec(
        name=f"{kind}:*",
        summary=summary,
        factory=f"rsbench_timm.backbones:{kind}_backbone",
        accepts=_ACCEPTS[kind],
        resolver=f"rsbench_timm.specs:resolve_{kind}",
        members=f"rsbench_timm.specs:{kind}_names",
        example=example,
    )


def _member(kind: str, architecture: str, base: str, known: tuple[str, ...]) -> ModelSpec | None:
    if base not in known:
        return None
    options = {
        "architecture": Option(default=architecture, help="set by the name", choices=(architecture,)),
        "weights": _weights("none"),
        "drop_rate": Option(default=None, help="dropout before the classifier, in [0, 1); none: as the network has it"),
        "input_size": _size(),
    }
    if kind == "timm":
        options["drop_path_rate"] = Option(
            default=None, help="stochastic depth, in [0, 1); none: as the network has it"
        )
        options["normalization"] = Option(
            default="own",
            help="own: mean and std that timm's pretrained weights of this name are for; given: as the run normalizes",
            choices=("own", "given"),
            normalized="given",
        )
    return ModelSpec(
        name=f"{kind}:{architecture}",
        summary=f"{architecture} of {kind} with a new classifier.",
        factory=f"rsbench_timm.backbones:{kind}_backbone",
        accepts=_ACCEPTS[kind],
        options=options,
        recipes=("finetune", "finetune-short"),
        citation=_WIGHTMAN if kind == "timm" else "torchvision",
    )


@cache
def _names(package: str, pattern: str) -> tuple[str, ...]:
    """Names of registered models, read from the installed source text, since importing it takes seconds."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return ()
    found: set[str] = set()
    for path in Path(spec.submodule_search_locations[0]).joinpath("models").glob("*.py"):
        found |= set(re.findall(pattern, path.read_text(encoding="utf-8")))
    return tuple(sorted(found))


def _timm() -> tuple[str, ...]:
    return _names("timm", r"@register_model\s+def (\w+)\(")


def _torchvision() -> tuple[str, ...]:
    return _names("torchvision", r"@register_model\(\)[\s\S]{0,200}?def (\w+)\(")


@cache
def _timm_tags() -> tuple[str, ...]:
    """``architecture.tag`` of the pretrained weights that timm knows."""
    known, pattern = {*_timm()}, r"""['"](\w+\.\w+)['"]: *_\w*cfg\("""
    return tuple(n for n in _names("timm", pattern) if n.partition(".")[0] in known)


def timm_names(pattern: str = "*") -> list[str]:
    """timm architectures that match a shell pattern; pretrained tags of them where the pattern has a dot, as in
    ``resnet50.*``."""
    return [n for n in (_timm_tags() if "." in pattern else _timm()) if fnmatch(n, pattern)]


def torchvision_names(pattern: str = "*") -> list[str]:
    """torchvision classification architectures that match a shell pattern."""
    return [n for n in _torchvision() if fnmatch(n, pattern)]


def resolve_timm(name: str) -> ModelSpec | None:
    """Spec of ``timm:<architecture>[.<pretrained tag>]``."""
    return _member("timm", name, name.partition(".")[0], _timm())


def resolve_torchvision(name: str) -> ModelSpec | None:
    """Spec of ``torchvision:<architecture>``."""
    return _member("torchvision", name, name, _torchvision())


# Every name that timm and torchvision give their classifiers.
_HEAD: Final = r"(^|\.)(fc|classifier|classif|last_linear|heads?|heads?_dist|aux_head)\."

MODELS: Final = (
    _family("timm", "Any backbone of timm with a new classifier, such as timm:resnet18.", "resnet18"),
    _family(
        "torchvision", "Any classification network of torchvision, such as torchvision:squeezenet1_0.", "squeezenet1_0"
    ),
    ModelSpec(
        name="resnet18-class-focal",
        summary="ImageNet ResNet-18 with dropout .25, made for Class Focal Loss.",
        factory="rsbench_timm.backbones:resnet18_class_focal",
        accepts=_ANY,
        options={
            "weights": _weights("imagenet"),
            "input_size": _size(),
            "dropout": Option(
                default="classifier",
                help="where activations are dropped (.25): before the classifier, or after each residual block too",
                choices=("classifier", "blocks"),
            ),
        },
        test_options={"weights": "none"},
        recipes=("class-focal", "class-focal-exponent", "class-focal-cross-entropy"),
        params=11_181_642,
        pretrained_on="ImageNet-1k",
        citation="ResNet-18 with Class Focal Loss on EuroSAT; optimizer, epochs and split are not in the paper",
        tags=("reconstruction",),
        provenance={
            "ResNet-18, pretrained": "paper",
            "dropout": "paper: .25 'per layer'; ours: which layers",
            "weights": "ours: ImageNet-1k's of torchvision; the Keras that is named has no ResNet-18",
            "input size, what is trained, head": "ours: 64 pixels, all layers, one linear layer",
        },
    ),
    ModelSpec(
        name="resnet50-finetuned",
        summary="ImageNet ResNet-50, classifier first, then the whole network.",
        factory="rsbench_timm.backbones:resnet50_finetuned",
        accepts=_ANY,
        options={"weights": _weights("imagenet"), "input_size": _size()},
        test_options={"weights": "none"},
        recipes=("resnet50-finetune",),
        params=23_528_522,
        pretrained_on="ImageNet-1k",
        citation="Helber et al. 2019; epochs, batch and augmentation are not in the paper",
        tags=("reconstruction",),
        provenance={
            "ResNet-50, pretrained on ImageNet": "recalled",
            "input size": "ours: as stored; input_size=224 for that of ImageNet",
        },
    ),
)

EXPECTED_FAILURES: Final = {
    "model/torchvision:squeezenet1_0/sizes": "it needs more than 16 pixels and says so; input_size lets it take any",
}

_FOCAL: Final[dict[str, Any]] = {
    "optimizer": "adam",
    "lr": 6e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "batch": 64,
    "epochs": 30,
    "precision": "fp32",  # the GPU named, a K80, has no other
    "augmentation": {"rotation": 20, "scale": [0.9, 1.1]},
    "reconstruction": True,
    "citation": "ResNet-18 with Class Focal Loss: batch 64, lr 6e-4, gamma .5, rotation and scaling as stated",
    "provenance": {
        "lr, batch": "paper",
        "optimizer, weight_decay, schedule, epochs": "ours: Adam, none, constant, 30",
        "augmentation": "paper: that images are rotated and scaled; ours: by 20 degrees and .9 to 1.1",
        "precision": "paper: the GPU that is named, a K80, has no other",
        "loss": "paper: equation 4, gamma .5; which of its two readings is meant is not said",
    },
}

RECIPES: Final = (
    RecipeSpec(
        name="class-focal",
        summary="Adam 6e-4 with Class Focal Loss, beta as a factor.",
        loss="class-focal",
        loss_options={"gamma": 0.5, "variant": "multiplicative"},
        **_FOCAL,
    ),
    RecipeSpec(
        name="class-focal-exponent",
        summary="Adam 6e-4 with Class Focal Loss, beta in the exponent.",
        loss="class-focal",
        loss_options={"gamma": 0.5, "variant": "exponent"},
        **_FOCAL,
    ),
    RecipeSpec(name="class-focal-cross-entropy", summary="The same with cross entropy.", **_FOCAL),
    RecipeSpec(
        name="resnet50-finetune",
        summary="Classifier for 5 epochs at .01, then everything for 30 epochs from 1e-3 to 1e-4.",
        optimizer="sgd",
        optimizer_options={"momentum": 0.9},
        lr=1e-3,
        weight_decay=1e-4,
        schedule="cosine",
        schedule_options={"min_ratio": 0.1},
        batch=64,
        epochs=35,
        augmentation={"hflip": 0.5, "vflip": 0.5},
        phases=(
            Phase(
                epochs=5,
                train_only=_HEAD,
                overrides={"lr": 0.01, "schedule": "constant", "schedule_options": {}},
            ),
            Phase(epochs=30),
        ),
        reconstruction=True,
        citation="Helber et al. 2019: last layer at .01, then all layers between .001 and .0001",
        provenance={
            "phases, lr": "recalled",
            "optimizer, momentum, weight_decay, batch, epochs, schedule, augmentation": "ours: not in the paper",
        },
    ),
    RecipeSpec(
        name="finetune",
        summary="Fine-tuning of pretrained weights: classifier for 1 epoch, then everything for 5 at a low rate.",
        optimizer="adamw",
        lr=3e-4,
        weight_decay=0.01,
        schedule="cosine",
        batch=64,
        epochs=6,
        augmentation={"hflip": 0.5, "vflip": 0.5, "quarter_turns": True},
        phases=(
            Phase(epochs=1, train_only=_HEAD, overrides={"lr": 1e-3, "schedule": "constant"}),
            Phase(epochs=5),
        ),
    ),
    RecipeSpec(
        name="finetune-short",
        summary="Fine-tuning in minutes on two CPU cores: classifier for 1 epoch, then everything for 1.",
        optimizer="adamw",
        lr=3e-4,
        weight_decay=0.01,
        schedule="cosine",
        batch=64,
        epochs=2,
        augmentation={"hflip": 0.5, "vflip": 0.5, "quarter_turns": True},
        phases=(
            Phase(epochs=1, train_only=_HEAD, overrides={"lr": 1e-3, "schedule": "constant"}),
            Phase(epochs=1),
        ),
    ),
)
