"""Images of 8 bits as RGB, decoded from the bytes of a file; what would lose values on the way is refused by name."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rsbench.data.source import SampleError

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS: Final = 1 << 25  # 100 MB as RGB
FORMATS: Final = ("JPEG", "TIFF", "PNG")
GRAY_OR_COLOR: Final = ("1", "L", "P", "RGB", "RGBX", "YCbCr")
WITH_ALPHA: Final = ("LA", "La", "PA", "RGBA", "RGBa")
_BITS, _KIND = 258, 339  # tags of a TIFF: bits of a sample, and what they are
_UNSIGNED: Final = (1, 4)
_DEPTH_OF_PNG: Final = 24  # place of the byte that says it
_SIGNATURE: Final = {"jpeg": b"\xff\xd8\xff", "png": b"\x89PNG"}


def decode_rgb(data: bytes, name: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a JPEG, TIFF or PNG to uint8 [H, W, 3]; gray becomes three equal channels.

    Pixels are those of libjpeg-turbo or Pillow.  Bytes after the end of a JPEG do not matter.

    Args:
        name: of the file, for errors.
        size: (width, height) that it must have.

    Raises:
        SampleError: it is truncated or damaged, of another size, larger than :data:`MOST_PIXELS` (found before it is
            decoded), or no image of 8 bits in gray or RGB: with more bits, CMYK, or parts that are transparent.
    """
    if data.startswith(_SIGNATURE["jpeg"]):
        decoded = _decode_jpeg(data, name, size)
        if decoded is not None:
            return decoded
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, name, size)
            _check_depth(image, data, name)
            return np.asarray(_opaque(image, name).convert("RGB"))
    except SampleError:
        raise
    except UnidentifiedImageError:
        raise SampleError(f"{name} cannot be read as an image: it is no JPEG, TIFF or PNG of 8 bits") from None
    except Exception as error:  # decoders raise many kinds: struct.error, EOFError, KeyError, DecompressionBombError
        raise SampleError(f"{name} cannot be read as an image ({error})") from None


def _decode_jpeg(data: bytes, name: str, size: tuple[int, int] | None) -> np.ndarray | None:
    """Decode by libjpeg-turbo; ``None`` for what it refuses: Pillow may know better, and says what is wrong."""
    import simplejpeg

    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
        _check_size((width, height), name, size)
        return None if colors == "CMYK" else simplejpeg.decode_jpeg(data, "RGB")
    except SampleError:
        raise
    except ValueError:
        return None


def _check_size(found: tuple[int, int], name: str, wanted: tuple[int, int] | None) -> None:
    width, height = found
    if wanted not in (None, found):
        assert wanted is not None
        raise SampleError(f"{name} is {width}x{height} pixels, not {wanted[0]}x{wanted[1]}")
    if width * height > MOST_PIXELS:
        raise SampleError(f"{name} is {width}x{height} pixels, more than can be an image of a dataset")


def _check_depth(image: Image.Image, data: bytes, name: str) -> None:
    """Raise where Pillow would give 8 bits of more, or of numbers that are not whole."""
    bits: Any = 8
    kind: Any = 1
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bits, kind = max(_all(tags.get(_BITS, 1))), max(_all(tags.get(_KIND, 1)))
    elif image.format == "PNG":
        bits = data[_DEPTH_OF_PNG]
    if bits > 8 or kind not in _UNSIGNED or image.mode not in (*GRAY_OR_COLOR, *WITH_ALPHA):
        what = {2: "signed whole numbers", 3: "floats"}.get(kind, f"mode {image.mode}")
        raise SampleError(f"{name} is an image of {bits} bits a sample ({what}), not of 8 bits in gray or RGB")


def _all(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _opaque(image: Image.Image, name: str) -> Image.Image:
    """Return *image*, whose colors are all to be seen: below a transparent pixel stands whatever was left there."""
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise SampleError(f"{name} has pixels that are transparent, or a band that is none of a color")
    return image


def decode_bands(data: bytes, name: str) -> np.ndarray:
    """Return all bands of a GeoTIFF or PNG as they are, [C, H, W] of the file's type.

    Args:
        data: bytes of the file.
        name: of the file, for errors.

    Raises:
        SampleError: it cannot be read, or is larger than :data:`MOST_PIXELS` (found before it is decoded).
    """
    import warnings

    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.io import MemoryFile

    driver = "PNG" if data.startswith(_SIGNATURE["png"]) else "GTiff"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with MemoryFile(data) as file, file.open(driver=driver) as opened:
                _check_size((opened.width, opened.height), name, None)
                found: np.ndarray = opened.read()
                return found
    except (OSError, RasterioError) as error:
        raise SampleError(f"{name} cannot be read as an image ({' '.join(str(error).split())})") from None


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image [C, H, W] with another (height, width), of the same type: bilinearly, with antialiasing."""
    from PIL import Image

    pixels, how = (size[1], size[0]), Image.Resampling.BILINEAR
    if image.dtype == np.uint8 and len(image) == 3:
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).resize(pixels, how)
        return np.asarray(picture).transpose(2, 0, 1)
    made = np.stack([np.asarray(Image.fromarray(plane.astype(np.float32)).resize(pixels, how)) for plane in image])
    if image.dtype.kind == "f":
        return made.astype(image.dtype)
    limits = np.iinfo(image.dtype)
    return np.clip(np.rint(made), limits.min, limits.max).astype(image.dtype)
