"""Features of a frozen encoder, computed once for a whole run in place of once an epoch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import psutil
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch, Group, Labels, map_state
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.tasks.base import TrainingTask

BATCH: Final = 32
MEMORY_SHARE: Final = 0.25  # of what is free


class FeatureLoader(ArrayLoader):
    """A loader whose batches hold features where others hold images."""

    features: Any
    row: np.ndarray

    @classmethod
    def over(cls, loader: ArrayLoader, features: Any, row: np.ndarray) -> FeatureLoader:
        """Return the same batches of *loader* with features of their images; ``row[i]`` is the place of image i."""
        made = copy.copy(loader)
        made.__class__ = cls
        assert isinstance(made, cls)
        made.features, made.row = features, row
        return made

    def _produce(self, groups: list[Group], draws: np.ndarray | None, epoch: int | None) -> Iterator[Batch]:
        for group in groups:
            items = self.samples[group.images]
            rows = torch.from_numpy(self.row[self.image_index[items]]).to(self.device, non_blocking=True)
            images = map_state(self.features, lambda t, rows=rows: t.index_select(0, rows))  # type: ignore[misc]
            targets = self.targets.select(self.samples[group.targets], epoch, self.device)
            yield Batch(images, targets, items, group.share)


def encodes_once(model: nn.Module, augmentation: Any) -> bool:
    """Whether the features of an image never change: the model offers them, and nothing is augmented."""
    return bool(getattr(model, "frozen", False)) and hasattr(model, "encode") and not augmentation


@torch.no_grad()
def encode(
    task: TrainingTask, model: nn.Module, device: torch.device, norm: Normalization, fabric: Any
) -> tuple[Any, np.ndarray] | None:
    """Return the features of every image of the run and the row of each image; ``None`` where they do not fit.

    Args:
        task: whose images are encoded.
        model: has ``encode``; in evaluation mode meanwhile.
        device: of the features.
        norm: of the images, in stored units.
        fabric: has ``autocast``.
    """
    data = task.data
    images = np.unique(data.store.image_index[np.concatenate([data.train, data.val, data.test])])
    every = np.arange(len(data.store.images))
    loader = task.loader(every, Labels(every), images, device, norm, batch=BATCH, training=False)
    training = model.training
    model.eval()
    parts: list[Any] = []
    for batch in loader.in_order():
        with fabric.autocast():
            parts.append(map_state(model.encode(batch.images), torch.clone))  # type: ignore[operator]
        if len(parts) == 1 and _bytes(parts[0]) / len(batch.index) * len(images) > MEMORY_SHARE * _free(device):
            model.train(training)
            return None
    model.train(training)
    row = np.zeros(len(every), dtype=np.int64)
    row[images] = np.arange(len(images))
    return _joined(parts), row


def _joined(parts: list[Any]) -> Any:
    """Concatenate nested tensors along their first dimension."""
    first = parts[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(parts)
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    return type(first)(_joined([part[k] for part in parts]) for k in range(len(first)))


def _bytes(features: Any) -> int:
    if isinstance(features, torch.Tensor):
        return features.numel() * features.element_size()
    return sum(map(_bytes, features.values() if isinstance(features, dict) else features))


def _free(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
