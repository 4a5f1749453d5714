"""One selection of real EuroSAT images in each peer's own format, made once in a cache folder.

ImageFolder gets the original JPEGs in class folders and rsbench its prepared store.  torchgeo reads nothing but 13-band
uint16 GeoTIFFs.  Of these only five tiles are freely at hand, so they are written here from the same RGB pixels, in the
original's layout on disk: 64x64, 13 bands interleaved by pixel, strips of four rows, no compression.  A pixel of value
v becomes 2750 v / 255, which undoes the stretch by which the RGB edition was made from reflectances, so that torchgeo's
own means and deviations are right for it.  Bands that RGB lacks are copies of those that it has.
"""

from __future__ import annotations

import time
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from rsbench.errors import UserError

STRETCH: Final = 2750 / 255
"""Digital numbers of Sentinel-2 for each unit of the RGB edition."""
MEAN: Final = tuple(m / 2750 for m in (947.62620298, 1042.92983953, 1118.24399958))
STD: Final = tuple(s / 2750 for s in (593.75055589, 395.09249139, 333.00778264))
"""torchgeo's statistics of B04, B03 and B02, for pixels in [0, 1]; every peer normalizes with them."""
RGB_OF_BAND: Final = (2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
TIF_FOLDER: Final = Path("ds", "images", "remote_sensing", "otherDatasets", "sentinel_2", "tif")
PARTS: Final = ("train", "val")
DONE: Final = "complete"


@dataclass(frozen=True)
class Selection:
    """Where one selection of images lies.

    Attributes:
        root: ``jpeg/{train,val}/<Class>/*.jpg`` and ``torchgeo/``.
        data_root: rsbench's data root with the whole dataset prepared.
    """

    root: Path
    data_root: Path

    @property
    def jpeg(self) -> Path:
        """Parent of one class-folder tree a part."""
        return self.root / "jpeg"

    @property
    def torchgeo(self) -> Path:
        """What torchgeo's ``EuroSAT`` takes as its root."""
        return self.root / "torchgeo"

    def ids(self, part: str) -> list[str]:
        """Names of the images of a part, without suffix."""
        return (self.root / f"{part}.txt").read_text().split()


def prepare_store(source: Path, cache: Path) -> float:
    """Prepare rsbench's store of all images in *source* where that is not done; return the seconds it took."""
    from rsbench.data.prepare import prepare
    from rsbench.registry import registry

    begin = time.perf_counter()
    prepare(registry().get("dataset", "eurosat"), source, cache)
    return time.perf_counter() - begin


def select(source: Path, cache: Path, train: int, val: int) -> Selection:
    """Write *train* and *val* images of the official split below *cache*, unless they are there.

    Args:
        source: folder of ``EuroSAT.zip`` and the official split lists.

    Raises:
        UserError: the archive or a list is missing, or too short.
    """
    selection = Selection(cache / f"{train}-{val}", cache)
    if (selection.root / DONE).exists():
        return selection
    archive = source / "EuroSAT.zip"
    if not archive.is_file():
        raise UserError(f"There is no EuroSAT.zip in {source}: name its folder with --data.")
    with zipfile.ZipFile(archive) as opened:
        members = {PurePosixPath(n).stem: n for n in opened.namelist() if n.endswith(".jpg")}
        for part, count in zip(PARTS, (train, val), strict=True):
            names = chosen(source / f"eurosat-{part}.txt", count)
            (selection.root / "jpeg" / part).mkdir(parents=True, exist_ok=True)
            for name in names:
                _write_image(selection, part, name, opened.read(members[name]))
            (selection.root / f"{part}.txt").write_text("\n".join(names))
            selection.torchgeo.mkdir(exist_ok=True)
            (selection.torchgeo / f"eurosat-{part}.txt").write_text("\n".join(f"{n}.jpg" for n in names))
    # torchgeo wants a test list to be there.
    (selection.torchgeo / "eurosat-test.txt").write_text((selection.torchgeo / "eurosat-val.txt").read_text())
    (selection.root / DONE).touch()
    return selection


def chosen(listing: Path, count: int) -> list[str]:
    """Return *count* names evenly spaced in the sorted list, so that classes keep their shares."""
    if not listing.is_file():
        raise UserError(f"There is no {listing.name} in {listing.parent}: put EuroSAT's official split lists there.")
    names = sorted(line.rpartition(".")[0] for line in listing.read_text().split())
    if count > len(names):
        raise UserError(f"{listing.name} has {len(names)} images: ask for at most as many.")
    return [names[i * len(names) // count] for i in range(count)]


def class_of(name: str) -> str:
    """``AnnualCrop_12`` is of class ``AnnualCrop``."""
    return name.rpartition("_")[0]


def _write_image(selection: Selection, part: str, name: str, data: bytes) -> None:
    jpeg = selection.jpeg / part / class_of(name) / f"{name}.jpg"
    jpeg.parent.mkdir(exist_ok=True)
    jpeg.write_bytes(data)
    tif = selection.torchgeo / TIF_FOLDER / class_of(name) / f"{name}.tif"
    tif.parent.mkdir(parents=True, exist_ok=True)
    write_tif(tif, jpeg)


def write_tif(path: Path, jpeg: Path) -> None:
    """Write a JPEG's pixels as a GeoTIFF of EuroSAT's multispectral edition."""
    import rasterio
    from PIL import Image

    rgb = np.asarray(Image.open(jpeg).convert("RGB"))
    bands = to_digital_numbers(rgb.transpose(2, 0, 1)[list(RGB_OF_BAND)])
    profile = {"driver": "GTiff", "dtype": "uint16", "width": 64, "height": 64, "count": len(bands)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile, interleave="pixel", blockysize=4) as opened:
            opened.write(bands)


def to_digital_numbers(rgb: np.ndarray) -> np.ndarray:
    """Return uint16 reflectances for uint8 pixels."""
    return np.rint(rgb * STRETCH).astype(np.uint16)


def numbers(ids: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Return the positions int64 of *wanted* among *ids*."""
    position = {name: i for i, name in enumerate(ids)}
    return np.array([position[name] for name in wanted], dtype=np.int64)
