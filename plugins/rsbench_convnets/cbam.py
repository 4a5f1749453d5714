"""The 7-layer network with convolutional block attention."""

from __future__ import annotations

import torch
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_convnets.init import initialize


class CBAM(nn.Module):
    """Channel, then spatial attention (Woo et al. 2018, eq. 1-3) in the author's variant.

    The shared MLP has no bias, the 7x7 convolution neither bias nor BatchNorm, and the pooled maps come as [mean, max];
    timm's module has BatchNorm there, so it is not used.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels, bias=False),
        )
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale [B, C, H, W] by both gates."""
        gate = torch.sigmoid(self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3))))
        x = x * gate[:, :, None, None]
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.spatial(pooled))


def _unit(channels: int, width: int, attention: bool) -> nn.Sequential:
    """Two convolutions with BatchNorm and ReLU, attention if asked for, and a pooling by 2."""
    layers: list[nn.Module] = []
    for inputs in (channels, width):
        layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if attention:
        layers.append(CBAM(width))
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def cbam_cnn(context: ModelContext) -> nn.Sequential:
    """Build the network for images [B, C, S, S] with S >= 64: six pooled units, a 1x1 unit, and a two-layer head."""
    widths = (32, 64, 128, 256, 512, 512)
    inputs = (context.channels, *widths[:-1])
    units = [_unit(i, w, attention=k > 0) for k, (i, w) in enumerate(zip(inputs, widths, strict=True))]
    last = nn.Sequential(nn.Conv2d(512, 512, 1), nn.BatchNorm2d(512), nn.ReLU(inplace=True))
    head = nn.Sequential(nn.Linear(512, 256), nn.ReLU(inplace=True), nn.Dropout(0.4))
    classifier = nn.Linear(256, context.num_classes)
    network = nn.Sequential(*units, last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head, classifier)
    initialize(network)
    return network
