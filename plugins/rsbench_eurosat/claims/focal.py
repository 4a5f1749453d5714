"""ResNet-18 with Class Focal Loss and with cross entropy: all numbers of the paper's two tables of results."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from rsbench.specs import Claim, ClaimSet
from rsbench_eurosat.datasets import CLASSES

_FOCAL: Final = "ResNet-18, Class Focal Loss"
_CROSS: Final = "ResNet-18, cross entropy"
# As printed, in the order of the classes.
_CORRECT: Final = (1400, 1498, 1393, 1200, 1185, 980, 1199, 1496, 1190, 1400)
_FOCAL_ACCURACY: Final = (".9333", ".9986", ".9286", ".9600", ".9480", ".9800", ".9592", ".9973", ".9520", ".9333")
_CROSS_ACCURACY: Final = (".9000", ".9180", ".9550", ".9750", ".9888", ".9540", ".9528", ".9986", ".9576", ".9280")
_CROSS_F1: Final = (".8840", ".9130", ".9540", ".9659", ".9780", ".9630", ".9329", ".9800", ".9476", ".9180")
_IMAGES: Final = (3000, 3000, 3000, 2500, 2500, 2000, 2500, 3000, 2500, 3000)


def _rows() -> Iterator[Claim]:
    for k, name in enumerate(CLASSES):
        focal = partial(Claim, system=_FOCAL, place="table 3", unit="", part=name, n=_IMAGES[k] // 2, runs=1)
        cross = partial(Claim, system=_CROSS, place="table 4", unit="", part=name, n=_IMAGES[k], runs=1)
        yield focal(metric="accuracy", value=_FOCAL_ACCURACY[k])
        yield focal(metric="correct", value=str(_CORRECT[k]))
        yield cross(metric="accuracy", value=_CROSS_ACCURACY[k])
        yield cross(metric="f1", value=_CROSS_F1[k])


FOCAL: Final = ClaimSet(
    name="class-focal-eurosat",
    summary="ImageNet ResNet-18 with Class Focal Loss and with cross entropy, class by class.",
    paper="class-focal",
    dataset="eurosat",
    protocol="label counts 1500/1250/1000 in table 3, half of each class; table 4 lists the counts of all images",
    measured_by="focal-50-50",
    parts=CLASSES,
    models={
        _FOCAL: ("resnet18-class-focal@class-focal", "resnet18-class-focal@class-focal-exponent"),
        _CROSS: ("resnet18-class-focal@class-focal-cross-entropy",),
    },
    rows=tuple(_rows()),
    left_open=(
        "optimizer, epochs, schedule, input size, frozen or fine-tuned, seed, validation split, source of the weights",
        "which of two readings of equation 4 the loss is",
        "which images table 4 was measured on",
        "overall accuracy; table 3 adds up to 12,941 of 13,500 correct, 95.859 %",
    ),
    citation="ResNet-18 with Class Focal Loss on EuroSAT RGB",
)
