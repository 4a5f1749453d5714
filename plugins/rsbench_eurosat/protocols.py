"""Protocols on EuroSAT, and the official splits of torchgeo's datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rsbench.specs import ProtocolSpec
from rsbench.tasks.standard import CLASSIFICATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

_RANDOM: Final = "rsbench_eurosat.protocols:author_split"
_STRATIFIED: Final = "rsbench.data.splits:stratified"
_LISTS: Final = "rsbench.data.splits:from_column"


def author_split(
    ids: Sequence[str], columns: dict[str, Any], *, sizes: Sequence[int], seed: int
) -> dict[str, np.ndarray]:
    """Split as ``torch.utils.data.random_split`` does over ImageFolder order with a seeded generator.

    Args:
        ids: of the samples, in the order of ImageFolder.
        columns: not used.
        sizes: samples of train, val and test.
        seed: of the generator.

    Raises:
        UserError: the sizes do not add up to the number of samples.
    """
    import torch

    from rsbench.errors import UserError

    if sum(sizes) != len(ids):
        raise UserError(
            f"This split is of {sum(sizes)} samples, but {len(ids)} are prepared: the dataset is incomplete."
        )
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed)).numpy()
    first, second = sizes[0], sizes[0] + sizes[1]
    return {"train": order[:first], "val": order[first:second], "test": order[second:]}


PROTOCOLS: Final = (
    ProtocolSpec(
        name="in-domain-60-20-20",
        summary="The official 16,200/5,400/5,400 lists that torchgeo uses; best epoch by validation accuracy.",
        dataset="eurosat",
        split=_LISTS,
        size=64,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="eurosat-standard",
        targets=(0.9, 0.95, 0.97),
        citation="Neumann et al. 2019, In-domain representation learning for remote sensing",
    ),
    ProtocolSpec(
        name="in-domain-60-20-20-refit",
        summary="The same lists; what probes choose on validation they fit to training and validation.",
        dataset="eurosat",
        split=_LISTS,
        size=64,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="linear-probe",
        refit=True,
        citation="Neumann et al. 2019, In-domain representation learning for remote sensing",
    ),
    ProtocolSpec(
        name="bmta-70-15-15",
        summary="The split of BMTA's author, 18,900/4,050/4,050, recovered from random_split with seed 42.",
        dataset="eurosat",
        split=_RANDOM,
        split_options={"sizes": [18_900, 4_050, 4_050], "seed": 42},
        size=64,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="eurosat-long",
        targets=(0.9430, 0.9598, 0.9723),
        citation="Vir 2025, arXiv 2510.15527; checked against all ten per-class accuracies of the paper",
    ),
    ProtocolSpec(
        name="helber-80-20",
        summary="80/20 in each class, 21,600/5,400, last epoch; the paper's own draw is not published.",
        dataset="eurosat",
        split=_STRATIFIED,
        split_options={"fractions": [0.8, 0.0, 0.2], "seed": 0},
        size=64,
        metrics=CLASSIFICATION,
        selection="last",
        recipe="eurosat-standard",
        citation="Helber et al. 2019; split ratio and stratification as stated, the draw is ours",
    ),
    ProtocolSpec(
        name="focal-50-50",
        summary="50/50 in each class with a tenth of the training half for validation: 12,150/1,350/13,500.",
        dataset="eurosat",
        split=_STRATIFIED,
        split_options={"fractions": [0.45, 0.05, 0.5], "seed": 0},
        size=64,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="eurosat-standard",
        citation="ResNet-18 with Class Focal Loss: label counts 1500/1250/1000 as in its Table 3; validation part ours",
    ),
    ProtocolSpec(
        name="ms-in-domain-60-20-20",
        summary="The official lists on all 13 bands.",
        dataset="eurosat-ms",
        split=_LISTS,
        size=64,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="eurosat-standard",
        citation="Neumann et al. 2019, In-domain representation learning for remote sensing",
    ),
    ProtocolSpec(
        name="official-split",
        summary="The split that torchgeo ships with the dataset.",
        dataset="torchgeo:*",
        split=_LISTS,
        metrics=CLASSIFICATION,
        selection="best_val",
        recipe="eurosat-standard",
    ),
)
