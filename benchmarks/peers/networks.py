"""The networks of the comparison, by timm's names, since torchgeo's task builds what timm knows."""

from __future__ import annotations

from typing import Any, Final

import timm
import torch
from timm.models import register_model
from torch import nn

TINY: Final = "rsbench_tiny_cnn"
SMALL: Final = "rsbench_small_cnn"
RESNET: Final = "resnet18"


def convolutions(widths: tuple[int, ...], num_classes: int, in_chans: int) -> nn.Sequential:
    """Convolutions with BatchNorm that halve the side each, and a linear layer on their mean."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(in_chans, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        in_chans = width
    return nn.Sequential(*layers, *head(in_chans, num_classes))


def head(width: int, num_classes: int) -> list[nn.Module]:
    """The mean over the image, and a linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes)]


@register_model
def rsbench_tiny_cnn(pretrained: bool = False, num_classes: int = 10, in_chans: int = 3, **_: Any) -> nn.Sequential:
    """A network so small that its step takes about a millisecond: what is left is the framework's time."""
    return nn.Sequential(nn.Conv2d(in_chans, 16, 8, 8), nn.ReLU(inplace=True), *head(16, num_classes))


@register_model
def rsbench_small_cnn(pretrained: bool = False, num_classes: int = 10, in_chans: int = 3, **_: Any) -> nn.Sequential:
    """Four convolutions, which learn EuroSAT to some 90 % within minutes on one core."""
    return convolutions((16, 32, 64, 128), num_classes, in_chans)


def build(name: str, seed: int, layout: str) -> nn.Module:
    """Return the network with the weights of *seed*, in memory *layout* ``contiguous | channels_last``."""
    torch.manual_seed(seed)
    return timm.create_model(name, num_classes=10).to(memory_format=memory_format(layout))


def memory_format(layout: str) -> torch.memory_format:
    """Return torch's constant."""
    return {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[layout]
