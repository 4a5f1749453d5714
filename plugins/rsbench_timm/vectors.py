"""Vectors of images as they are stored, for estimators that learn nothing in the encoder."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from rsbench_timm.encoders import IMAGENET_MEAN, IMAGENET_STD, Encoder

IMAGES: Final = 32  # in the encoder at once


@torch.no_grad()
def image_vectors(encoder: Encoder, images: np.ndarray) -> torch.Tensor:
    """Return the encoder's vectors float32 [N, D] of images uint8 [N, 3, H, W], normalized as ImageNet's."""
    mean, std = (torch.tensor(s).view(3, 1, 1) for s in (IMAGENET_MEAN, IMAGENET_STD))
    parts = torch.from_numpy(np.ascontiguousarray(images)).split(IMAGES)
    return torch.cat([encoder.vectors((part.float() / 255 - mean) / std) for part in parts])
