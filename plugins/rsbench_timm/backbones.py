"""Builds backbones of timm and torchvision with a new classifier and the weights asked for."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import shorten
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError, did_you_mean
from rsbench.tasks.context import ModelContext
from rsbench_timm.hub import downloading, torch_hub_at
from rsbench_timm.weights import load_weights

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
FOCAL_DROPOUT: Final = 0.25


class Adapted(nn.Module):
    """Prepares images for a network that expects another size or other statistics.

    Args:
        network: images [B, C, S, S] -> logits [B, K].
        size: side in pixels to which images are resized bilinearly; 0 leaves them.
        mean, std: per-band statistics that the network expects of images in [0, 1], where they are not ImageNet's.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self, network: nn.Module, size: int = 0, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        self.network, self.size = network, size
        scale = [a / b for a, b in zip(IMAGENET_STD, std, strict=True)] if std else [1.0]
        shift = [(a - b) / c for a, b, c in zip(IMAGENET_MEAN, mean, std, strict=True)] if mean else [0.0]
        self.restated = bool(mean)
        self.register_buffer("scale", torch.tensor(scale).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S], normalized with ImageNet's mean and standard deviation, to logits [B, K]."""
        if self.restated:
            images = images * self.scale + self.shift
        if self.size and self.size != images.shape[-1]:
            smaller = self.size < images.shape[-1]
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=smaller)
        return self.network(images)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters that the network wants left alone by weight decay."""
        own = getattr(self.network, "no_weight_decay", None)
        return {f"network.{name}" for name in own()} if callable(own) else set()


def timm_backbone(
    context: ModelContext,
    architecture: str,
    weights: str = "none",
    drop_rate: float | None = None,
    drop_path_rate: float | None = None,
    input_size: int = 0,
    normalization: str = "given",
) -> nn.Module:
    """Build a timm network for ``context.channels`` bands and ``context.num_classes`` classes.

    Args:
        context: bands, size and classes.
        architecture: the library's name.
        weights: ``none``, ``imagenet``, or the path of a file.
        drop_rate, drop_path_rate: of dropout and of stochastic depth; ``None``: the network's own.
        input_size: side in pixels to which images are resized; 0 leaves them.
        normalization: ``own``: with the mean and deviation that the pretrained weights of this name are for, whichever
            weights are taken, where images are 3 bands uint8; ``given``: as the run normalizes them.

    Raises:
        UserError: the weights cannot be had or do not fit, or the network cannot be built with these settings.
    """
    import timm

    size = input_size or context.size
    options: dict[str, Any] = {
        "num_classes": context.num_classes,
        "in_chans": context.channels,
        "drop_rate": drop_rate,
        "drop_path_rate": drop_path_rate,
        "cache_dir": context.weights_dir,
    }
    facts = _timm_facts(architecture)
    if facts.fixed_input_size:
        options["img_size"] = size
    name = f"timm:{architecture}"
    rgb = context.channels == 3 and {*context.units} <= {"uint8"}  # which the run gives ImageNet's statistics
    restated = rgb and normalization == "own" and (facts.mean, facts.std) != (IMAGENET_MEAN, IMAGENET_STD)
    statistics = (facts.mean, facts.std) if restated else ((), ())
    if weights == "imagenet":
        if not facts.has_weights:
            raise UserError(f"timm offers no pretrained weights for {name}; use weights=none or a local file.")
        _build(name, size, lambda: timm.create_model(architecture, **options))  # its own errors, not the download's
        with downloading(name):
            network = timm.create_model(architecture, pretrained=True, **options)
        return _tried(_adapted(network, input_size, context, *statistics), name, context)
    network = _build(name, size, lambda: timm.create_model(architecture, **options))
    if weights != "none":
        load_weights(network, weights, _classifier(network))
    return _tried(_adapted(network, input_size, context, *statistics), name, context)


def _timm_facts(architecture: str) -> Any:
    """timm's description of an architecture and its pretrained weights.

    Raises:
        UserError: there is no such architecture, or none with that pretrained tag.
    """
    from timm import get_pretrained_cfg, list_models
    from timm.models import get_arch_pretrained_cfgs

    base, _, tag = architecture.partition(".")
    if base not in list_models():
        raise UserError(f"timm has no architecture '{base}'.{did_you_mean(base, list_models())}")
    tagged = list(get_arch_pretrained_cfgs(base))
    if tag and architecture not in tagged:
        raise UserError(f"timm has no weights '{architecture}'.{did_you_mean(architecture, tagged)}")
    return get_pretrained_cfg(architecture)


def torchvision_backbone(
    context: ModelContext,
    architecture: str,
    weights: str = "none",
    drop_rate: float | None = None,
    input_size: int = 0,
) -> nn.Module:
    """Build a torchvision network whose classifier gives ``context.num_classes`` logits.

    Args:
        context: bands, size and classes.
        architecture: the library's name.
        weights: ``none``, ``imagenet``, or the path of a file.
        drop_rate: of dropout; ``None``: the network's own.
        input_size: side in pixels to which images are resized; 0 leaves them.

    Raises:
        UserError: the weights cannot be had or do not fit, or the network cannot be built with these settings.
    """
    from torchvision import models

    name, size = f"torchvision:{architecture}", input_size or context.size
    if context.channels != 3:
        raise UserError(f"{name} takes 3 bands, not {context.channels}; use a timm backbone.")
    options: dict[str, Any] = {"num_classes": context.num_classes}
    if drop_rate is not None:
        options["drop_rate" if architecture.startswith("densenet") else "dropout"] = drop_rate
    if architecture.startswith("vit_"):
        options["image_size"] = size
    elif architecture.startswith("maxvit"):
        options["input_size"] = (size, size)
    elif architecture in ("googlenet", "inception_v3"):  # their auxiliary logits would break the contract
        options |= {"aux_logits": False, "transform_input": weights != "none", "init_weights": True}
    network = _build(name, size, lambda: models.get_model(architecture, weights=None, **options))
    if weights == "imagenet":
        first = next(iter(models.get_model_weights(architecture)))
        with downloading(name), torch_hub_at(context.weights_dir):
            state = models.get_model(architecture, weights=first, progress=False).state_dict()
        load_weights(network, state, _classifier(network))
    elif weights != "none":
        load_weights(network, weights, _classifier(network))
    return _tried(_adapted(network, input_size, context), name, context)


def resnet18_class_focal(
    context: ModelContext, weights: str = "imagenet", input_size: int = 0, dropout: str = "classifier"
) -> nn.Module:
    """ResNet-18 with dropout .25 before the classifier; all layers are trained.

    Args:
        context: bands, size and classes.
        weights, input_size: see :func:`timm_backbone`.
        dropout: ``blocks`` drops after each residual block, too.
    """
    from timm.models.resnet import BasicBlock

    network = timm_backbone(context, "resnet18.tv_in1k", weights, drop_rate=FOCAL_DROPOUT, input_size=input_size)
    for block in network.modules() if dropout == "blocks" else ():
        if isinstance(block, BasicBlock):
            block.act2 = nn.Sequential(block.act2, nn.Dropout(FOCAL_DROPOUT))
    return network


def resnet50_finetuned(context: ModelContext, weights: str = "imagenet", input_size: int = 0) -> nn.Module:
    """ResNet-50 with a new classifier; its recipe trains that first."""
    return timm_backbone(context, "resnet50.tv_in1k", weights, input_size=input_size)


def _build(name: str, size: int, build: Callable[[], Any]) -> Any:
    """Run *build* and return its result; whatever goes wrong becomes one sentence."""
    try:
        return build()
    except Exception as error:  # constructors raise many kinds
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(
            f"{name} does not work for images of {size} pixels with these options "
            f"({type(error).__name__}: {reason}): try another input_size, such as 224, or fewer options."
        ) from None


def _tried(network: nn.Module, name: str, context: ModelContext) -> nn.Module:
    """Pass one black image through *network*, since many architectures fail on small ones only then."""
    image = torch.zeros(1, context.channels, context.size, context.size)
    with torch.no_grad():
        _build(name, context.size, lambda: network.eval()(image))
    return network.train()


def _adapted(
    network: nn.Module,
    input_size: int,
    context: ModelContext,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
) -> nn.Module:
    resized = input_size if input_size != context.size else 0
    return Adapted(network, resized, mean, std) if resized or mean else network


def _classifier(network: nn.Module) -> tuple[str, ...]:
    """Names of the modules that give the logits: timm declares them, in torchvision it is the last layer."""
    declared = getattr(network, "pretrained_cfg", {}).get("classifier")
    if declared:
        return (declared,) if isinstance(declared, str) else tuple(declared)
    layers = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return (layers[-1],)
