"""Structured attention (Zhao et al. 2021): segments of the image are attended to instead of places of a grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from rsbench_timm.encoders import grid_encoder
from torch import nn

from rsbench.tasks.captioning import PAD, CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext
from rsbench_captioners.attention import ShowAttendTell
from rsbench_captioners.recurrent import Images, traced
from rsbench_captioners.segments import pool, segment

DOUBLY_STOCHASTIC: Final = 1.0
VARIANCE: Final = 0.1


class StructuredAttention(ShowAttendTell):
    """Soft attention over at most 30 segments, with two regularizers of its weights.

    The paper takes its regions from selective search; here they are superpixels (:mod:`rsbench_captioners.segments`).
    """

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return mean features of segments [I, 30, D] and which of them there are, bool [I, 30]."""
        return list(pool(self.encoder(images)[-1], segment(images)))

    def regions(self, images: Images) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what :meth:`encode` gives."""
        means, valid = self.encode(images) if isinstance(images, torch.Tensor) else images
        return means, valid

    def training_loss(self, images: Images, targets: CaptionTargets, loss: Callable[..., torch.Tensor]) -> torch.Tensor:
        """Return ``loss`` of the words plus both regularizers."""
        tokens = targets.tokens
        outputs, states = self.unroll(images, tokens)
        weights = traced(states, "weights")[:, :-1].float()
        penalty = regularizers(weights, states[0]["valid"], tokens[:, 1:] != PAD)
        return token_loss(loss, self.classify(outputs), tokens) + penalty


def regularizers(weights: torch.Tensor, valid: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return the penalty of attention weights: every segment should be looked at, and one at a time.

    The first part is the doubly stochastic one, the mean over segments of (1 - sum over words)^2 (Xu et al. 2015,
    eq. 14).  The second rewards the variance of a word's weights over segments, times their number so that it lies in
    [0, 1); it is a reading of the paper's name for it, whose formula was not available.

    Args:
        weights: [B, T, P]; ``valid``: bool [B, P], the segments that there are; ``kept``: bool [B, T], not padding.
    """
    count = valid.sum(1)
    total = (weights * kept[..., None]).sum(1)
    doubly = (((1 - total) ** 2 * valid).sum(1) / count).mean()
    variance = ((weights - 1 / count[:, None, None]) ** 2 * valid[:, None]).sum(2)
    return DOUBLY_STOCHASTIC * doubly - VARIANCE * (variance * kept).sum() / kept.sum()


def structured_attention(
    context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, width: int
) -> nn.Module:
    """Build the system on the backbone's last map of stride 16 or less, fine enough for segments.

    Args:
        context: bands, size and vocabulary.
        backbone, weights, freeze, input_size: as in :func:`rsbench_timm.encoders.grid_encoder`.
        width: of the LSTM's state and of word vectors.
    """
    encoder = grid_encoder(context, backbone, weights, freeze, input_size, max_stride=16)
    return StructuredAttention(context, encoder, width)
