"""Builds backbones of timm and torchvision with a new classifier and the weights asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.classification import ModelContext
from rsbench_timm.weights import load_file


class Upsampled(nn.Module):
    """Resizes images bilinearly to ``size`` pixels before the network sees them."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] to logits [B, K]."""
        size = (self.size, self.size)
        return self.network(F.interpolate(images, size=size, mode="bilinear", antialias=self.size < images.shape[-1]))


def timm_backbone(
    context: ModelContext, architecture: str, weights: str = "none", drop_rate: float = 0.0, input_size: int = 0
) -> nn.Module:
    """Build a timm network for ``context.channels`` bands and ``context.num_classes`` classes.

    Raises:
        UserError: the weights cannot be had, or the network cannot be built for this size.
    """
    import timm

    size = input_size or context.size
    options: dict[str, Any] = {
        "num_classes": context.num_classes,
        "in_chans": context.channels,
        "drop_rate": drop_rate,
        "cache_dir": context.weights_dir,
    }
    entry = timm.model_entrypoint(architecture.partition(".")[0])
    if "vision_transformer" in entry.__module__ or "img_size" in inspect.signature(_class_of(entry)).parameters:
        options["img_size"] = size
    build: Callable[..., nn.Module] = timm.create_model
    if weights == "imagenet":
        network = _download(lambda: build(architecture, pretrained=True, **options), f"timm:{architecture}")
    else:
        network = build(architecture, pretrained=False, **options)
        if weights != "none":
            load_file(network, weights, context.num_classes)
    return _sized(network, input_size, context.size)


def _class_of(entry: Callable[..., nn.Module]) -> Any:
    """The network class that a timm entry point builds, as far as its module tells; else the entry point."""
    module = inspect.getmodule(entry)
    classes = [c for c in vars(module).values() if inspect.isclass(c) and issubclass(c, nn.Module)]
    named = [c for c in classes if c.__module__ == module.__name__ and "img_size" in inspect.signature(c).parameters]  # type: ignore[union-attr]
    return named[-1] if named else entry


def torchvision_backbone(
    context: ModelContext, architecture: str, weights: str = "none", drop_rate: float = 0.0, input_size: int = 0
) -> nn.Module:
    """Build a torchvision network; its last linear or convolutional layer gives ``context.num_classes`` logits.

    Raises:
        UserError: the weights cannot be had, or the network takes other than 3 bands.
    """
    from torchvision import models

    if context.channels != 3:
        raise UserError(f"torchvision:{architecture} takes 3 bands, not {context.channels}; use a timm backbone.")
    options: dict[str, Any] = {"num_classes": context.num_classes}
    signature = inspect.signature(models.get_model_builder(architecture))
    if drop_rate and ("dropout" in signature.parameters or architecture.startswith("squeezenet")):
        options["dropout"] = drop_rate
    network = models.get_model(architecture, weights=None, **options)
    if weights == "imagenet":
        enum = models.get_model_weights(architecture)
        best = next(iter(enum))
        state = _download(lambda: best.get_state_dict(progress=False), f"torchvision:{architecture}")
        load_file(network, state, context.num_classes)
    elif weights != "none":
        load_file(network, weights, context.num_classes)
    return _sized(network, input_size, context.size)


def resnet18_class_focal(context: ModelContext, weights: str = "imagenet", input_size: int = 0) -> nn.Module:
    """ResNet-18 with dropout .25 before the classifier; all layers are trained."""
    return timm_backbone(context, "resnet18", weights, 0.25, input_size)


def resnet50_finetuned(context: ModelContext, weights: str = "imagenet", input_size: int = 0) -> nn.Module:
    """ResNet-50 with a new classifier; its recipe trains that first."""
    return timm_backbone(context, "resnet50", weights, 0.0, input_size)


def _sized(network: nn.Module, input_size: int, size: int) -> nn.Module:
    return Upsampled(network, input_size) if input_size and input_size != size else network


def _download(build: Callable[[], Any], name: str) -> Any:
    """Run *build*, which downloads weights; whatever goes wrong becomes one sentence."""
    try:
        return build()
    except Exception as error:  # the hubs raise many kinds
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"The ImageNet weights of {name} cannot be downloaded ({type(error).__name__}: {reason}): "
            "give a local file with --weights FILE, or --weights none."
        ) from None
