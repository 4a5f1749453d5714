"""Batches from a prepared store: shuffled, augmented and normalized images with what is to be learned of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F

from rsbench.engine.input.augmentation import Augmentation, draw
from rsbench.engine.input.cpu_images import CpuImages
from rsbench.engine.input.gpu_images import GpuImages
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.parallel.ranks import SINGLE_PROCESS, Ranks
from rsbench.errors import UserError


@dataclass(frozen=True)
class Batch:
    """One batch.  ``images`` is a buffer that the next batch overwrites.

    Attributes:
        images: float32 [B, C, S, S], normalized; in training on several ranks the consecutive slice of this one.
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
        counts: how many of them have each turn, one after another.
        targets: [B], those of the whole batch.
        share: where the images stand in the whole batch; ``None``: they are all of it.
    """

    images: np.ndarray
    counts: list[int]
    targets: np.ndarray
    share: slice | None = None


class Targets(Protocol):
    """What is learned of items: the one thing about a batch that depends on the task."""

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


class ArrayLoader:
    """Iterates over samples of a store as normalized batches on a device.

    Args:
        batch: items of a batch; of all ranks together in training.
        device: of the batches.
        normalization: of the bands, in stored units.
        seed: of order and augmentation, with epoch and sample.
        images: [N, C, H, W] as stored.
        image_index: int64 [M], the image of each item.
        targets: int64 [M] labels, or :class:`Targets` of another task.
        samples: int64 [n], the items to iterate over.
        bands: which channels to take, in this order.
        size: side of the batches in pixels; other stored sizes are resized bilinearly with antialiasing.
        augmentation: applied in training epochs; ``None`` for evaluation.
        resident: keep the images on the device: ``None`` decides by free memory.
        share_images_with: a loader of the same images, whose copy on the device serves this one too.
        drop_last: leave out the last batch of a training epoch where it is smaller than the others.

    Attributes:
        short: samples in the last batch of a training epoch where these are fewer than in the others, else 0.
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
        normalization: Normalization,
        bands: list[int],
        size: int | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        resident: bool | None = None,
        share_images_with: ArrayLoader | None = None,
        drop_last: bool = True,
    ) -> None:
        self.samples = np.asarray(samples, dtype=np.int64)
        self.batch = min(batch, max(len(self.samples), 1))
        self.short = 0 if drop_last else len(self.samples) % self.batch
        self.device, self.augmentation, self.seed = device, augmentation, seed
        self.image_index = image_index
        self.targets: Targets = Labels(targets) if isinstance(targets, np.ndarray) else targets
        self.size = None if size in (None, images.shape[-1]) else size
        self.ranks = SINGLE_PROCESS
        self.source: CpuImages | GpuImages
        if device.type == "cpu":
            self.source = CpuImages(images, bands, normalization, self.batch)
        else:
            others = None if share_images_with is None else share_images_with.source
            shared = others if isinstance(others, GpuImages) else None
            self.source = GpuImages(images, bands, normalization, self.batch, device, resident, shared)

    def shard(self, ranks: Ranks) -> Self:
        """Return a loader for one of several ranks: of its slice of each training batch, and of its part in order.

        Raises:
            UserError: a training batch has fewer images than there are ranks.
        """
        if ranks.world == 1:
            return self
        smallest = self.short or self.batch
        if self.augmentation is not None and smallest < ranks.world:
            last = "; or leave the last batch out (--set drop_last=true)" if self.short else ""
            raise UserError(
                f"A batch of {smallest} image(s) cannot be shared by {ranks.world} devices: use fewer devices, or "
                f"another batch (--set batch=...){last}."
            )
        made = copy.copy(self)
        made.ranks = ranks
        largest = self.batch if self.augmentation is None else max(ranks.sizes(self.batch))
        made.source = self.source.in_batches_of(largest)
        return made

    def __len__(self) -> int:
        """Batches in a training epoch; an incomplete last one counts unless it is left out."""
        return len(self.samples) // self.batch + (self.short > 0)

    @property
    def batch_samples(self) -> float:
        """Samples in a batch, on average."""
        seen = min(len(self) * self.batch, len(self.samples))
        return self.targets.count(self.samples) * seen / max(len(self) * len(self.samples), 1)

    def order(self, epoch: int) -> np.ndarray:
        """Return the sample order of an epoch: positions int64 [n] in ``samples``, from (seed, epoch) alone."""
        stream = np.random.Philox(key=[self.seed & (2**64 - 1), epoch + 2**32])
        return np.random.Generator(stream).permutation(len(self.samples))

    def training_epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the shuffled, augmented batches of *epoch*, from batch number *start* on."""
        draws = None if self.augmentation is None else draw(self.seed, epoch, len(self.samples))
        order, whole = self.order(epoch), len(self.samples) // self.batch * self.batch
        groups = self._by_turn(order[:whole].reshape(-1, self.batch), draws)
        if self.short:
            groups += self._by_turn(order[None, whole:], draws)
        yield from self._produce(groups[start:], draws, epoch)

    def in_order(self) -> Iterator[Batch]:
        """Yield every sample exactly once, as stored, without augmentation; the last batch may be smaller."""
        positions = np.arange(len(self.samples))[self.ranks.local_slice(len(self.samples))]
        chunks = [positions[i : i + self.batch] for i in range(0, len(positions), self.batch)]
        yield from self._produce([Group(c, [len(c)], c) for c in chunks], None, None)

    def padding_batches(self) -> Iterator[Batch]:
        """Yield padding batches so that every rank calls a sharded model equally often: the first sample, as often as
        other ranks have more batches in :meth:`in_order`.  What comes of it does not count."""
        if self.ranks.sharded:
            batches = [-(-size // self.batch) for size in self.ranks.sizes(len(self.samples))]
            first = np.zeros(1, dtype=np.int64)
            missing = max(batches) - batches[self.ranks.number]
            yield from self._produce([Group(first, [1], first)] * missing, None, None)

    def _by_turn(self, batches: np.ndarray, draws: np.ndarray | None) -> list[Group]:
        """Sort each of the batches [n, B] by flips and turns, so that each code is one slice; order within a batch is
        free."""
        own = self.ranks.local_slice(batches.shape[1])
        share = own if self.ranks.world > 1 else None
        if draws is None or self.augmentation is None or not self.augmentation.has_dihedral:
            return [Group(batch[own], [len(batch[own])], batch, share) for batch in batches]
        codes = self.augmentation.dihedral_codes(draws)[batches]
        order = np.argsort(codes, axis=1, kind="stable")
        batches, codes = np.take_along_axis(batches, order, 1), np.take_along_axis(codes, order, 1)
        counts = (codes[:, own, None] == np.arange(8)).sum(1).tolist()
        return [Group(batch[own], each, batch, share) for batch, each in zip(batches, counts, strict=True)]

    def _produce(self, groups: list[Group], draws: np.ndarray | None, epoch: int | None) -> Iterator[Batch]:
        if not groups:
            return
        side = self._side(epoch)
        stronger = self.augmentation if self.augmentation is not None and self.augmentation.acts_on_floats else None
        at_once = side is None and (stronger is None or draws is None)
        made = self.source.iter_batches(self._rows(groups), [group.counts for group in groups], normalized=at_once)
        for group, images in zip(groups, made, strict=True):
            if side is not None:
                images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
            if stronger is not None and draws is not None:
                images = stronger.on_floats(images, draws[group.images])
            if not at_once:
                self.source.normalize(images)
            targets = self.targets.select(self.samples[group.targets], epoch, self.device)
            yield Batch(images, targets, self.samples[group.images], group.share)

    def _rows(self, groups: list[Group]) -> np.ndarray:
        """Return the image numbers of all groups, int64 [n]."""
        return self.image_index[self.samples[np.concatenate([group.images for group in groups])]]

    def _side(self, epoch: int | None) -> int | None:
        """Side in pixels that images are resized to; ``None``: they stay as stored."""
        small = None if epoch is None or self.augmentation is None else self.augmentation.side(epoch)
        return small or self.size


def map_state(state: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Apply *change* to every tensor in nested dicts, lists and tuples."""
    if isinstance(state, torch.Tensor):
        return change(state)
    if isinstance(state, dict):
        return {key: map_state(value, change) for key, value in state.items()}
    return type(state)(map_state(value, change) for value in state)
