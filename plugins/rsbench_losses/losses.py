"""Losses over logits [B, K] and targets int64 [B], each the mean over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.errors import UserError
from rsbench.tasks.context import LossContext

# The weights of BMTA's author, set by hand from confusions (configuration of the 12-layer network).
BMTA_AUTHOR: Final = {
    "AnnualCrop": 1.0,
    "Forest": 0.8,
    "HerbaceousVegetation": 1.3,
    "Highway": 1.0,
    "Industrial": 1.3,
    "Pasture": 1.0,
    "PermanentCrop": 1.3,
    "Residential": 0.8,
    "River": 1.0,
    "SeaLake": 0.8,
}


class FocalLoss(nn.Module):
    """Mean of -w_y (1 - p_y)^(gamma_y) log p_y, with a weight and an exponent for each class.

    Args:
        exponent: gamma_y, float32 [K].
        weight: w_y, float32 [K]; the mean is over samples, not over weights.
    """

    exponent: torch.Tensor
    weight: torch.Tensor

    def __init__(self, exponent: torch.Tensor, weight: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("exponent", exponent.float())
        self.register_buffer("weight", weight.float())

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the scalar loss."""
        negative_log = F.cross_entropy(logits, targets, reduction="none")
        # 1 - p from log p: exact where p is near 1, and its power stays differentiable at p = 1.
        missing = (-torch.expm1(-negative_log)).clamp_min(torch.finfo(negative_log.dtype).tiny)
        return (self.weight[targets] * missing ** self.exponent[targets] * negative_log).mean()


def cross_entropy(
    context: LossContext,
    class_weights: str | Sequence[float] = "none",
    label_smoothing: float = 0.0,
    beta: float = 0.9999,
) -> nn.Module:
    """Cross entropy; with class weights the mean is weighted, as in ``torch.nn.CrossEntropyLoss``.

    Args:
        context: number of classes and of their training samples.
        class_weights: ``none``, ``inverse``, ``effective-number``, ``bmta-author``, or one weight for each class.
        label_smoothing: in [0, 1).
        beta: of the effective number of samples, in [0, 1).

    Raises:
        UserError: ``class_weights`` does not fit the classes, or ``label_smoothing`` is not in [0, 1).
    """
    smoothing = _number("label_smoothing", label_smoothing)
    if smoothing >= 1:
        raise UserError(f"label_smoothing={smoothing} is not in [0, 1).")
    return nn.CrossEntropyLoss(weight_tensor(context, class_weights, beta), label_smoothing=smoothing)


def weight_tensor(context: LossContext, kind: str | Sequence[float], beta: float) -> torch.Tensor | None:
    """Return class weights float32 [K] for a name or a list; ``None`` for ``"none"``."""
    if not isinstance(kind, str):
        if len(kind) != context.num_classes:
            raise UserError(f"class_weights has {len(kind)} values for {context.num_classes} classes.")
        weights = torch.tensor([_number("class_weights", w) for w in kind])
        if not weights.any():
            raise UserError("class_weights are all 0; give at least one class a weight.")
        return weights
    if kind == "none":
        return None
    if kind == "bmta-author":
        missing = [c for c in context.classes if c not in BMTA_AUTHOR]
        if missing or not context.classes:
            raise UserError(f"class_weights=bmta-author is for EuroSAT's classes; it has none for {missing[:3]}.")
        return torch.tensor([BMTA_AUTHOR[c] for c in context.classes])
    counts = class_counts(context)
    if kind == "inverse":
        return _neutral_where_empty(counts.sum() / ((counts > 0).sum() * counts), counts)
    if kind == "effective-number":
        return effective_number(counts, beta)
    known = "none, inverse, effective-number, bmta-author or a list"
    raise UserError(f"class_weights='{kind}' is not known; use {known}.")


def class_counts(context: LossContext) -> torch.Tensor:
    """Training samples per class, float64 [K]."""
    if len(context.class_counts) != context.num_classes:
        raise UserError(
            "This loss needs the number of training samples of each class, which the dataset does not give."
        )
    return torch.tensor(context.class_counts, dtype=torch.float64)


def effective_number(counts: torch.Tensor, beta: float) -> torch.Tensor:
    """Weights (1 - beta) / (1 - beta^n) scaled to mean 1, float32 [K] (Cui et al. 2019, eq. 2).

    The mean is over classes with samples; one without has weight 1.
    """
    beta = _number("beta", beta)
    if beta >= 1:
        raise UserError(f"beta={beta} is not in [0, 1).")
    weights = (1 - beta) / (1 - beta**counts)
    present = weights[counts > 0]
    return _neutral_where_empty(weights / present.mean(), counts)


def _neutral_where_empty(weights: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Weights float32 [K], with 1 for classes without training samples."""
    return torch.where(counts > 0, weights, 1.0).float()


def _number(name: str, value: float) -> float:
    """Return *value* as a float that is finite and not negative.

    Raises:
        UserError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise UserError(f"{name}={value} of the loss is not a number that is 0 or more.")
    return float(value)


def focal(context: LossContext, gamma: float = 2.0) -> nn.Module:
    """Softmax focal loss with one exponent for all classes."""
    ones = torch.ones(context.num_classes)
    return FocalLoss(_number("gamma", gamma) * ones, ones)


def class_focal(context: LossContext, gamma: float = 0.5, variant: str = "multiplicative") -> nn.Module:
    """Class Focal Loss with beta_y = N_y / sum N of the training split.

    ``multiplicative``: -(1 - p_y)^gamma beta_y log p_y, which weights the majority up and scales the loss by about
    1 / K.  ``exponent``: -(1 - p_y)^(gamma beta_y) log p_y, which is close to cross entropy at the paper's gamma.
    """
    counts = class_counts(context)
    share = (counts / counts.sum()).float()
    ones = torch.ones(context.num_classes)
    if variant == "multiplicative":
        return FocalLoss(_number("gamma", gamma) * ones, share)
    if variant == "exponent":
        return FocalLoss(_number("gamma", gamma) * share, ones)
    raise UserError(f"variant='{variant}' is not known; use multiplicative or exponent.")


def class_balanced(context: LossContext, beta: float = 0.9999, gamma: float = 0.0) -> nn.Module:
    """Focal loss (cross entropy at gamma 0) weighted by the effective number of samples of each class."""
    weights = effective_number(class_counts(context), beta)
    return FocalLoss(_number("gamma", gamma) * torch.ones(context.num_classes), weights)
