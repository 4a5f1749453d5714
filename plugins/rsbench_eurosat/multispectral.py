"""EuroSAT in 13 bands, through torchgeo: its layout, its class and band order, its split lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec
from rsbench_eurosat.rgb import official_split


def source(root: Path, spec: DatasetSpec) -> GeoTiffSource:
    """Return the source over *root*, which holds torchgeo's ``ds/images/.../tif/<Class>/<Class>_<n>.tif``.

    A folder with some classes only is taken as it is: the classes found keep their names and official order.

    Raises:
        UserError: no images are there.
    """
    from torchgeo.datasets import EuroSAT

    folder = root / EuroSAT.base_dir if (root / EuroSAT.base_dir).is_dir() else root
    present = [c for c in spec.classes if (folder / c).is_dir() and any((folder / c).glob("*.tif"))]
    if not present:
        raise UserError(f"No EuroSAT GeoTIFFs ({EuroSAT.base_dir}/<Class>/*.tif) were found in {root}.")
    files = [
        (label, str(p.relative_to(folder)))
        for label, c in enumerate(present)
        for p in sorted((folder / c).glob("*.tif"))
    ]
    return GeoTiffSource(folder, files, tuple(present), official_split(root, [n for _, n in files]))


class GeoTiffSource:
    """Reads 13 x 64 x 64 GeoTIFFs as uint16 digital numbers (reflectance x 10,000)."""

    def __init__(
        self, folder: Path, files: list[tuple[int, str]], classes: tuple[str, ...], split: list[str] | None
    ) -> None:
        self.folder, self.names, self.classes = folder, [n for _, n in files], classes
        self.shape, self.dtype = (13, 64, 64), "uint16"
        self.image_ids = [Path(n).stem for n in self.names]
        self.columns: dict[str, list[Any]] = {"id": self.image_ids, "label": [label for label, _ in files]}
        if split is not None:
            self.columns["official_split"] = split

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Read images into uint16 ``out`` [n, 13, 64, 64].

        Raises:
            SampleError: a file cannot be read or has another shape or type.
        """
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning, RasterioError

        # Without this GDAL lists the whole class folder for each file that it opens.
        os.environ.setdefault("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
        import warnings

        for k, name in enumerate(self.names[start:stop]):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", NotGeoreferencedWarning)
                    with rasterio.open(self.folder / name) as opened:
                        image = opened.read()
            except (OSError, RasterioError) as error:
                raise SampleError(f"{name} cannot be read ({error})") from None
            if image.shape != self.shape or image.dtype != np.uint16:
                raise SampleError(f"{name} is {image.dtype} {list(image.shape)}, not uint16 {list(self.shape)}")
            out[k] = image
