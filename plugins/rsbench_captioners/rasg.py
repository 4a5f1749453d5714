"""Recurrent attention and semantic gate (Li et al. 2021)."""

from __future__ import annotations

import torch
from rsbench_timm.encoders import Encoder, grid_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_captioners.attention import AdditiveAttention, weighted
from rsbench_captioners.recurrent import GRID, Captioner, Images, State, places, projection


class RecurrentAttention(Captioner):
    """Two LSTMs: one decides where to look, twice for each word, and one speaks.

    The attention LSTM reads the word, what was said and what was seen, and looks; then it reads what it saw and looks
    again.  A gate mixes, unit by unit, what was seen with the speaking LSTM's state.
    """

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__(context, encoder, width)
        self.fine, self.coarse = (projection(d, width) for d in encoder.widths)
        self.attention = AdditiveAttention(width)
        self.looking = nn.LSTMCell(3 * width, width)
        self.speaking = nn.LSTMCell(2 * width, width)
        self.gate = nn.Linear(2 * width, width)
        self.seen = nn.Linear(width, width)

    def start(self, images: Images) -> State:
        """Return the fused features of both scales, their mean as what was seen, and silent LSTMs."""
        fine, coarse = self.encoder(images)
        side = min(coarse.shape[-1], GRID)
        values = torch.relu(self.fine(places(fine, side)) + self.coarse(places(coarse, side)))
        mean = values.mean(1)
        silent = {name: torch.zeros_like(mean) for name in ("h", "c", "looking_h", "looking_c")}
        return {"values": values, "keys": self.attention.keys(values), "seen": mean} | silent

    def advance(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Look twice, speak, and mix."""
        seen, look = state["seen"], (state["looking_h"], state["looking_c"])
        for _ in range(2):
            look = self.looking(torch.cat([words, state["h"], seen], 1), look)
            seen = weighted(self.attention(look[0], state["keys"]), state["values"])
        h, c = self.speaking(torch.cat([words, seen], 1), (state["h"], state["c"]))
        gate = torch.sigmoid(self.gate(torch.cat([seen, h], 1)))
        output = gate * torch.tanh(self.seen(seen)) + (1 - gate) * h
        return output, state | {"seen": seen, "looking_h": look[0], "looking_c": look[1], "h": h, "c": c}


def rasg(
    context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, width: int
) -> RecurrentAttention:
    """Build the system on the backbone's last two maps (C4 and C5 of a ResNet).

    Args:
        context: bands, size and vocabulary.
        backbone, weights, freeze, input_size: as in :func:`rsbench_timm.encoders.grid_encoder`.
        width: of the LSTM's state and of word vectors.
    """
    return RecurrentAttention(context, grid_encoder(context, backbone, weights, freeze, input_size, maps=2), width)
