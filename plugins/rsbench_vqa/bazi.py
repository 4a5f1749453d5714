"""Bi-modal transformer of Bazi et al. 2022: image and question attend to one another."""

from __future__ import annotations

import math

import torch
from rsbench_timm.encoders import Encoding, grid_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import PAD
from rsbench.tasks.vqa import Questions


class Bazi2022(Encoding):
    """Patches and words, decoders in both directions, and two classifiers whose probabilities are averaged.

    Differs from the published system: word vectors are learned from nothing instead of CLIP's text encoder.

    Args:
        context: bands, size, answers, vocabulary and types of questions.
        backbone, weights, freeze, input_size: see :func:`rsbench_timm.encoders.grid_encoder`.
        width: numbers in a token, a multiple of 64, the width of an attention head.
        layers: pairs of decoders.
    """

    def __init__(
        self,
        context: ModelContext,
        backbone: str,
        weights: str,
        freeze: bool,
        input_size: int,
        width: int,
        layers: int,
    ) -> None:
        super().__init__()
        self.encoder = grid_encoder(context, backbone, weights, freeze, input_size)
        self.patches = nn.Linear(self.encoder.widths[-1], width)
        self.embed = nn.Embedding(len(context.vocabulary), width, padding_idx=PAD)
        self.image_decoders = nn.ModuleList(_decoder(width) for _ in range(layers))
        self.word_decoders = nn.ModuleList(_decoder(width) for _ in range(layers))
        self.image_answer = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, context.num_classes))
        self.word_answer = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, context.num_classes))

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor:
        """Map images [I, C, S, S] and B questions to the logarithms of probabilities [B, A]."""
        padding = questions.tokens == PAD
        embedded = self.embed(questions.tokens)
        words = embedded + positions(*embedded.shape[1:]).to(embedded, non_blocking=True)
        patches = self.patches(self.encoder(images)[-1].flatten(2).transpose(1, 2))[questions.image]
        for of_image, of_words in zip(self.image_decoders, self.word_decoders, strict=True):
            patches, words = (
                of_image(patches, words, memory_key_padding_mask=padding),
                of_words(words, patches, tgt_key_padding_mask=padding),
            )
        present = (~padding).unsqueeze(2)
        said = (words * present).sum(1) / present.sum(1)
        heads = torch.stack([self.image_answer(patches.mean(1)), self.word_answer(said)])
        return heads.float().log_softmax(2).logsumexp(0) - math.log(2)


def _decoder(width: int) -> nn.TransformerDecoderLayer:
    return nn.TransformerDecoderLayer(
        width, width // 64, dim_feedforward=2 * width, activation="gelu", batch_first=True, norm_first=True
    )


def positions(length: int, width: int) -> torch.Tensor:
    """Return the sinusoids of Vaswani et al. 2017, float32 [length, width]: sines, then cosines."""
    rates = torch.exp(torch.arange(width // 2) * (-2 * math.log(10000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
