"""What the datasets are, without importing anything heavy."""

from __future__ import annotations

from typing import Final

from rsbench.specs import Band, DatasetSpec, RemoteFile

CLASSES: Final = (
    "AnnualCrop",
    "Forest",
    "HerbaceousVegetation",
    "Highway",
    "Industrial",
    "Pasture",
    "PermanentCrop",
    "Residential",
    "River",
    "SeaLake",
)
COUNTS: Final = (3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000)
MS_BANDS: Final = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")

_TORCHGEO: Final = "https://hf.co/datasets/torchgeo/eurosat/resolve/1ce6f1bfb56db63fd91b6ecc466ea67f2509774c/"
_HELBER: Final = "Helber et al. 2019, EuroSAT: A Novel Dataset and Deep Learning Benchmark, IEEE JSTARS 12(7)"

LISTS: Final = (
    RemoteFile(
        name="eurosat-train.txt",
        urls=(f"{_TORCHGEO}eurosat-train.txt",),
        md5="908f142e73d6acdf3f482c5e80d851b1",
        bytes=313605,
    ),
    RemoteFile(
        name="eurosat-val.txt",
        urls=(f"{_TORCHGEO}eurosat-val.txt",),
        md5="95de90f2aa998f70a3b2416bfe0687b4",
        bytes=104659,
    ),
    RemoteFile(
        name="eurosat-test.txt",
        urls=(f"{_TORCHGEO}eurosat-test.txt",),
        md5="7ae5ab94471417b6e315763121e67c5f",
        bytes=104163,
    ),
)

EUROSAT: Final = DatasetSpec(
    name="eurosat",
    summary="EuroSAT RGB: 27,000 Sentinel-2 scenes of 64x64 pixels at 10 m in 10 land-use classes.",
    source="rsbench_eurosat.rgb:source",
    classes=CLASSES,
    bands=(
        Band(name="red", mean=87.8, std=51.7, min=0, max=255),
        Band(name="green", mean=97.0, std=34.9, min=0, max=255),
        Band(name="blue", mean=104.0, std=29.5, min=0, max=255),
    ),
    image_size=64,
    samples=27_000,
    class_counts=COUNTS,
    files=(
        RemoteFile(
            name="EuroSAT.zip",
            urls=(
                "https://madm.dfki.de/files/sentinel/EuroSAT.zip",
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
            ),
            md5="c8fa014336c82ac7804f0398fcb19387",
        ),
        *LISTS,
    ),
    fake="rsbench_eurosat.fake:write_rgb",
    default_protocol="in-domain-60-20-20",
    license="MIT (Copernicus Sentinel data)",
    citation=_HELBER,
    homepage="https://github.com/phelber/EuroSAT",
)

EUROSAT_MS: Final = DatasetSpec(
    name="eurosat-ms",
    summary="EuroSAT multispectral: the same scenes in the 13 bands of Sentinel-2, as digital numbers.",
    source="rsbench_eurosat.multispectral:source",
    classes=CLASSES,
    bands=tuple(Band(name=b, unit="s2_dn", min=0, max=65535) for b in MS_BANDS),
    image_size=64,
    samples=27_000,
    class_counts=COUNTS,
    files=(
        RemoteFile(
            name="EuroSATallBands.zip",
            urls=(f"{_TORCHGEO}EuroSATallBands.zip",),
            md5="5ac12b3b2557aa56e1826e981e8e200e",
            extract=True,
        ),
        *LISTS,
    ),
    fake="rsbench_eurosat.fake:write_multispectral",
    default_protocol="ms-in-domain-60-20-20",
    license="MIT (Copernicus Sentinel data)",
    citation=_HELBER,
    homepage="https://github.com/phelber/EuroSAT",
)

TORCHGEO: Final = DatasetSpec(
    name="torchgeo:*",
    summary="Any classification dataset of torchgeo, by its class name, such as torchgeo:UCMerced.",
    source="rsbench_eurosat.torchgeo_family:source",
    resolver="rsbench_eurosat.torchgeo_family:resolve",
    members="rsbench_eurosat.torchgeo_family:members",
    default_protocol="official-split",
    citation="Stewart et al. 2022, TorchGeo: Deep Learning With Geospatial Data",
    homepage="https://torchgeo.readthedocs.io",
)
