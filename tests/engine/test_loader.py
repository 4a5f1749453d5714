from __future__ import annotations

import numpy as np
import pytest
import torch

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.cpu_images import CpuImages
from rsbench.engine.input.gpu_images import GpuImages
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization, band_statistics, normalization_for

CPU = torch.device("cpu")
IDENTITY = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def make(samples: int = 37, dtype: type = np.uint8, **options: object) -> tuple[np.ndarray, ArrayLoader]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, np.iinfo(dtype).max, (50, 3, 8, 8), dtype=dtype)
    settings: dict = {"batch": 8, "device": CPU, "normalization": IDENTITY, "bands": [0, 1, 2]} | options
    index = np.arange(50)
    return images, ArrayLoader(images, index, index % 5, np.arange(samples), **settings)


def test_in_order_gives_each_sample_once_as_stored() -> None:
    images, loader = make()
    parts = [(b.images.clone(), b.targets.clone(), b.index) for b in loader.in_order()]
    index = np.concatenate([p[2] for p in parts])
    assert index.tolist() == list(range(37))
    assert np.array_equal(torch.cat([p[0] for p in parts]).numpy(), images[:37].astype(np.float32))
    assert np.array_equal(torch.cat([p[1] for p in parts]).numpy(), index % 5)


def test_training_epoch_shuffles_without_repetition_and_is_reproducible() -> None:
    _, loader = make(seed=3)
    epochs = [np.concatenate([b.index for b in loader.training_epoch(e)]) for e in (0, 0, 1)]
    assert len(epochs[0]) == 32 == len(set(epochs[0]))
    assert np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])


def test_augmentation_of_a_sample_does_not_depend_on_batch_size() -> None:
    settings = {"hflip": 0.5, "vflip": 0.5, "quarter_turns": True, "shift": 2, "rotation": 30}

    def images_by_sample(batch: int) -> dict[int, torch.Tensor]:
        _, loader = make(32, batch=batch, augmentation=Augmentation(settings), seed=1)
        found = {}
        for b in loader.training_epoch(4):
            found |= {int(i): image.clone() for i, image in zip(b.index, b.images, strict=True)}
        return found

    small, large = images_by_sample(4), images_by_sample(16)
    assert small.keys() == large.keys()
    assert all(torch.allclose(small[k], large[k], atol=1e-4) for k in small)


def test_starting_in_the_middle_gives_the_same_batches() -> None:
    _, loader = make(augmentation=Augmentation({"hflip": 0.5}), seed=2)
    whole = [b.images.clone() for b in loader.training_epoch(1)]
    rest = [b.images.clone() for b in loader.training_epoch(1, start=2)]
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], rest, strict=True))


def test_flipped_images_are_flips_of_the_stored_ones() -> None:
    images, loader = make(augmentation=Augmentation({"hflip": 1.0}))
    for b in loader.training_epoch(0):
        assert np.array_equal(b.images.numpy(), images[b.index][..., ::-1].astype(np.float32))


def test_uint16_values_above_32767_survive() -> None:
    images, loader = make(dtype=np.uint16)
    batch = next(loader.in_order())
    assert images[:8].max() > 40_000
    assert np.array_equal(batch.images.numpy(), images[:8].astype(np.float32))


def test_bands_are_taken_in_the_given_order() -> None:
    images, loader = make(bands=[2, 0], normalization=Normalization((0.0, 0.0), (1.0, 1.0)))
    assert np.array_equal(next(loader.in_order()).images.numpy(), images[:8][:, [2, 0]].astype(np.float32))


def test_resizing_equals_torchvision() -> None:
    from torchvision.transforms.v2.functional import resize

    images, loader = make(size=4)
    expected = resize(torch.from_numpy(images[:8]).float(), [4, 4], antialias=True)
    assert torch.allclose(next(loader.in_order()).images, expected, atol=1e-3)


def test_normalization_with_training_statistics() -> None:
    images, _ = make()
    norm = normalization_for("dataset", images, np.arange(20), [0, 1, 2])
    assert np.allclose(norm.mean, images[:20].mean((0, 2, 3)), rtol=1e-12)
    assert np.allclose(norm.std, images[:20].astype(np.float64).std((0, 2, 3)), rtol=1e-9)
    _, loader = make(20, normalization=norm)
    batches = torch.cat([b.images.clone() for b in loader.in_order()])
    assert batches.mean().item() == pytest.approx(0, abs=1e-4)


def test_imagenet_normalization_is_for_rgb_bytes_only() -> None:
    images, _ = make()
    assert normalization_for("imagenet", images, np.arange(5), [0, 1, 2]).mean[0] == pytest.approx(0.485 * 255)
    sixteen = images.astype(np.uint16)
    assert normalization_for("imagenet", sixteen, np.arange(5), [0, 1, 2]).mean[0] != pytest.approx(0.485 * 255)


def test_a_constant_band_does_not_divide_by_zero() -> None:
    _, std = band_statistics(np.full((4, 1, 2, 2), 7, dtype=np.uint8), np.arange(4), [0])
    assert std.tolist() == [1.0]


def test_a_split_smaller_than_the_batch_is_one_batch() -> None:
    _, loader = make(5)
    assert [len(b.targets) for b in loader.training_epoch(0)] == [5]


def test_loaders_of_the_same_images_share_their_copy_on_a_device() -> None:
    meta = torch.device("meta")
    images, samples = np.zeros((4, 3, 8, 8), dtype=np.uint8), np.arange(4)

    def loader(device: torch.device, share: ArrayLoader | None) -> ArrayLoader:
        options = {"normalization": IDENTITY, "bands": [0, 1, 2], "share_images_with": share}
        return ArrayLoader(images, samples, samples, samples, batch=2, device=device, resident=True, **options)  # type: ignore[arg-type]

    first = loader(meta, None)
    assert isinstance(first.source, GpuImages)
    assert first.source.stored.device == meta
    again = loader(meta, first).source
    assert isinstance(again, GpuImages)
    assert again.stored is first.source.stored
    assert isinstance(loader(CPU, first).source, CpuImages)
