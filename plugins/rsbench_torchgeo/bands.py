"""Bands of sensors by the names that they have in common, so that those of a dataset are found whatever it calls them.

Common names are those of STAC's extension for electro-optical data; the polarizations of radar, and an index such as
NDVI, are called by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DN: Final = "s2_dn"  # the unit of Sentinel-2's digital numbers
_RGB: Final = {"R": "red", "G": "green", "B": "blue"}
SENTINEL2: Final = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "rededge071",
    "B6": "rededge075",
    "B7": "rededge078",
    "B8": "nir",
    "B8A": "nir08",
    "B9": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
}
_TM: Final = {"B1": "blue", "B2": "green", "B3": "red", "B4": "nir08", "B5": "swir16", "B6": "lwir", "B7": "swir22"}
_ETM: Final = _TM | {"B6_VCID_1": "lwir-low", "B6_VCID_2": "lwir-high", "B8": "pan"}
_OLI: Final = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir08",
    "B6": "swir16",
    "B7": "swir22",
    "B8": "pan",
    "B9": "cirrus",
    "B10": "lwir11",
    "B11": "lwir12",
}
SENSORS: Final = {
    "sentinel1": {},
    "sentinel2": SENTINEL2,
    "landsat_tm": _TM,
    "landsat_etm": _ETM,
    "landsat_oli": _OLI,
    "landsat": _OLI,  # Satlas: Landsat 8 and 9
    "naip": _RGB,
    "fmow": _RGB,
    "cityscapes": _RGB,
}


def common_name(band: str, sensor: str = "sentinel2") -> str:
    """Return what a sensor's band is called by all: ``B08`` and ``SR_B8`` as ``B8``; in lower case where it is none of
    the sensor's."""
    name = band.upper().removeprefix("SR_")
    if name[:2] == "B0":
        name = "B" + name[2:]
    return SENSORS[sensor].get(name, band.lower())


def places(bands: Sequence[str], units: Sequence[str], sensor: str, wanted: Sequence[str]) -> list[int | None]:
    """Return where each band that is wanted stands among those of a dataset; ``None`` where it has none such.

    Args:
        bands: the dataset's names; numbered ones are Sentinel-2's where their unit says so, else of nobody knows what:
            Landsat's of the same number are others.
        units: of their values.
        sensor: that the weights are for.
        wanted: its names of bands.
    """
    have = [common_name(band) if unit == DN else band.lower() for band, unit in zip(bands, units, strict=True)]
    names = [common_name(band, sensor) for band in wanted]
    return [have.index(name) if name in have else None for name in names]
