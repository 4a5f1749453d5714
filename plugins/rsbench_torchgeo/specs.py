"""What the backbones are, without importing torch or torchgeo."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from functools import cache
from typing import Any, Final

from rsbench.specs import Accepts, ModelSpec, Option
from rsbench_torchgeo.table import FILE

MISSING: Final = ("refuse", "zero", "mean")
UNITS: Final = ("check", "any")
_FACTORY: Final = "rsbench_torchgeo.build:backbone"
_ACCEPTS: Final = Accepts(normalization="none", min_size=32)  # the network normalizes as its weights want it

FAMILY: Final = ModelSpec(
    name="torchgeo:*",
    summary="Backbones of torchgeo trained on satellite images, such as torchgeo:resnet50.sentinel2_rgb_moco.",
    factory=_FACTORY,
    accepts=_ACCEPTS,
    resolver="rsbench_torchgeo.specs:resolve",
    members="rsbench_torchgeo.specs:members",
    example="resnet18.sentinel2_rgb_moco",
)


@cache
def known() -> dict[str, dict[str, Any]]:
    """Return name -> row of the table."""
    return {row["name"]: row for row in json.loads(FILE.read_text(encoding="utf-8"))}


def members(pattern: str = "*") -> list[str]:
    """Names ``architecture.weights`` that match a shell pattern."""
    return [name for name in known() if fnmatch(name, pattern)]


def resolve(name: str) -> ModelSpec | None:
    """Spec of ``torchgeo:<architecture>.<weights>``."""
    row = known().get(name)
    if row is None:
        return None
    units = ", ".join(dict.fromkeys(row["units"]))
    return ModelSpec(
        name=f"torchgeo:{name}",
        summary=f"{row['architecture']} for {len(row['bands'])} bands of {row['sensor']} ({units}), "
        f"{row['method'] or 'supervised'}.",
        factory=_FACTORY,
        accepts=_ACCEPTS,
        options={
            "backbone": Option(default=name, help="set by the name", choices=(name,)),
            "weights": Option(
                default="pretrained",
                help="pretrained (downloaded) | none | a local .pth, .pt or .safetensors file",
                file_unless=("none", "pretrained"),
            ),
            "missing": Option(
                default="refuse",
                help="what stands for bands that the dataset lacks: refuse | zero (as stored) | mean (of the weights)",
                choices=MISSING,
            ),
            "units": Option(
                default="check",
                help="check: values have to be in the unit of the weights; any: they are taken as they are",
                choices=UNITS,
            ),
            "input_size": Option(
                default=0,
                help="side to which images are resized inside the model, in pixels; 0 leaves them where it can",
            ),
        },
        recipes=("finetune", "finetune-short"),
        pretrained_on=row["pretrained_on"],
        license=row["license"] or "see citation",
        citation=row["citation"] or "torchgeo",
        test_options={"weights": "none", "missing": "zero", "units": "any"},
    )
