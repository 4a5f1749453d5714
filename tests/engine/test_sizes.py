"""Training on small images first: ``augmentation.sizes``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import resize

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.errors import UserError

SIZES = {"sizes": [[8, 2], [12, 1]]}
IMAGES = np.random.default_rng(0).integers(0, 255, (20, 3, 16, 16), dtype=np.uint8)


def loader(settings: dict[str, Any], size: int | None = None) -> ArrayLoader:
    return ArrayLoader(
        IMAGES,
        np.arange(20),
        np.arange(20) % 5,
        np.arange(20),
        batch=5,
        device=torch.device("cpu"),
        normalization=Normalization((100.0,) * 3, (50.0,) * 3),
        bands=[0, 1, 2],
        size=size,
        augmentation=Augmentation(settings),
    )


def test_epochs_have_their_sizes_and_evaluation_the_full_one() -> None:
    made = loader(SIZES)
    sides = [{b.images.shape[-1] for b in made.training_epoch(epoch)} for epoch in range(5)]
    assert sides == [{8}, {8}, {12}, {16}, {16}]
    assert {b.images.shape[-1] for b in made.in_order()} == {16}
    assert {b.images.shape[-1] for b in loader(SIZES, size=14).training_epoch(3)} == {14}


def test_small_images_equal_torchvisions() -> None:
    for batch in loader(SIZES).training_epoch(0):
        stored = torch.from_numpy(IMAGES[batch.index]).float()
        assert torch.allclose(batch.images, (resize(stored, [8, 8], antialias=True) - 100) / 50, atol=1e-4)


def test_they_are_turned_like_large_ones() -> None:
    turns = {"hflip": 0.5, "vflip": 0.5, "quarter_turns": True}
    small, large = loader(SIZES | turns), loader(turns)
    for a, b in zip(small.training_epoch(1), large.training_epoch(1), strict=True):
        assert np.array_equal(a.index, b.index)
        assert torch.allclose(a.images, resize(b.images, [8, 8], antialias=True), atol=1e-4)


@pytest.mark.parametrize("sizes", [32, [32], [[32]], [[32, 0]], [[32, 1.5]], [[32, True]], "32"])
def test_anything_but_pairs_is_the_users_mistake(sizes: Any) -> None:
    with pytest.raises(UserError, match="pairs"):
        Augmentation({"sizes": sizes})
