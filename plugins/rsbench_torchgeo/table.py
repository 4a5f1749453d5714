"""What torchgeo says of its weights, as rows that can be listed without importing it.

``python -m rsbench_torchgeo.table`` writes ``weights.json`` from the torchgeo that is installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rsbench_torchgeo.bands import DN

FILE: Final = Path(__file__).parent / "weights.json"
ARCHITECTURES: Final = ("resnet", "vit_", "swin_")  # others take more than an image: wavelengths, dates, two sensors
PREFIXES: Final = (  # of the names of weights, the longest first
    *(("LANDSAT_TM", "landsat_tm"), ("LANDSAT_ETM", "landsat_etm"), ("LANDSAT_OLI", "landsat_oli")),
    *(("SENTINEL1", "sentinel1"), ("SENTINEL2", "sentinel2"), ("LANDSAT", "landsat"), ("NAIP", "naip")),
    *(("FMOW", "fmow"), ("CITYSCAPES", "cityscapes")),
)
DIGITAL_NUMBERS: Final = {"sentinel2": DN, "landsat": "landsat_dn"}


def rows() -> list[dict[str, Any]]:
    """Return a row for each of torchgeo's weights of a network that takes an image alone."""
    from torchgeo.models import get_model_weights, list_models

    found = []
    for architecture in list_models():
        if architecture.startswith(ARCHITECTURES):
            found += [_row(architecture, weights) for weights in get_model_weights(architecture)]
    return sorted(found, key=lambda row: row["name"])


def _row(architecture: str, weights: Any) -> dict[str, Any]:
    meta, sensor = weights.meta, next(sensor for prefix, sensor in PREFIXES if weights.name.startswith(prefix))
    bands = [*(meta.get("bands") or ("R", "G", "B"))]
    return {
        "name": f"{architecture}.{weights.name.lower()}",
        "architecture": architecture,
        "weights": weights.name,
        "sensor": sensor,
        "bands": bands,
        "units": units(sensor, *statistics(weights.transforms, len(bands))),
        "size": _size(weights.transforms),
        "pretrained_on": meta.get("dataset"),
        "method": meta.get("ssl_method"),
        "license": meta.get("license"),
        "citation": meta.get("publication"),
    }


def statistics(transforms: Any, bands: int) -> tuple[list[float], list[float]]:
    """Return what all normalizations of *transforms* together subtract from each band, and divide it by."""
    import torch

    mean, std = torch.zeros(bands, dtype=torch.float64), torch.ones(bands, dtype=torch.float64)
    for step in transforms.modules():
        if type(step).__name__ == "Normalize":
            mean = mean + std * torch.as_tensor(step.mean, dtype=torch.float64)
            std = std * torch.as_tensor(step.std, dtype=torch.float64)
    return mean.tolist(), std.tolist()


def units(sensor: str, mean: Sequence[float], std: Sequence[float]) -> list[str]:
    """Return the unit of each band, which follows from what its values are divided by: torchgeo names none."""
    if max(std) == 1 and not any(mean):
        return ["any" if sensor == "sentinel1" else "unit"] * len(std)
    if min(mean) < 0 and sensor == "sentinel1":
        return ["db"] * len(std)
    if sensor in DIGITAL_NUMBERS and max(std) > 255:  # where some bands are of a picture, these are divided by 255
        return ["uint8" if value == 255 else DIGITAL_NUMBERS[sensor] for value in std]
    return ["uint8"] * len(std)


def _size(transforms: Any) -> int:
    """The side of the images that it was trained on; 0 where nothing says it."""
    found = 0
    for step in transforms.modules():
        size = getattr(step, "size", None)
        found = int(size if isinstance(size, int) else size[0]) if size else found
    return found


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows()) + "\n]\n")
