"""Small made-up UCM-captions files in the true on-disk format, for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from rsbench.specs import DatasetSpec

SENTENCES = (
    "There is a {0} in the image .",
    "A {0} can be seen here .",
    "This is a {0} with some shades .",
    "It is a picture of a {0} .",
    "Here is a {0} .",
)


def write(root: Path, spec: DatasetSpec, per_class: int = 5, seed: int = 0, size: int = 256) -> None:
    """Write ``dataset.json`` and ``imgs/N.tif`` of a class-dependent color with noise; one image has an odd size.

    Of each class, the last image is for test, the one before for validation, the rest for training.

    Args:
        root: folder to write to.
        spec: whose classes the images are of.
        per_class: images of each class.
        seed: of the noise.
        size: side in pixels.
    """
    from PIL import Image

    rng = np.random.default_rng(seed)
    (root / "imgs").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    for k, name in enumerate(spec.classes):
        color = np.array([12 * k, 255 - 12 * k, (67 * k) % 256])
        for index in range(per_class):
            number = 100 * k + index + 1
            height = size - 6 if k == index == 0 else size
            pixels = np.clip(color + rng.normal(0, 25, (height, size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "imgs" / f"{number}.tif")
            part = {per_class - 1: "test", per_class - 2: "val"}.get(index, "train")
            sentences = [
                {"raw": s.format(name), "tokens": s.format(name).split()[:-1], "imgid": len(images), "sentid": j}
                for j, s in enumerate(SENTENCES)
            ]
            images.append({"filename": f"{number}.tif", "imgid": len(images), "split": part, "sentences": sentences})
    (root / "dataset.json").write_text(json.dumps({"dataset": "UCM_captions", "images": images}))
