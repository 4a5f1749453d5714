"""What images are, by their first bytes, and their pixels: 8 bits of gray or RGB, or bands of any kind, resized."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rsbench.data.images import decode_bands, decode_rgb, resized
from rsbench.data.source import SampleError
from rsbench.data.tree import JPEG, TIFF, FileTree
from rsbench.errors import UserError

HEAD: Final = 1 << 16  # bytes in which the header of an image that is no TIFF lies
LARGEST: Final = 512  # side in pixels that images keep without being asked
OTHERWISE: Final = 224  # side of images of several sizes
RGB: Final = 3
_WIDTH, _HEIGHT, _BITS, _BANDS, _KIND = 256, 257, 258, 277, 339  # tags of a TIFF
_TYPES: Final = {(8, 1): "uint8", (16, 1): "uint16", (16, 2): "int16", (32, 3): "float32"}  # by bits and kind
_PNG: Final = b"\x89PNG"
_PNG_BANDS: Final = {0: 1, 2: 3, 4: 2, 6: 4}  # by type of color


@dataclass(frozen=True)
class Facts:
    """Width, height, bands and type of an image; *plain*: it is of 8 bits, in gray or RGB, and becomes RGB."""

    width: int
    height: int
    bands: int = RGB
    dtype: str = "uint8"
    plain: bool = True


@dataclass(frozen=True)
class Shape:
    """What images are stored as, with a sentence on how that came about."""

    bands: int
    side: int
    dtype: str
    sentence: str


def survey(tree: FileTree, names: Sequence[str], size: int | None) -> Shape:
    """Return what all images can be stored as; one that cannot be read is left to be named when it is.

    The side is *size*, or that of all images where they are squares of one size, or that of at least half of them;
    otherwise :data:`OTHERWISE`.

    Raises:
        UserError: images differ in bands or type, or none can be read.
    """
    with ThreadPoolExecutor(4) as pool:  # reading leaves the interpreter to others
        facts = list(pool.map(lambda name: _facts(tree, name), names))
    known = [(name, found) for name, found in zip(names, facts, strict=True) if found]
    if not known:
        _named_error(tree, names)
    kinds = Counter((f.bands, f.dtype) for _, f in known)
    (bands, dtype), _ = kinds.most_common(1)[0]
    if len(kinds) > 1:
        odd, other = next((n, f) for n, f in known if (f.bands, f.dtype) != (bands, dtype))
        raise UserError(
            f"Images of {tree.root} differ: {kinds[bands, dtype]:,} have {_bands(bands)} of {dtype}, {odd} has "
            f"{_bands(other.bands)} of {other.dtype}; take away those of one kind."
        )
    return _shaped(known, size, bands, dtype)


def _shaped(known: Sequence[tuple[str, Facts]], size: int | None, bands: int, dtype: str) -> Shape:
    sizes = Counter((f.width, f.height) for _, f in known)
    (width, height), count = sizes.most_common(1)[0]
    usual = width == height <= LARGEST and 2 * count >= len(known)
    side = size or (width if usual else OTHERWISE)
    if set(sizes) == {(side, side)}:
        return Shape(bands, side, dtype, "")
    found = f"images of {width}x{height}" + (
        f" and {len(sizes) - 1} other sizes" if sizes.keys() - {(width, height)} else ""
    )
    how = f"{found} are resized to {side}x{side} pixels"
    return Shape(bands, side, dtype, how + ("" if size else "; size=N after the path takes another side"))


def _bands(count: int) -> str:
    return "1 band" if count == 1 else f"{count} bands"


def _named_error(tree: FileTree, names: Sequence[str]) -> None:
    try:
        pixels(tree, names[0], 1, (RGB, 1, 1), "uint8")
    except SampleError as error:
        raise UserError(f"No image of {tree.root} can be read: {error}.") from None


def _facts(tree: FileTree, name: str) -> Facts | None:
    """Return what an image is, or ``None`` for one whose header cannot be read."""
    try:
        return _tiff(tree, name) if name.lower().endswith(TIFF) else _picture(tree, name)
    except Exception:  # decoders raise many kinds; reading the image says what is wrong with it
        return None


def _picture(tree: FileTree, name: str) -> Facts:
    from PIL import Image

    head = _head(tree, name)
    if name.lower().endswith(JPEG):
        import simplejpeg

        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(head)
            return Facts(width, height)
        except ValueError:  # its header is longer
            head = tree.read(name)
    with Image.open(io.BytesIO(head)) as image:
        width, height = image.size
    if head.startswith(_PNG) and head[24] > 8:
        return Facts(width, height, _PNG_BANDS[head[25]], "uint16", plain=False)
    return Facts(width, height)


def _tiff(tree: FileTree, name: str) -> Facts | None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    with io.BytesIO(tree.read(name)) if tree.root.is_file() else (tree.root / name).open("rb") as stream:
        start = stream.read(8)
        if 43 in start[2:4]:  # a BigTIFF
            start += stream.read(8)
        tags: Any = ImageFileDirectory_v2(start)
        stream.seek(tags.next)
        tags.load(stream)
    bits, kind, bands = max(_all(tags.get(_BITS, 1))), max(_all(tags.get(_KIND, 1))), int(tags.get(_BANDS, 1))
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    if bits <= 8 and bands <= RGB:
        return Facts(width, height)
    dtype = _TYPES.get((bits, kind))
    return Facts(width, height, bands, dtype, plain=False) if dtype else None


def _head(tree: FileTree, name: str) -> bytes:
    if tree.root.is_file():
        return tree.read(name)
    with (tree.root / name).open("rb") as stream:
        return stream.read(HEAD)


def _all(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def pixels(tree: FileTree, name: str, side: int, shape: tuple[int, int, int], dtype: str) -> np.ndarray:
    """Return an image [C, side, side] of *dtype*; resized bilinearly, with antialiasing, where it has another size.

    Args:
        tree: the files that it is among.
        name: of its file.
        side: pixels.
        shape: (C, side, side) that it is to have.
        dtype: NumPy's name of the type that it is to have.

    Raises:
        SampleError: it cannot be read, or has other bands or another type.
    """
    content = tree.read(name)
    plain = shape[0] == RGB and dtype == "uint8"
    image = decode_rgb(content, name).transpose(2, 0, 1) if plain else decode_bands(content, name)
    if image.shape[0] != shape[0] or image.dtype != dtype:
        found = f"{_bands(image.shape[0])} of {image.dtype}"
        raise SampleError(f"{name} has {found}, not {_bands(shape[0])} of {dtype}")
    return image if image.shape == shape else resized(image, (side, side))
