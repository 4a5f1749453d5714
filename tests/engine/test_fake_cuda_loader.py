"""Batches on a GPU that is not there: no loader and no augmentation leaves it or waits for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fake_gpu import NEEDED, Waits
from torch._subclasses.fake_tensor import FakeTensorMode

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization

pytestmark = NEEDED
CUDA = torch.device("cuda")
IMAGES, BATCH = 40, 8
AUGMENTATIONS: dict[str, Any] = {
    "hflip": 0.5,
    "vflip": 0.5,
    "quarter_turns": True,
    "shift": 4,
    "rotation": 10.0,
    "scale": [0.9, 1.1],
    "color_jitter": [0.2, 0.2, 0.2, 0.1],
    "blur": [0.1, 2.0],
    "erase": 0.25,
    "sizes": [[16, 1]],
}


def loader(augmentation: Augmentation | None, **options: Any) -> ArrayLoader:
    images, samples = np.zeros((IMAGES, 3, 32, 32), dtype=np.uint8), np.arange(IMAGES)
    settings: dict[str, Any] = {"bands": [0, 1, 2], "normalization": Normalization((1.0,) * 3, (2.0,) * 3)} | options
    return ArrayLoader(
        images,
        samples,
        samples,
        samples,
        batch=BATCH,
        device=CUDA,
        augmentation=augmentation,
        resident=True,
        **settings,
    )


def stays(made: ArrayLoader) -> tuple[set[str], list[str]]:
    """Return the devices of a pass's batches, and at what the host waited."""
    with Waits() as waits:
        batches = made.training_epoch(0) if made.augmentation else made.in_order()
        devices = {t.device.type for batch in batches for t in (batch.images, batch.targets)}
    return devices, waits.seen


@pytest.mark.parametrize("options", [{}, {"size": 24}, {"bands": [2, 0, 1]}], ids=str)
def test_evaluation(options: dict[str, Any]) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert stays(loader(None, **options)) == ({"cuda"}, [])


@pytest.mark.parametrize("names", [*([name] for name in AUGMENTATIONS), [*AUGMENTATIONS]], ids=", ".join)
def test_training(names: list[str]) -> None:
    with FakeTensorMode(allow_non_fake_inputs=True):
        made = loader(Augmentation({name: AUGMENTATIONS[name] for name in names}))
        assert stays(made) == ({"cuda"}, [])
