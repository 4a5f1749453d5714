"""Multi-level attention and attribute graph convolution (Yuan et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rsbench_timm.encoders import Encoder, grid_encoder
from torch import nn

from rsbench.tasks.captioning import CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext
from rsbench_captioners.attention import AdditiveAttention, weighted
from rsbench_captioners.attributes import AttributeGraph, adjacency, frequent_words
from rsbench_captioners.recurrent import GRID, Captioner, Images, State, places, projection


class MultilevelAttention(Captioner):
    """Attention over the places of each scale, then over scales; attributes go along with every word."""

    space: Any  # AdditiveAttention of each scale

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__(context, encoder, width)
        sentences = np.asarray(context.extra["sentences"])
        words = frequent_words(sentences, context.vocabulary)
        self.project = nn.ModuleList(projection(d, width) for d in encoder.widths)
        self.space = nn.ModuleList(AdditiveAttention(width) for _ in encoder.widths)
        self.scale = AdditiveAttention(width)
        self.attributes = AttributeGraph(words, adjacency(sentences, words), sum(encoder.widths), width)
        self.lstm = nn.LSTMCell(3 * width, width)
        self.output = nn.Linear(2 * width, width)

    def start(self, images: Images) -> State:
        """Return values and keys of each scale, the attributes, and a silent LSTM."""
        maps = self.encoder(images)
        vector, logits = self.attributes(torch.cat([m.mean((2, 3)) for m in maps], 1), self.embedding.weight)
        state = {"attributes": vector, "logits": logits, "h": torch.zeros_like(vector), "c": torch.zeros_like(vector)}
        for k, features in enumerate(maps):
            values = self.project[k](places(features, GRID))
            state |= {f"values{k}": values, f"keys{k}": self.space[k].keys(values)}
        return state

    def advance(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Look at each scale, weigh the scales, and take the word with what was seen and the attributes."""
        h = state["h"]
        scales = torch.stack(
            [weighted(attention(h, state[f"keys{k}"]), state[f"values{k}"]) for k, attention in enumerate(self.space)],
            1,
        )
        seen = weighted(self.scale(h, self.scale.keys(scales)), scales)
        h, c = self.lstm(torch.cat([words, seen, state["attributes"]], 1), (h, state["c"]))
        return torch.tanh(self.output(torch.cat([h, seen], 1))), state | {"h": h, "c": c}

    def training_loss(self, images: Images, targets: CaptionTargets, loss: Callable[..., torch.Tensor]) -> torch.Tensor:
        """Return ``loss`` of the words plus the binary cross-entropy of the attributes."""
        tokens = targets.tokens
        outputs, states = self.unroll(images, tokens)
        named = self.attributes.present(tokens, targets.sentences)
        logits = states[0]["logits"][:: targets.sentences]
        found = F.binary_cross_entropy_with_logits(logits.float(), named)
        return token_loss(loss, self.classify(outputs), tokens) + found


def multilevel_attention_gcn(
    context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, width: int
) -> MultilevelAttention:
    """Build the system on the backbone's last two maps; attributes come from ``context.extra["sentences"]``.

    Args:
        context: bands, size and vocabulary.
        backbone, weights, freeze, input_size: as in :func:`rsbench_timm.encoders.grid_encoder`.
        width: of the LSTM's state and of word vectors.
    """
    return MultilevelAttention(context, grid_encoder(context, backbone, weights, freeze, input_size, maps=2), width)
