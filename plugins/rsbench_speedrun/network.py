"""The speedrun network: whitened patches, three stages of two convolutions, and eight views in evaluation.

Where the work goes: 4x4 patches make the largest maps of a 64-pixel image 16x16, and pooling comes before BatchNorm and
activation, so that these run on a quarter of the values.  The ideas of a fixed whitening first layer with both signs,
of filters that start as the identity, of pooling before BatchNorm and of averaging views are from airbench (Jordan
2024, arXiv 2404.00498).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.tasks.context import ModelContext

PATCH: Final = 4
KEPT: Final = 24  # coefficients of a patch


def cosines(n: int) -> torch.Tensor:
    """Return the orthonormal cosine transform DCT-II, float32 [n, n]; row 0 is the mean."""
    frequency, place = torch.arange(n)[:, None], torch.arange(n)[None, :]
    rows = torch.cos(math.pi * frequency * (2 * place + 1) / (2 * n))
    return rows * torch.where(frequency == 0, math.sqrt(1 / n), math.sqrt(2 / n))


def slowest_waves(channels: int) -> torch.Tensor:
    """Return the waves of lowest frequency over channels, rows and columns of a patch, [<= 24, channels, 4, 4].

    They are orthonormal, and nearly the first principal components of patches of photographs: over three channels the
    cosines are brightness, first against last, and middle against both.
    """
    patch = cosines(PATCH)
    waves = torch.einsum("kc,uy,vx->kuvcyx", cosines(channels), patch, patch).flatten(0, 2)
    frequency = sum(torch.meshgrid(*(torch.arange(n) for n in (channels, PATCH, PATCH)), indexing="ij"))
    return waves[torch.argsort(torch.as_tensor(frequency).flatten(), stable=True)[:KEPT]]


class WhitenedPatches(nn.Module):
    """Turn each 4x4 patch into its slowest waves, each scaled to mean 0 and variance 1, positive and negative parts.

    What is scaled is nearly white, although nothing about the images has to be known beforehand: the transform is
    fixed, and BatchNorm without parameters does the scaling.
    """

    waves: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("waves", slowest_waves(channels), persistent=False)
        self.scale = nn.BatchNorm2d(len(self.waves), affine=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] to [B, 48, S / 4, S / 4]."""
        white = self.scale(F.conv2d(images, self.waves, stride=PATCH))
        return F.relu(torch.cat([white, -white], dim=1), inplace=True)

    @property
    def width(self) -> int:
        """Channels that come out."""
        return 2 * len(self.waves)


class Convolution(nn.Conv2d):
    """3x3 without bias; one that widens starts as the identity on as many channels as there are."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1, bias=False)
        if channels != width:
            nn.init.dirac_(self.weight.data[:channels])


class Stage(nn.Module):
    """conv, pool, BatchNorm, ReLU; then residual blocks x + ReLU(BatchNorm(conv(x))).

    Args:
        channels, width: of the input and of the output.
        residuals: how many residual blocks.
        pool: whether to halve height and width.
    """

    def __init__(self, channels: int, width: int, residuals: int, pool: bool) -> None:
        super().__init__()
        pooling = [nn.MaxPool2d(2)] if pool else []
        self.entry = nn.Sequential(Convolution(channels, width), *pooling, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.residuals = nn.ModuleList(
            nn.Sequential(Convolution(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
            for _ in range(residuals)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map [B, C, H, W] to [B, width, H, W], or to half the side."""
        x = self.entry(x)
        for residual in self.residuals:
            x = x + residual(x)
        return x


class Speedrun(nn.Module):
    """Whitened patches, stages, global maximum, linear classifier.

    Args:
        channels, classes: of the images and of the logits.
        widths: channels of each stage; all but the first halve the side of the maps.
        residuals: residual blocks of each stage.
        views: of the eight flips and quarter turns of an image, how many are averaged in evaluation: 1, 2, 4 or 8.
    """

    def __init__(self, channels: int, classes: int, widths: Sequence[int], residuals: int, views: int) -> None:
        super().__init__()
        self.views = views
        self.patches = WhitenedPatches(channels)
        inputs = (self.patches.width, *widths[:-1])
        self.stages = nn.Sequential(
            *(Stage(i, w, residuals, pool=k > 0) for k, (i, w) in enumerate(zip(inputs, widths, strict=True)))
        )
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] to logits [B, K]; in evaluation to their mean over the views."""
        if self.training:
            return self.logits(images)
        return torch.stack([self.logits(view) for view in symmetries(images)[: self.views]]).mean(0)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Map one view [B, C, S, S] to logits [B, K]."""
        return self.classifier(self.stages(self.patches(images)).amax((2, 3)))


def symmetries(images: torch.Tensor) -> list[torch.Tensor]:
    """Return the eight flips and quarter turns of square images [B, C, S, S], the images themselves first.

    The first two are a flip apart, the first four flips of each other.
    """
    flips = [images, images.flip(3), images.flip(2), images.flip((2, 3))]
    return flips + [f.transpose(2, 3) for f in flips]


def speedrun(context: ModelContext, width: int = 48, residuals: int = 1, views: int = 8) -> Speedrun:
    """Build the network with stages of one, two and four times *width* channels.

    Args:
        context: bands and classes.
        width: channels of the first stage.
        residuals: residual blocks of each stage.
        views: flips and turns of an image whose logits are averaged in evaluation: 1, 2, 4 or 8.
    """
    return Speedrun(context.channels, context.num_classes, (width, 2 * width, 4 * width), residuals, views)
