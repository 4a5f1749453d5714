"""GoogLeNet with hard attention (Lu et al. 2017): one place is looked at for each word."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from rsbench_timm.encoders import Encoder, grid_encoder
from torch import nn

from rsbench.tasks.captioning import PAD, CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext
from rsbench_captioners.attention import ShowAttendTell
from rsbench_captioners.recurrent import Images, State, traced

ENTROPY: Final = 0.002  # lambda_e
MEMORY: Final = 0.9  # share of the baseline that a batch leaves


class HardAttention(ShowAttendTell):
    """Show, Attend and Tell that samples places in training and takes the likeliest in evaluation.

    Places have no gradient, so they are learned by REINFORCE (Xu et al. 2015, eq. 11-12): the reward is the sentence's
    log-likelihood, and the baseline its moving average.  Both are per word, which makes lambda_r one over the length:
    a whole sentence's reward has gradients that drown those of the words.  The baseline begins with the reward of an
    untrained network, -log V.  Xu's mixing of samples with expected places is left out.
    """

    baseline: torch.Tensor

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__(context, encoder, width)
        self.register_buffer("baseline", torch.tensor(-math.log(len(context.vocabulary))))

    def choose(self, weights: torch.Tensor) -> torch.Tensor:
        """Return one place of each row of weights [N, P], int64 [N]."""
        if self.training:  # as torch.multinomial does, which looks at the weights and so waits for a GPU
            weights = weights / torch.empty_like(weights).exponential_()
        return weights.argmax(1)

    def read(self, weights: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Return the value of the chosen place, the weights and the place."""
        place = self.choose(weights.detach())
        return values[torch.arange(len(place), device=place.device), place], {"weights": weights, "place": place}

    def training_loss(self, images: Images, targets: CaptionTargets, loss: Callable[..., torch.Tensor]) -> torch.Tensor:
        """Return ``loss`` of the words, given the places, plus the loss of the places."""
        tokens = targets.tokens
        outputs, states = self.unroll(images, tokens)
        logits = self.classify(outputs)
        following = tokens[:, 1:]
        likelihood = logits[:, :-1].float().log_softmax(2).gather(2, following[..., None])[..., 0]
        weights, place = traced(states, "weights")[:, :-1], traced(states, "place")[:, :-1]
        return token_loss(loss, logits, tokens) + self.place_loss(likelihood, weights, place, following != PAD)

    def place_loss(
        self, likelihood: torch.Tensor, weights: torch.Tensor, place: torch.Tensor, kept: torch.Tensor
    ) -> torch.Tensor:
        """Return a scalar whose gradient is the estimate of eq. 11 that concerns the weights, per word.

        Args:
            likelihood: log-likelihood of each word, [B, T].
            weights: distributions over places [B, T, P].
            place: those sampled, int64 [B, T].
            kept: bool [B, T], false for padding.
        """
        words = kept.sum()
        reward = (likelihood.detach() * kept).sum(1) / kept.sum(1)
        advantage = reward - self.baseline
        logs = weights.float().clamp(min=1e-20).log()
        chosen = (logs.gather(2, place[..., None])[..., 0] * kept).sum(1)
        entropy = -((weights * logs).sum(2) * kept).sum()
        with torch.no_grad():
            self.baseline.lerp_(reward.mean(), 1 - MEMORY)
        return -((advantage * chosen).sum() + ENTROPY * entropy) / words


def googlenet_hard_attention(
    context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, width: int
) -> nn.Module:
    """Build the system on the backbone's last map of stride 16 or less: 14 x 14 places of a 224-pixel image.

    Args:
        context: bands, size and vocabulary.
        backbone, weights, freeze, input_size: as in :func:`rsbench_timm.encoders.grid_encoder`.
        width: of the LSTM's state and of word vectors.
    """
    encoder = grid_encoder(context, backbone, weights, freeze, input_size, max_stride=16)
    return HardAttention(context, encoder, width)
