"""Builds backbones of torchgeo that take the bands of their weights from a dataset's, and normalize them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from rsbench_timm.hub import downloading, torch_hub_at
from rsbench_timm.weights import load_weights
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.context import ModelContext
from rsbench_torchgeo.bands import common_name, places
from rsbench_torchgeo.specs import known
from rsbench_torchgeo.table import statistics

SHOWN: Final = 6  # names of bands in a sentence


class Banded(nn.Module):
    """Takes the bands that a network was trained on, in its order, and normalizes them as its weights want it.

    Args:
        network: images [B, K, S, S] -> logits.
        places: of each of its K bands among those of the images; ``None`` where they lack it.
        mean, std: of each of its bands, in stored units; subtracted and divided by.
        missing: ``zero`` or ``mean``, the stored value of bands that lack.
        size: side in pixels to which images are resized bilinearly; 0 leaves them.
    """

    index: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        places: Sequence[int | None],
        mean: Sequence[float],
        std: Sequence[float],
        missing: str,
        size: int,
    ) -> None:
        super().__init__()
        self.network, self.size = network, size
        there = torch.tensor([place is not None for place in places])
        scale, shift = 1 / torch.tensor(std), -torch.tensor(mean) / torch.tensor(std)
        constant = shift if missing == "zero" else torch.zeros_like(shift)
        self.register_buffer("index", torch.tensor([place or 0 for place in places]), persistent=False)
        self.register_buffer("scale", torch.where(there, scale, 0.0).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", torch.where(there, shift, constant).view(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images [B, C, S, S] in stored units to logits [B, K]."""
        images = images.index_select(1, self.index) * self.scale + self.shift
        if self.size and self.size != images.shape[-1]:
            smaller = self.size < images.shape[-1]
            images = F.interpolate(images, size=(self.size, self.size), mode="bilinear", antialias=smaller)
        return self.network(images)


def backbone(
    context: ModelContext,
    backbone: str,
    weights: str = "none",
    missing: str = "refuse",
    units: str = "check",
    input_size: int = 0,
) -> nn.Module:
    """Build a backbone of torchgeo with a new classifier.

    Args:
        context: bands with their units, size and classes.
        backbone: ``architecture.weights``, which says the bands, units and normalization, whichever weights are taken.
        weights: ``pretrained``, ``none``, or the path of a file.
        missing: what stands for bands that the dataset lacks: ``refuse``, ``zero`` or ``mean``.
        units: ``any`` takes values of another unit as they are.
        input_size: side in pixels to which images are resized; 0 leaves them, or is that of its pretraining where the
            network takes no other.

    Raises:
        UserError: bands lack or have another unit, or the weights cannot be had or do not fit.
    """
    from torchgeo.models import get_model_weights

    row, name = known()[backbone], f"torchgeo:{backbone}"
    entry = next((one for one in get_model_weights(row["architecture"]) if one.name == row["weights"]), None)
    if entry is None:
        raise UserError(f"The installed torchgeo has no weights {row['weights']} of {row['architecture']}: upgrade it.")
    found = _places(context, row, name, missing)
    if units == "check":
        _check_units(context, row, name, found)
    fixed = row["architecture"].startswith("vit_")
    size = input_size or (row["size"] or 224 if fixed else 0)
    mean, std = statistics(entry.transforms, len(found))
    network = _network(row["architecture"], len(found), context.num_classes, size if fixed else None)
    if weights == "pretrained":
        with downloading(name), torch_hub_at(context.weights_dir):
            state = entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
        load_weights(network, state, _classifier(network))
    elif weights != "none":
        load_weights(network, weights, _classifier(network))
    return Banded(network, found, mean, std, missing, size)


def _places(context: ModelContext, row: dict[str, Any], name: str, missing: str) -> list[int | None]:
    """Where the network's bands stand among the dataset's; by their order where these have no names."""
    if not context.bands and context.channels == len(row["bands"]):
        return [*range(context.channels)]
    units = context.units or ("any",) * len(context.bands)
    found = places(context.bands, units, row["sensor"], row["bands"])
    lacking = [band for band, place in zip(row["bands"], found, strict=True) if place is None]
    if lacking and missing == "refuse":
        more = ", ..." if len(lacking) > SHOWN else ""
        there = ", ".join(context.bands[:SHOWN]) or "bands without names"
        raise UserError(
            f"{name} takes {', '.join(lacking[:SHOWN])}{more} of {row['sensor']}, which the data ({there}) lack: take "
            "a backbone for their bands (rsbench list models 'torchgeo:*'), or --option missing=zero or missing=mean."
        )
    return found


def _check_units(context: ModelContext, row: dict[str, Any], name: str, found: Sequence[int | None]) -> None:
    for band, unit, place in zip(row["bands"], row["units"], found, strict=True):
        stored = context.units[place] if place is not None and place < len(context.units) else "any"
        if "any" not in (unit, stored) and unit != stored:
            raise UserError(
                f"{name} was trained on {common_name(band, row['sensor'])} in {unit}, and the data are in {stored}: "
                "take data or a backbone in one unit, or --option units=any to take the values as they are."
            )


def _network(architecture: str, bands: int, classes: int, size: int | None) -> nn.Module:
    """Return torchgeo's network for so many bands and classes, with random weights."""
    from torchgeo.models import get_model

    if not architecture.startswith("swin_"):
        options = {} if size is None else {"img_size": size}
        return get_model(architecture, weights=None, in_chans=bands, num_classes=classes, **options)
    network: Any = get_model(architecture, weights=None, num_classes=classes)  # torchvision's, for 3 bands
    first = network.features[0][0]
    if first.in_channels != bands:
        network.features[0][0] = nn.Conv2d(bands, first.out_channels, first.kernel_size, first.stride)
    return network


def _classifier(network: nn.Module) -> tuple[str, ...]:
    return tuple(name for name in ("fc", "head") if hasattr(network, name))
