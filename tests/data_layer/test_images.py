"""Images of every kind: pixels equal those of rasterio or Pillow, or the file is refused by name."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.io import MemoryFile

from rsbench.data.images import decode_rgb
from rsbench.data.source import SampleError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def tiff(bands: np.ndarray, **options: Any) -> bytes:
    """Write bands [C, H, W] as GDAL does."""
    count, height, width = bands.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype.name}
        with MemoryFile() as file:
            with file.open(**(profile | options)) as opened:
                opened.write(bands)
            return bytes(file.read())


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compress": "lzw"},
        {"compress": "deflate", "predictor": 2},
        {"interleave": "band"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"bigtiff": "yes"},
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_tiffs_of_8_bits_are_as_rasterio_reads_them(channels: int, options: dict[str, Any]) -> None:
    bands = np.stack([RAMP, 255 - RAMP, RAMP.T])[:channels]
    found = decode_rgb(tiff(bands, **options), "x")
    assert np.array_equal(found, np.broadcast_to(bands.transpose(1, 2, 0), (16, 16, 3)))


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float32", "float64", "int8"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("options", [{}, {"interleave": "band"}, {"compress": "deflate"}])
def test_tiffs_of_other_numbers_are_refused_by_name(dtype: str, channels: int, options: dict[str, Any]) -> None:
    bands = np.repeat(RAMP[None] // 3, channels, axis=0).astype(dtype)
    with pytest.raises(SampleError, match="odd/name"):
        decode_rgb(tiff(bands, **options), "odd/name")


def test_palettes_grey_and_bilevel_keep_their_colors() -> None:
    colors = Image.fromarray(np.stack([RAMP, 255 - RAMP, RAMP.T], axis=-1)).quantize(64)
    for kind in ("TIFF", "PNG"):
        assert np.array_equal(decode_rgb(saved(colors, kind), "x"), np.asarray(colors.convert("RGB")))
        assert np.array_equal(decode_rgb(saved(Image.fromarray(RAMP), kind), "x")[..., 1], RAMP)
        found = decode_rgb(saved(Image.fromarray(RAMP > 99), kind), "x")
        assert np.array_equal(found[..., 0], np.where(RAMP > 99, 255, 0))


def test_alpha_goes_where_it_hides_nothing() -> None:
    full = np.full_like(RAMP, 255)
    for bands in ((RAMP, 255 - RAMP, RAMP.T, full), (RAMP, full)):
        mode = {4: "RGBA", 2: "LA"}[len(bands)]
        image = Image.fromarray(np.stack(bands, axis=-1), mode)
        for kind in ("TIFF", "PNG"):
            assert np.array_equal(decode_rgb(saved(image, kind), "x")[..., 0], RAMP)
            image_with_a_hole = Image.fromarray(np.stack([*bands[:-1], RAMP], axis=-1), mode)
            with pytest.raises(SampleError, match="x has pixels that are transparent"):
                decode_rgb(saved(image_with_a_hole, kind), "x")


@pytest.mark.parametrize(
    "content",
    [
        saved(Image.fromarray(RAMP.astype(np.uint16) * 200), "PNG"),
        saved(Image.new("CMYK", (8, 8), (9, 99, 0, 0)), "TIFF"),
        saved(Image.new("CMYK", (8, 8), (9, 99, 0, 0)), "JPEG"),
        saved(Image.new("LAB", (8, 8), (50, 9, 9)), "TIFF"),
        saved(Image.new("RGB", (8, 8)), "GIF"),
        saved(Image.new("RGB", (8, 8)), "JPEG")[:-40],
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"II*\0",
    ],
)
def test_what_cannot_be_read_right_is_named(content: bytes) -> None:
    with pytest.raises(SampleError, match=r"^odd/name "):
        decode_rgb(content, "odd/name")


def test_size_is_looked_at_before_pixels() -> None:
    """A header that promises 64 million pixels, of which there is none."""
    header = b"IHDR" + struct.pack(">2I5B", 8_000, 8_000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">2I", zlib.crc32(header), 9) + b"IDAT"
    )
    with pytest.raises(SampleError, match="x is 8000x8000 pixels, not 64x64"):
        decode_rgb(content, "x", (64, 64))
    with pytest.raises(SampleError, match="x is 8000x8000 pixels, more"):
        decode_rgb(content, "x")
    wide = saved(Image.new("L", (20_000, 16)), "JPEG")
    with pytest.raises(SampleError, match="x is 20000x16 pixels, not 64x64"):
        decode_rgb(wide, "x", (64, 64))


PHOTO = saved(Image.fromarray(np.stack([RAMP, 255 - RAMP, RAMP.T], axis=-1)), "JPEG")


@given(st.binary(max_size=200))
def test_bytes_after_the_end_of_a_jpeg_do_not_matter(tail: bytes) -> None:
    assert np.array_equal(decode_rgb(PHOTO + tail, "x"), np.asarray(Image.open(io.BytesIO(PHOTO))))


@given(
    st.sampled_from([PHOTO, tiff(np.stack([RAMP] * 3)), saved(Image.fromarray(RAMP), "PNG")]),
    st.integers(0, 4000),
    st.binary(min_size=1, max_size=8),
)
def test_any_bytes_give_an_image_or_a_sentence(content: bytes, place: int, other: bytes) -> None:
    place %= len(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(SampleError):
            found = decode_rgb(content[:place] + other + content[place + len(other) :], "x")
            assert found.dtype == np.uint8
            assert found.shape[2:] == (3,)
