"""Batches from the prepared store against the loaders that people use, with the same augmentation."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ratios import paired

from rsbench.engine.input.augmentation import Augmentation
from rsbench.engine.input.gpu_images import as_tensor
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import normalization_for

BATCH = 64
IMAGES = 2_000
FLIPS = {"hflip": 0.5, "vflip": 0.5}


def consume(batches: Iterator, limit: int = 10**9) -> int:
    """Take whole batches and touch them; return the number of images."""
    count = 0
    for images in batches:
        count += len(images)
        if count >= limit:
            break
    return count


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class folder tree of real EuroSAT JPEGs: every 13th, so that all classes are there."""
    target = tmp_path_factory.mktemp("eurosat")
    with zipfile.ZipFile(real_data / "eurosat" / "EuroSAT.zip") as archive:
        for name in archive.namelist()[::13][:IMAGES]:
            archive.extract(name, target)
    return target / "2750"


@pytest.fixture(scope="module")
def arrays(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    from torchvision.datasets import ImageFolder

    samples = ImageFolder(str(folder)).samples
    from PIL import Image

    # Stacking keeps the order in memory, in which a transposed image has its bands last.
    images = np.ascontiguousarray(np.stack([np.asarray(Image.open(p)).transpose(2, 0, 1) for p, _ in samples]))
    return images, np.array([label for _, label in samples])


@pytest.fixture(scope="module")
def ours(arrays: tuple[np.ndarray, np.ndarray]) -> Callable[[], object]:
    """Twenty epochs of our loader, so that a round lasts long enough to be timed."""
    return epochs_of(*arrays)


def epochs_of(images: np.ndarray, labels: np.ndarray, epochs: int = 20) -> Callable[[], object]:
    """Return what makes all batches of some epochs."""
    samples = np.arange(len(images))
    loader = ArrayLoader(
        images,
        samples,
        labels,
        samples,
        batch=BATCH,
        device=torch.device("cpu"),
        normalization=normalization_for("imagenet", images, samples, [0, 1, 2]),
        bands=[0, 1, 2],
        augmentation=Augmentation(FLIPS),
    )

    def run() -> None:
        for epoch in range(epochs):
            consume(b.images for b in loader.training_epoch(epoch))

    return run


def speedup(
    ours: Callable[[], object], theirs: Callable[[], object], our_images: int, their_images: int, workers: int = 0
) -> dict:
    """Images per second of ours over theirs, from alternating rounds; of a core's time where all is in one process."""
    result = paired(ours, theirs, clock=time.perf_counter if workers else time.process_time)
    factor = our_images / their_images
    return {
        "ours": our_images / result["ours"],
        "peer": their_images / result["peer"],
        "unit": "images/s",
        "ratio": factor / result["ratio"],
        "ratio_min": factor / result["ratio_max"],
        "ratio_max": factor / result["ratio_min"],
    }


@pytest.mark.parametrize("where", ["memory", "memory map"])
def test_against_gather_and_cast(benchmark, arrays: tuple[np.ndarray, np.ndarray], tmp_path: Path, where: str) -> None:
    """The limit: random images gathered into a buffer and cast into another, both reused, and nothing else."""
    images, labels = arrays
    if where == "memory map":
        np.save(tmp_path / "images.npy", images)
        images = np.load(tmp_path / "images.npy", mmap_mode="r")
    ours, store = epochs_of(images, labels, epochs=1), as_tensor(images)
    raw, floats = torch.empty((BATCH, 3, 64, 64), dtype=torch.uint8), torch.empty((BATCH, 3, 64, 64))
    batches = torch.randperm(len(images))[: len(images) // BATCH * BATCH].split(BATCH)

    def limit() -> None:
        for index in batches:
            floats.copy_(torch.index_select(store, 0, index, out=raw))

    result = paired(ours, limit, rounds=60, clock=time.process_time)
    benchmark.extra_info.update(result | {"share_of_limit": 1 / result["ratio_of_minima"]})
    benchmark.pedantic(ours, rounds=3)
    assert 1 / result["ratio_of_minima"] >= 0.4


@pytest.mark.parametrize("workers", [0, 2])
def test_against_image_folder(
    benchmark, folder: Path, arrays: tuple[np.ndarray, np.ndarray], ours: Callable[[], object], workers: int
) -> None:
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    loader = DataLoader(ImageFolder(str(folder), transform), BATCH, shuffle=True, num_workers=workers, drop_last=True)
    images = len(arrays[0]) // BATCH * BATCH
    result = speedup(ours, lambda: consume(x for x, _ in loader), 20 * images, images, workers)
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=3)
    assert result["ratio"] >= (20 if workers else 50)


def test_against_torchgeo_datamodule(
    benchmark, real_data: Path, tmp_path: Path, arrays: tuple[np.ndarray, np.ndarray], ours: Callable[[], object]
) -> None:
    """torchgeo reads RGB from 13-band GeoTIFFs, its only format; its files here are copies of five real tiles."""
    import kornia.augmentation as K
    from torchgeo.datamodules import EuroSATDataModule

    write_torchgeo_layout(real_data, tmp_path, copies=40)
    module = EuroSATDataModule(root=str(tmp_path), batch_size=BATCH, num_workers=0, bands=("B04", "B03", "B02"))
    module.setup("fit")
    normalize = module.aug
    flips = K.AugmentationSequential(K.RandomHorizontalFlip(), K.RandomVerticalFlip(), data_keys=None, keepdim=True)
    loader = module.train_dataloader()
    theirs = lambda: consume(flips(normalize(batch))["image"] for batch in loader)  # noqa: E731
    images = len(arrays[0]) // BATCH * BATCH
    result = speedup(ours, theirs, 20 * images, len(module.train_dataset) // BATCH * BATCH)
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=3)
    assert result["ratio"] >= 100


def write_torchgeo_layout(real_data: Path, target: Path, copies: int) -> None:
    """Write the five real multispectral tiles under many names, with the split lists torchgeo asks for."""
    with zipfile.ZipFile(real_data / "eurosat_ms" / "EuroSATallBands_5.zip") as archive:
        names = archive.namelist()
        tiles = [archive.read(n) for n in names]
    folder = target / Path(names[0]).parent
    folder.mkdir(parents=True)
    written = []
    for i in range(copies * len(tiles)):
        name = f"AnnualCrop_{i + 1}"
        (folder / f"{name}.tif").write_bytes(tiles[i % len(tiles)])
        written.append(f"{name}.jpg")
    for split in ("train", "val", "test"):
        (target / f"eurosat-{split}.txt").write_text("\n".join(written))
