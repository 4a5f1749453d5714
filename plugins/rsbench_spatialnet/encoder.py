"""The image encoder: patches, a class token, learned positions, transformer layers (SpatialNet-ViT eq. 1-5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class TokenEncoder(nn.Module):
    """What the heads build on: images [I, C, H, W] -> tokens [I, 1 + N, dim], the class token first."""

    dim: int


class PatchEncoder(TokenEncoder):
    """ViT encoder: 12 layers of 8 heads at D 512, patch 16 and 256 pixels have 38,355,456 parameters.

    Args:
        channels: bands of the images.
        patch: side of a patch in pixels.
        dim: numbers in a token, a multiple of *heads*.
        depth, heads, mlp: layers, heads of attention, and width of the feed-forward.
        activation: ``relu`` or ``gelu``.
        dropout: in training, in [0, 1).
        size: side of the images in pixels; others are resized to it.
        norm: ``post`` (LayerNorm after each residual sum) or ``pre``.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        patch: int = 16,
        dim: int = 512,
        depth: int = 12,
        heads: int = 8,
        mlp: int = 2048,
        activation: str = "relu",
        norm: str = "post",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.size, self.dim = size, dim
        self.embed = nn.Conv2d(channels, dim, patch, patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.empty(1, (size // patch) ** 2 + 1, dim))
        self.dropout = nn.Dropout(dropout)
        self.layers = transformer(dim, heads, mlp, depth, activation, norm, dropout)
        self.norm = nn.LayerNorm(dim)
        nn.init.trunc_normal_(self.cls, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [I, C, H, W] to tokens [I, 1 + N, D], the class token first."""
        if images.shape[-1] != self.size:
            smaller = self.size < images.shape[-1]
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=smaller)
        patches = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(patches), -1, -1), patches], dim=1)
        return self.norm(self.layers(self.dropout(tokens + self.positions)))


def transformer(
    dim: int, heads: int, mlp: int, depth: int, activation: str, norm: str, dropout: float
) -> nn.TransformerEncoder:
    """Return a stack of torch's encoder layers over tokens [B, N, D].

    Args:
        dim, heads, mlp, depth: numbers in a token, heads of attention, width of the feed-forward, and number of layers.
        activation: ``relu`` or ``gelu``.
        norm: ``post`` (LayerNorm after each residual sum) or ``pre``.
        dropout: in training, in [0, 1).
    """
    layer = nn.TransformerEncoderLayer(dim, heads, mlp, dropout, activation, batch_first=True, norm_first=norm == "pre")
    stack = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    for parameter in stack.parameters():  # the copies of one layer start alike otherwise
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
    return stack
