"""Images of a dataset as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np

LARGEST: Final = 192  # pixels
QUALITY: Final = 80


def data_uri(image: np.ndarray, bands: Sequence[str]) -> str:
    """Return an image [C, H, W] as a small JPEG: red, green and blue where *bands* name them, else its first band.

    What is not uint8 is stretched from its 2nd to its 98th percentile.
    """
    from PIL import Image

    wanted = ("red", "green", "blue")
    chosen = [bands.index(b) for b in wanted] if set(wanted) <= set(bands) else [0]
    planes = image[chosen].transpose(1, 2, 0)
    if planes.dtype != np.uint8:
        low, high = np.percentile(planes, (2, 98))
        planes = (255 * np.clip((planes - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)
    picture = Image.fromarray(planes[..., 0] if len(chosen) == 1 else np.ascontiguousarray(planes))
    picture.thumbnail((LARGEST, LARGEST))
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
