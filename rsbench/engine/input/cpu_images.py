"""Images for a CPU, in its memory or in a file that is mapped there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import torch

from rsbench.engine.input.kernels import gather
from rsbench.engine.input.normalization import Normalization


class CpuImages:
    """Makes the images of each batch in one pass over memory.

    Args:
        images: [N, C, H, W] of any integers or floats.
        bands: which channels to take, in this order.
        normalization: of these bands, in stored units.
        batch: how many images are asked for at most.
    """

    def __init__(self, images: np.ndarray, bands: Sequence[int], normalization: Normalization, batch: int) -> None:
        self.stored = np.asarray(images).view()
        self.stored.flags.writeable = False
        self._bands = np.asarray(bands, dtype=np.int64)
        self._normalized = scale, offset = normalization.scale_and_offset
        self._by_channel = list(zip(scale.tolist(), torch.from_numpy(offset).unbind(), strict=True))
        self._as_stored = np.ones(len(bands), dtype=np.float32), np.zeros(len(bands), dtype=np.float32)
        self._allocate(batch)

    def _allocate(self, batch: int) -> None:
        self._buffer = torch.empty((batch, len(self._bands), *self.stored.shape[2:]))

    def in_batches_of(self, batch: int) -> Self:
        """Return the same images with a buffer for batches of another size."""
        made = copy.copy(self)
        made._allocate(batch)
        return made

    def iter_batches(
        self, rows: np.ndarray, counts: Sequence[Sequence[int]], normalized: bool
    ) -> Iterator[torch.Tensor]:
        """Yield one batch after another, float32 [b, C, H, W], in a buffer that the next one overwrites.

        Args:
            rows: int64 [n], image numbers of all batches.
            counts: of each batch, how many images have each of :meth:`Augmentation.dihedral_codes`, one after another.
            normalized: whether to normalize; else the floats are in stored units.

        Raises:
            IndexError: there is no image of such a number.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self.stored):
            raise IndexError(f"images {rows.min()} to {rows.max()} of {len(self.stored)}")
        scale, offset = self._normalized if normalized else self._as_stored
        end = 0
        for each in counts:
            start, end = end, end + sum(each)
            out = self._buffer[: end - start]
            turns = np.asarray(each, dtype=np.int64)
            gather(self.stored, rows[start:end], turns, self._bands, scale, offset, out.numpy())
            yield out

    def normalize(self, floats: torch.Tensor) -> None:
        """Normalize floats [b, C, ...] in place; channel by channel, for torch uses no vectors where it stretches."""
        for channel, (scale, offset) in zip(floats.unbind(1), self._by_channel, strict=True):
            torch.add(offset, channel, alpha=scale, out=channel)
