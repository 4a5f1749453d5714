"""A small convolutional network."""

from __future__ import annotations

from torch import nn

from rsbench.tasks.context import ModelContext

WIDTHS = (24, 48, 96, 128)


def tiny_cnn(context: ModelContext) -> nn.Sequential:
    """Build the network for images [B, C, S, S] with S >= 16: stages of a strided convolution, BatchNorm and ReLU."""
    layers: list[nn.Module] = []
    channels = context.channels
    for width in WIDTHS:
        layers += [nn.Conv2d(channels, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        channels = width
    layers += [nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, context.num_classes)]
    return nn.Sequential(*layers, *head)
