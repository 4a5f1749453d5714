"""EuroSAT's own paper (Helber et al. 2019): the fine-tuned networks at 80/20.

Its abstract was read; what is marked ``recalled`` is from memory.
"""

from __future__ import annotations

from typing import Final

from rsbench.specs import Claim, ClaimSet

_TABLE: Final = "table of train/test splits, 80/20"


def _recalled(system: str, value: str) -> Claim:
    return Claim(system=system, metric="overall_accuracy", value=value, place=_TABLE, n=5400, certainty="recalled")


HELBER: Final = ClaimSet(
    name="helber-eurosat",
    summary="Fine-tuned ResNet-50 and the networks beside it, on 80/20 of EuroSAT RGB.",
    paper="helber",
    dataset="eurosat",
    protocol="80/20 in each class (recalled), best network of the paper",
    measured_by="helber-80-20",
    models={"ResNet-50": ("resnet50-finetuned",)},
    rows=(
        Claim(system="ResNet-50", metric="overall_accuracy", value="98.57", place="abstract", n=5400),
        _recalled("ResNet-50", "98.57"),
        _recalled("GoogLeNet", "98.18"),
        _recalled("CNN, two layers", "87.96"),
    ),
    left_open=(
        "the draw of the split; that it is by class is recalled",
        "epochs, batch, optimizer and augmentation",
        "number of trainings",
    ),
    citation="Helber et al. 2019, EuroSAT: A Novel Dataset and Deep Learning Benchmark, IEEE JSTARS 12(7)",
)
