"""Batches from a prepared store: gathered, turned, cast and normalised as whole batches in reused buffers.

On a CPU that is one pass over memory.  Elsewhere images live on the device when they fit there and are streamed through
pinned memory when they do not.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F

from rsbench.engine.augment import Augmentation, apply_turn, draw
from rsbench.engine.distributed import ALONE, Ranks
from rsbench.engine.gather import HostImages
from rsbench.engine.normalisation import Normalisation
from rsbench.engine.streaming import streamed
from rsbench.errors import UserError

RESIDENT_SHARE: Final = 0.5  # of the device's free memory


@dataclass(frozen=True)
class Batch:
    """One batch.  ``images`` is a buffer that the next batch overwrites.

    Attributes:
        images: float32 [B, C, S, S], normalised; in training on several ranks the consecutive slice of this one.
        targets: int64 [B] labels, or what else the task learns; its length is the number of samples.
        index: int64 [B], item numbers, in the order of the images.
        share: where these images stand among those that the targets are of; ``None``: they are all.
    """

    images: torch.Tensor
    targets: Any
    index: np.ndarray
    share: slice | None = None

    def __len__(self) -> int:
        """Samples."""
        return len(self.targets)


@dataclass(frozen=True)
class Group:
    """What one batch is made of, as positions int64 in the samples of a loader.

    Attributes:
        images: [b], those whose images this rank makes.
        counts: how many of them have each turn, one after another; ``None`` where none is turned.
        targets: [B], those of the whole batch.
        share: where the images stand in the whole batch; ``None``: they are all of it.
    """

    images: np.ndarray
    counts: list[int] | None
    targets: np.ndarray
    share: slice | None = None


class Targets(Protocol):
    """What is learnt of items: the one thing about a batch that depends on the task."""

    def select(self, items: np.ndarray, epoch: int | None, device: torch.device) -> Any:
        """Return the targets of items int64 [B] on *device*; ``epoch`` is ``None`` for evaluation."""

    def count(self, items: np.ndarray) -> int:
        """How many samples these items hold."""


class Labels:
    """One label an item."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = torch.from_numpy(np.ascontiguousarray(labels))

    def select(self, items: np.ndarray, epoch: int | None, device: torch.device) -> torch.Tensor:
        """Return int64 [B]."""
        del epoch
        return self.labels.index_select(0, torch.from_numpy(items)).to(device, non_blocking=True)

    def count(self, items: np.ndarray) -> int:
        """One sample an item."""
        return len(items)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    """Wrap a (read-only) array without a copy; uint16 comes as int16 bits, which torch can index."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(images.view(np.int16) if images.dtype == np.uint16 else images)


class ArrayLoader:
    """Iterates over samples of a store as normalised batches on a device.

    Args:
        images: [N, C, H, W] as stored.
        image_index: int64 [M], the image of each item.
        targets: int64 [M] labels, or :class:`Targets` of another task.
        samples: int64 [n], the items to iterate over.
        bands: which channels to take, in this order.
        size: side of the batches in pixels; other stored sizes are resized bilinearly with antialiasing.
        augmentation: applied in training epochs; ``None`` for evaluation.
        resident: keep the images on the device: ``None`` decides by free memory.
        beside: a loader of the same images, whose copy on the device serves this one too.
    """

    def __init__(
        self,
        images: np.ndarray,
        image_index: np.ndarray,
        targets: np.ndarray | Targets,
        samples: np.ndarray,
        *,
        batch: int,
        device: torch.device,
        normalisation: Normalisation,
        bands: list[int],
        size: int | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        resident: bool | None = None,
        beside: ArrayLoader | None = None,
    ) -> None:
        self.samples = np.asarray(samples, dtype=np.int64)
        self.batch = min(batch, max(len(self.samples), 1))
        self.device, self.augmentation, self.seed = device, augmentation, seed
        self.image_index = image_index
        self.targets: Targets = Labels(targets) if isinstance(targets, np.ndarray) else targets
        self.unsigned16 = images.dtype == np.uint16
        self.bands = None if bands == list(range(images.shape[1])) else torch.tensor(bands)
        self.size = None if size in (None, images.shape[-1]) else size
        shared = beside is not None and beside.resident and beside.device == device
        self.resident: bool = shared or (fits(images, device) if resident is None else resident)
        self.images: torch.Tensor = beside.images if beside is not None and shared else self._store(images)
        self.streams = self.images.device.type != device.type
        self.channels, self.ranks = len(bands), ALONE
        self._host = HostImages(images, bands, normalisation) if device.type == "cpu" else None
        self._allocate(self.batch)
        factors = normalisation.scale_and_offset
        scale, offset = map(torch.from_numpy, factors)
        self._by_channel = list(zip(factors[0].tolist(), offset.unbind(), strict=True))
        self._scale, self._offset = (t.view(1, -1, 1, 1).to(device) for t in (scale, offset))

    def _store(self, images: np.ndarray) -> torch.Tensor:
        store = as_tensor(images)
        return store.to(self.device) if self.resident and self.device.type != "cpu" else store

    def among(self, ranks: Ranks) -> Self:
        """Return a loader for one of several ranks: of its slice of each training batch, and of its part in order.

        Raises:
            UserError: a training batch has fewer images than there are ranks.
        """
        if ranks.world == 1:
            return self
        if self.augmentation is not None and self.batch < ranks.world:
            raise UserError(
                f"A batch of {self.batch} image(s) cannot be shared by {ranks.world} devices: use fewer devices, or a "
                "larger batch (--set batch=...)."
            )
        made = copy.copy(self)
        made.ranks = ranks
        made._allocate(self.batch if self.augmentation is None else max(ranks.sizes(self.batch)))
        return made

    def _allocate(self, batch: int) -> None:
        shape = (batch, *self.images.shape[1:])
        self._raw = [] if self._host else [self._buffer(shape, self.images.dtype) for _ in range(2)]
        self._floats = torch.empty((batch, self.channels, *self.images.shape[2:]), device=self.device)

    def _buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        if self.streams:
            return torch.empty(shape, dtype=dtype, pin_memory=True)
        return torch.empty(shape, dtype=dtype, device=self.images.device)

    def __len__(self) -> int:
        """Batches in a training epoch (the incomplete last one is left out)."""
        return len(self.samples) // self.batch

    @property
    def batch_samples(self) -> float:
        """Samples in a batch, on average."""
        return self.targets.count(self.samples) * self.batch / max(len(self.samples), 1)

    def order(self, epoch: int) -> np.ndarray:
        """Return the sample order of an epoch: positions int64 [n] in ``samples``, from (seed, epoch) alone."""
        stream = np.random.Philox(key=[self.seed & (2**64 - 1), epoch + 2**32])
        return np.random.Generator(stream).permutation(len(self.samples))

    def training_epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the shuffled, augmented batches of *epoch*, from batch number *start* on."""
        draws = None if self.augmentation is None else draw(self.seed, epoch, len(self.samples))
        batches = self.order(epoch)[: len(self) * self.batch].reshape(len(self), self.batch)[start:]
        yield from self._produce(self._by_turn(batches, draws), draws, epoch)

    def in_order(self) -> Iterator[Batch]:
        """Yield every sample exactly once, as stored, without augmentation; the last batch may be smaller."""
        positions = np.arange(len(self.samples))[self.ranks.share(len(self.samples))]
        chunks = [positions[i : i + self.batch] for i in range(0, len(positions), self.batch)]
        yield from self._produce([Group(c, None, c) for c in chunks], None, None)

    def stand_ins(self) -> Iterator[Batch]:
        """Yield the first sample as often as other ranks have more batches in :meth:`in_order`: for ranks that have to
        call a network equally often.  What comes of it does not count."""
        if self.ranks.sharded:
            batches = [-(-size // self.batch) for size in self.ranks.sizes(len(self.samples))]
            first = np.zeros(1, dtype=np.int64)
            missing = max(batches) - batches[self.ranks.number]
            yield from self._produce([Group(first, None, first)] * missing, None, None)

    def _by_turn(self, batches: np.ndarray, draws: np.ndarray | None) -> list[Group]:
        """Sort each of the batches [n, B] by flips and turns, so that each code is one slice; order within a batch is
        free."""
        own = self.ranks.share(self.batch)
        share = own if self.ranks.world > 1 else None
        if draws is None or self.augmentation is None or not self.augmentation.turns:
            return [Group(batch[own], None, batch, share) for batch in batches]
        codes = self.augmentation.turn_codes(draws)[batches]
        order = np.argsort(codes, axis=1, kind="stable")
        batches, codes = np.take_along_axis(batches, order, 1), np.take_along_axis(codes, order, 1)
        counts = (codes[:, own, None] == np.arange(8)).sum(1).tolist()
        return [Group(batch[own], each, batch, share) for batch, each in zip(batches, counts, strict=True)]

    def _produce(self, groups: list[Group], draws: np.ndarray | None, epoch: int | None) -> Iterator[Batch]:
        if not groups:
            return
        side = self._side(epoch)
        change = None
        if draws is not None and self.augmentation is not None and self.augmentation.acts_on_floats:
            change = self.augmentation.on_floats
        last = side is None and change is None
        for group, floats in zip(groups, self._floating(groups, normalised=last), strict=True):
            images = floats
            if side is not None:
                images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
            if change is not None and draws is not None:
                images = change(images, draws[group.images])
            if not last:
                self._normalise(images)
            targets = self.targets.select(self.samples[group.targets], epoch, self.device)
            yield Batch(images, targets, self.samples[group.images], group.share)

    def _floating(self, groups: list[Group], normalised: bool) -> Iterator[torch.Tensor]:
        """Yield the images of each group, turned, as floats in one buffer, normalised or in stored units."""
        rows = self._rows(groups)
        if self._host is not None:
            for group, each in zip(groups, rows, strict=True):
                floats = self._floats[: len(each)]
                self._host.take(each.numpy(), group.counts or [len(each)], normalised, floats.numpy())
                yield floats
            return
        gathered = (
            streamed(self._gather, rows, self._raw, self._send)
            if self.streams
            else (self._gather(each, self._raw[0]) for each in rows)
        )
        for group, raw in zip(groups, gathered, strict=True):
            floats = self._cast_turned(raw, group.counts or [len(raw)])
            if normalised:
                self._normalise(floats)
            yield floats

    def _rows(self, groups: list[Group]) -> Sequence[torch.Tensor]:
        """Return the image numbers int64 [b] of each group, sent to where the images are in one piece."""
        positions = np.concatenate([group.images for group in groups])
        rows = torch.from_numpy(self.image_index[self.samples[positions]]).to(self.images.device, non_blocking=True)
        return rows.split([len(group.images) for group in groups])

    def _gather(self, rows: torch.Tensor, buffer: torch.Tensor) -> torch.Tensor:
        return torch.index_select(self.images, 0, rows, out=buffer[: len(rows)])

    def _send(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Return *raw* on the device, and what happens once it has been read."""
        sent = raw.to(self.device, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self.device))
        return sent, event

    def _cast_turned(self, raw: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """Return integers as floats, each slice turned by its code."""
        if self.bands is not None:
            raw = raw.index_select(1, self.bands.to(raw.device, non_blocking=True))
        floats, start = self._floats[: len(raw)], 0
        for code, count in enumerate(counts):
            if count:
                turned = apply_turn(raw.narrow(0, start, count), code)
                floats.narrow(0, start, count).copy_(turned.view(torch.uint16) if self.unsigned16 else turned)
                start += count
        return floats

    def _normalise(self, images: torch.Tensor) -> None:
        """Scale and shift in place; on a CPU channel by channel, for torch uses no vectors there where it stretches."""
        if self._host is None:
            torch.addcmul(self._offset, images, self._scale, out=images)
            return
        for channel, (scale, offset) in zip(images.unbind(1), self._by_channel, strict=True):
            torch.add(offset, channel, alpha=scale, out=channel)

    def _side(self, epoch: int | None) -> int | None:
        """Side in pixels that images are resized to; ``None``: they stay as stored."""
        small = None if epoch is None or self.augmentation is None else self.augmentation.side(epoch)
        return small or self.size


def fits(images: np.ndarray, device: torch.device) -> bool:
    """Whether a store's images fit in the free memory that the loader may use on *device*."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes < RESIDENT_SHARE * free
