"""Segments of images, all of a batch at once."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F

ROWS: Final = 5
COLUMNS: Final = 6
SIDE: Final = 48  # pixels of the thumbnail that is segmented
ROUNDS: Final = 10
COMPACTNESS: Final = 0.5  # distance of one grid cell, in standard deviations of color


@torch.no_grad()
def segment(images: torch.Tensor) -> torch.Tensor:
    """Return the segment of each pixel of a thumbnail, int64 [I, 48, 48] in 0 .. 29.

    k-means on color and position from a regular grid of 5 x 6 centers: SLIC (Achanta et al. 2012) with distances to
    all centers instead of the near ones.  Segments may end up empty, and need not be connected.

    Args:
        images: normalized, float [I, C, H, W].
    """
    with torch.autocast(images.device.type, enabled=False):  # positions need more digits than bfloat16 has
        return _clustered(images.float())


def _clustered(images: torch.Tensor) -> torch.Tensor:
    color = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
    color = color / images.shape[1] ** 0.5  # the distance is then a mean over bands
    middle = (torch.arange(SIDE, device=images.device) + 0.5) / SIDE
    position = torch.stack(torch.meshgrid(middle * ROWS, middle * COLUMNS, indexing="ij")) * COMPACTNESS
    features = torch.cat([color, position.expand(len(images), -1, -1, -1)], 1)
    centers = F.adaptive_avg_pool2d(features, (ROWS, COLUMNS)).flatten(2).transpose(1, 2)
    points = features.flatten(2).transpose(1, 2)
    for _ in range(ROUNDS):
        members = F.one_hot(torch.cdist(points, centers).argmin(2), ROWS * COLUMNS).float()
        size = members.sum(1)[..., None]
        centers = torch.where(size > 0, members.transpose(1, 2) @ points / size.clamp(min=1), centers)
    return torch.cdist(points, centers).argmin(2).view(-1, SIDE, SIDE)


def pool(features: torch.Tensor, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Average a map over segments; each of its places counts for the share of it that a segment covers.

    Args:
        features: [I, D, h, w].
        segments: int64 [I, 48, 48].

    Returns:
        Means [I, 30, D], 0 for empty segments, and which segments there are, bool [I, 30].
    """
    members = F.one_hot(segments, ROWS * COLUMNS).movedim(3, 1).to(features.dtype)
    height, width = features.shape[2:]
    shares = F.adaptive_avg_pool2d(members, (height, width)).flatten(2)
    area = shares.sum(2, keepdim=True)
    return shares / area.clamp(min=1e-6) @ features.flatten(2).transpose(1, 2), area[..., 0] > 0
