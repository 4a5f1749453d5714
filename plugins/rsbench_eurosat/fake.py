"""Small made-up EuroSAT files in the true on-disk format, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsbench.specs import DatasetSpec


def write_rgb(root: Path, spec: DatasetSpec, per_class: int = 6, seed: int = 0) -> None:
    """Write ``2750/<Class>/<Class>_<n>.jpg`` of a class-dependent color with noise, and the three split lists.

    Args:
        root: folder to write to.
        spec: whose classes the images are of.
        per_class: images of each class.
        seed: of the noise.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    for k, name in enumerate(spec.classes):
        folder = root / "2750" / name
        folder.mkdir(parents=True, exist_ok=True)
        color = np.array([25 * k, 255 - 25 * k, (67 * k) % 256])
        for n in range(1, per_class + 1):
            pixels = np.clip(color + rng.normal(0, 30, (64, 64, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}_{n}.jpg", quality=90)
    _write_lists(root, spec.classes, per_class)


def write_multispectral(root: Path, spec: DatasetSpec, per_class: int = 3, seed: int = 0) -> None:
    """Write torchgeo's folder of 13-band uint16 GeoTIFFs with values up to 65535, and the three split lists.

    Args:
        root: folder to write to.
        spec: whose classes the images are of.
        per_class: images of each class.
        seed: of the noise.
    """
    import warnings

    import rasterio
    from torchgeo.datasets import EuroSAT

    rng = np.random.default_rng(seed)
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 13, "dtype": "uint16"}
    for k, name in enumerate(spec.classes):
        folder = root / EuroSAT.base_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        for n in range(1, per_class + 1):
            pixels = rng.integers(1000 * k, 1000 * k + 5000, (13, 64, 64)).astype(np.uint16)
            pixels[0, 0, 0] = 65535
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with rasterio.open(folder / f"{name}_{n}.tif", "w", **profile) as opened:
                    opened.write(pixels)
    _write_lists(root, spec.classes, per_class)


def _write_lists(root: Path, classes: Sequence[str], per_class: int) -> None:
    """Every third image of a class is for validation, every third plus one for test, the rest for training."""
    names: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for name in classes:
        for n in range(1, per_class + 1):
            names[{0: "val", 1: "test"}.get(n % 3, "train")].append(f"{name}_{n}.jpg")
    for part, listed in names.items():
        (root / f"eurosat-{part}.txt").write_text("\n".join(listed))
