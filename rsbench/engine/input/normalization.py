"""What is subtracted from images and what they are divided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalization:
    """``(x - mean) / std`` per band, in stored units."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def scale_and_offset(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as ``x * scale + offset``, float32 [C] each."""
        mean, std = (np.asarray(values, dtype=np.float32) for values in (self.mean, self.std))
        return 1 / std, -mean / std


def normalization_for(kind: str, images: np.ndarray, samples: np.ndarray, bands: list[int]) -> Normalization:
    """Return what *kind* (``dataset | imagenet | unit | none``) means for a store's images.

    ``imagenet`` holds for 3-band uint8 only; elsewhere the statistics of the training split *samples* are used.

    Args:
        kind: as in :class:`rsbench.specs.Accepts`.
        images: [N, C, H, W] as stored.
        samples: int64 [n], rows of the training split's images.
        bands: numbers of the channels that are used, in order.
    """
    rgb = images.dtype == np.uint8 and len(bands) == 3
    if kind == "imagenet" and rgb:
        return Normalization(tuple(255 * m for m in IMAGENET_MEAN), tuple(255 * s for s in IMAGENET_STD))
    if kind == "none":
        return Normalization((0.0,) * len(bands), (1.0,) * len(bands))
    if kind == "unit":
        top = float(np.iinfo(images.dtype).max) if images.dtype.kind in "ui" else 1.0
        return Normalization((0.0,) * len(bands), (top,) * len(bands))
    mean, std = band_statistics(images, samples, bands)
    return Normalization(tuple(mean), tuple(std))


def band_statistics(images: np.ndarray, samples: np.ndarray, bands: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return per-band mean and standard deviation float64 [C] over the given images, in stored units."""
    total = np.zeros(len(bands))
    squares = np.zeros(len(bands))
    pixels = 0
    for start in range(0, len(samples), 256):
        block = images[np.sort(samples[start : start + 256])][:, bands].astype(np.float64)
        total += block.sum(axis=(0, 2, 3))
        squares += np.einsum("bchw,bchw->c", block, block)
        pixels += block.shape[0] * block.shape[2] * block.shape[3]
    mean = total / max(pixels, 1)
    variance = np.maximum(squares / max(pixels, 1) - mean**2, 0)
    return mean, np.where(variance > 0, np.sqrt(variance), 1.0)
