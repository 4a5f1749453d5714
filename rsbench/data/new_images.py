"""Images that belong to no dataset: found by paths, folders and patterns, and read with their values as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from glob import glob
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np

from rsbench.data.images import decode_bands, decode_rgb
from rsbench.data.source import SampleError
from rsbench.data.tree import JPEG, TIFF
from rsbench.errors import UserError
from rsbench.reading import content_of
from rsbench.states import walk

ENDINGS: Final = (*JPEG, ".png", *TIFF)


def image_files(named: Iterable[str | PathLike[str]]) -> list[Path]:
    """Return the images that paths, folders (with all below them) and patterns stand for, each once, in their order.

    Raises:
        UserError: one stands for none.
    """
    found: dict[Path, None] = {}
    for place in named:
        name = os.fspath(place)
        files = [*_files(name)]
        if not files:
            raise UserError(f"There is no image at '{name}': give files, folders or patterns of {', '.join(ENDINGS)}.")
        found |= dict.fromkeys(files)
    return [*found]


def read_image(path: Path, channels: int, dtype: str) -> np.ndarray:
    """Return an image [channels, H, W] of a type, with its values as they are.

    Of three channels and 8 bits, JPEG, PNG and TIFF are read, gray ones too; of others GeoTIFF.

    Raises:
        UserError: it cannot be read, or has other bands or another type.
    """
    content = content_of(path, f"The image {path}")
    try:
        if dtype == "uint8" and channels == 3:
            return np.ascontiguousarray(decode_rgb(content, str(path)).transpose(2, 0, 1))
        image = decode_bands(content, str(path))
    except SampleError as error:
        raise UserError(f"{error}.") from None
    if len(image) != channels or image.dtype != dtype:
        raise UserError(f"{path} has {len(image)} bands of {image.dtype}, not {channels} of {dtype}.")
    return image


def _files(name: str) -> Iterator[Path]:
    if os.path.isdir(name):
        for place, _, files in walk(name):
            yield from (Path(place, file) for file in sorted(files) if file.lower().endswith(ENDINGS))
    elif os.path.exists(name):
        yield Path(name)
    else:
        for match in sorted(glob(name, recursive=True)):
            if os.path.isfile(match) and match.lower().endswith(ENDINGS):
                yield Path(match)
