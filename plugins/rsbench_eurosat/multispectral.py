"""EuroSAT in 13 bands, through torchgeo: its layout, its class and band order, its split lists."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.source import SampleError
from rsbench.data.tree import TIFF, FileTree, place_of, stem
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec
from rsbench_eurosat.lists import official_split
from rsbench_eurosat.rgb import images_by_class

ARCHIVE: Final = "EuroSATallBands.zip"
SIZE: Final = 64


def source(root: Path, spec: DatasetSpec) -> GeoTiffSource:
    """Return the source over *root*: ``EuroSATallBands.zip`` or folders with ``<Class>/<Class>_<n>.tif``.

    A set with some classes only is taken as it is: the classes found keep their names and official order.

    Raises:
        UserError: no images are there, two have one name, or the lists do not fit them.
    """
    tree = FileTree(root)
    if not tree.ending(TIFF):
        tree = FileTree(place_of(root, ARCHIVE))
    by_class = images_by_class(tree, TIFF, spec.classes)
    present = [c for c in spec.classes if by_class[c]]
    if not present:
        raise UserError(f"No EuroSAT GeoTIFFs (<Class>/<Class>_<n>.tif) were found in {tree.root}.")
    files = [(label, name) for label, c in enumerate(present) for name in by_class[c]]
    return GeoTiffSource(tree, files, tuple(present), official_split(tree, [name for _, name in files]))


class GeoTiffSource:
    """Reads 13 x 64 x 64 GeoTIFFs as uint16 digital numbers (reflectance x 10,000).

    Args:
        tree: the files.
        files: class number and path of each image, in order.
        classes: their names.
        split: part of the official split of each image; ``None`` without lists.
    """

    def __init__(
        self, tree: FileTree, files: list[tuple[int, str]], classes: tuple[str, ...], split: list[str] | None
    ) -> None:
        self.tree, self.names, self.classes = tree, [name for _, name in files], classes
        self.shape, self.dtype = (13, SIZE, SIZE), "uint16"
        self.image_ids = [stem(name) for name in self.names]
        self.columns: dict[str, list[Any]] = {"id": self.image_ids, "label": [label for label, _ in files]}
        if split is not None:
            self.columns["official_split"] = split

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Read images into uint16 ``out`` [n, 13, 64, 64].

        Raises:
            SampleError: a file cannot be read or has another shape or type.
        """
        from rasterio.errors import NotGeoreferencedWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            for k, name in enumerate(self.names[start:stop]):
                out[k] = self._image(name)

    def _image(self, name: str) -> np.ndarray:
        from rasterio.errors import RasterioError
        from rasterio.io import MemoryFile

        content = self.tree.read(name)
        try:
            with MemoryFile(content) as file, file.open(driver="GTiff") as opened:
                shape, kinds = (opened.count, opened.height, opened.width), set(opened.dtypes)
                if shape != self.shape or kinds != {self.dtype}:
                    found = f"{', '.join(sorted(kinds))} {list(shape)}"
                    raise SampleError(f"{name} is {found}, not {self.dtype} {list(self.shape)}")
                return opened.read()
        except (OSError, RasterioError) as error:
            raise SampleError(f"{name} cannot be read ({error})") from None
