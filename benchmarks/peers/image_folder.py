"""torchvision's ImageFolder and DataLoader, as its tutorials set them up."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from benchmarks.peers.dataset import MEAN, STD
from benchmarks.peers.peer import Setting

TO_TENSOR = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
FLIPS = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()]


def loader(setting: Setting, part: str) -> DataLoader[Any]:
    """Return batches of (images float32 [B, 3, 64, 64], labels int64 [B]) of ``train`` (flipped) or ``val``."""
    training = part == "train"
    transform = transforms.Compose([*FLIPS, *TO_TENSOR] if training else TO_TENSOR)
    return DataLoader(
        ImageFolder(str(setting.selection.jpeg / part), transform),
        batch_size=setting.batch,
        shuffle=training,
        drop_last=training,
        num_workers=setting.workers,
        persistent_workers=setting.workers > 0,
        generator=torch.Generator().manual_seed(setting.seed),
    )
