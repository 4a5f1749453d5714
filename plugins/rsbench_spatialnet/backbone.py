"""SpatialNet-ViT's heads on another image encoder: any backbone of timm or torchvision that gives feature maps."""

from __future__ import annotations

from typing import Any

import torch
from rsbench_timm.encoders import Encoder, grid_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_spatialnet.encoder import TokenEncoder
from rsbench_spatialnet.network import Answerer, Captioner, Classifier, with_head


def on_backbone(context: ModelContext, **options: Any) -> nn.Module:
    """Build the network for the task of *context*; options as declared.

    Raises:
        UserError: the width is not a multiple of the heads, there is no such backbone, or its weights cannot be had.
    """
    trunk = grid_encoder(context, *(options[k] for k in ("backbone", "weights", "freeze", "input_size")))
    encoder = MapEncoder(trunk, options["dim"])
    return with_head(encoder, context, options, (BackboneClassifier, BackboneCaptioner, BackboneAnswerer))


class MapEncoder(TokenEncoder):
    """The places of a trunk's coarsest map, projected; their mean is the class token."""

    def __init__(self, trunk: Encoder, dim: int) -> None:
        super().__init__()
        self.trunk, self.dim = trunk, dim
        self.project = nn.Linear(trunk.widths[-1], dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, images: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        """Map images [I, C, H, W], or the trunk's features of them, to tokens [I, 1 + N, D]."""
        places = self.project(self.trunk(images)[-1].flatten(2).transpose(1, 2))
        return self.norm(torch.cat([places.mean(1, keepdim=True), places], dim=1))


class _OnBackbone(nn.Module):
    """Offers the features of a frozen trunk; see :mod:`rsbench.tasks.captioning`."""

    encoder: Any  # a MapEncoder; the heads' classes say TokenEncoder

    @property
    def frozen(self) -> bool:
        """Whether the features of an image never change."""
        return self.encoder.trunk.frozen

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what the network takes in place of images."""
        return self.encoder.trunk(images)


class BackboneClassifier(_OnBackbone, Classifier):
    """A linear head on the mean place."""


class BackboneCaptioner(_OnBackbone, Captioner):
    """The caption head and the land-use head on the places of a map."""


class BackboneAnswerer(_OnBackbone, Answerer):
    """The question heads on the mean place."""
