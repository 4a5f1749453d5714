"""Images for an accelerator: on it where they fit, streamed through pinned memory where they do not."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, Self

import numpy as np
import torch

from rsbench.engine.input.augmentation import apply_turn
from rsbench.engine.input.normalization import Normalization

RESIDENT_SHARE: Final = 0.5  # of the device's free memory


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """Wrap a (read-only) array without a copy; uint16 comes as int16 bits, which torch can index."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(images.view(np.int16) if images.dtype == np.uint16 else images)


def fits(images: np.ndarray, device: torch.device) -> bool:
    """Whether a store's images fit in the free memory that the loader may use on *device*."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes < RESIDENT_SHARE * free


class GpuImages:
    """Gathers, turns, casts and normalizes the images of each batch by operations of the device.

    Args:
        images, bands, normalization, batch: as for :class:`CpuImages`.
        device: where the batches go.
        resident: keep the images there: ``None`` decides by free memory.
        share_images_with: others of the same images, whose copy on the device serves these too.
    """

    def __init__(
        self,
        images: np.ndarray,
        bands: Sequence[int],
        normalization: Normalization,
        batch: int,
        device: torch.device,
        resident: bool | None = None,
        share_images_with: GpuImages | None = None,
    ) -> None:
        self.device = device
        self.resident: bool
        self.stored: torch.Tensor
        self._unsigned16 = images.dtype == np.uint16
        self._bands = None if list(bands) == list(range(images.shape[1])) else torch.tensor(bands)
        self._channels = len(bands)
        if share_images_with is not None and share_images_with.resident and share_images_with.device == device:
            self.resident, self.stored = True, share_images_with.stored
        else:
            self.resident = fits(images, device) if resident is None else resident
            self.stored = as_tensor(images).to(device) if self.resident else as_tensor(images)
        factors = map(torch.from_numpy, normalization.scale_and_offset)
        self._scale, self._offset = (t.view(1, -1, 1, 1).to(device) for t in factors)
        self._allocate(batch)

    def _allocate(self, batch: int) -> None:
        self._raw = [self._raw_buffer((batch, *self.stored.shape[1:])) for _ in range(2)]
        self._buffer = torch.empty((batch, self._channels, *self.stored.shape[2:]), device=self.device)

    def _raw_buffer(self, shape: tuple[int, ...]) -> torch.Tensor:
        if self.resident:
            return torch.empty(shape, dtype=self.stored.dtype, device=self.device)
        return torch.empty(shape, dtype=self.stored.dtype, pin_memory=True)

    def in_batches_of(self, batch: int) -> Self:
        """Return the same images with buffers for batches of another size."""
        made = copy.copy(self)
        made._allocate(batch)
        return made

    def iter_batches(
        self, rows: np.ndarray, counts: Sequence[Sequence[int]], normalized: bool
    ) -> Iterator[torch.Tensor]:
        """Yield one batch after another, as :meth:`CpuImages.iter_batches` does; all numbers are sent in one piece."""
        numbers = torch.from_numpy(rows).to(self.stored.device, non_blocking=True).split([sum(each) for each in counts])
        gathered = (
            (self._gather(each, self._raw[0]) for each in numbers)
            if self.resident
            else streamed(self._gather, numbers, self._raw, self._send)
        )
        for raw, each in zip(gathered, counts, strict=True):
            floats = self._cast_turned(raw, each)
            if normalized:
                self.normalize(floats)
            yield floats

    def normalize(self, floats: torch.Tensor) -> None:
        """Normalize floats [b, C, H, W] in place."""
        torch.addcmul(self._offset, floats, self._scale, out=floats)

    def _gather(self, rows: torch.Tensor, buffer: torch.Tensor) -> torch.Tensor:
        return torch.index_select(self.stored, 0, rows, out=buffer[: len(rows)])

    def _send(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Return *raw* on the device, and what happens once it has been read."""
        sent = raw.to(self.device, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return sent, event

    def _cast_turned(self, raw: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """Return integers as floats, each slice turned by its code."""
        if self._bands is not None:
            raw = raw.index_select(1, self._bands.to(raw.device, non_blocking=True))
        floats, start = self._buffer[: len(raw)], 0
        for code, count in enumerate(counts):
            if count:
                turned = apply_turn(raw.narrow(0, start, count), code)
                floats.narrow(0, start, count).copy_(turned.view(torch.uint16) if self._unsigned16 else turned)
                start += count
        return floats


class Happens(Protocol):
    """Something that a thread can wait for, such as an event of CUDA."""

    def synchronize(self) -> None:
        """Wait."""


def streamed(
    gather: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    rows: Sequence[torch.Tensor],
    buffers: Sequence[torch.Tensor],
    send: Callable[[torch.Tensor], tuple[torch.Tensor, Happens]],
) -> Iterator[torch.Tensor]:
    """Yield gathered rows on the device while a thread gathers the next ones into the other of two pinned buffers.

    The thread, and never the caller, waits until what a buffer held has been read.

    Args:
        gather: ``(rows, buffer) -> gathered``, which fills a buffer.
        rows: int64 [n] for each piece: the rows of the images to gather.
        buffers: pinned memory for one piece each, used in turn.
        send: starts the copy to the device; returns the tensor there, and an event after which the buffer may be filled
            again.
    """
    read: list[Happens | None] = [None] * len(buffers)

    def fill(k: int) -> torch.Tensor:
        before = read[k % len(buffers)]
        if before is not None:
            before.synchronize()
        return gather(rows[k], buffers[k % len(buffers)])

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(fill, 0)
        for k in range(len(rows)):
            sent, read[k % len(buffers)] = send(pending.result())
            if k + 1 < len(rows):
                pending = pool.submit(fill, k + 1)
            yield sent
