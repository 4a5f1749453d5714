"""Additive attention, and the decoder of Show, Attend and Tell that it serves."""

from __future__ import annotations

from typing import Final

import torch
from rsbench_timm.encoders import Encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench_captioners.recurrent import Captioner, Images, State, places, projection

GRID: Final = 14  # places a side, at most (Xu et al. 2015, section 4.3)


class AdditiveAttention(nn.Module):
    """Scores v . tanh(U a + W h) over places a, and their softmax (Bahdanau et al. 2015; Xu et al. 2015, eq. 4-5)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.keys = nn.Linear(width, inner)
        self.query = nn.Linear(width, inner, bias=False)
        self.score = nn.Linear(inner, 1, bias=False)  # a bias would not change the softmax

    def forward(self, query: torch.Tensor, keys: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """Return weights [N, P] that sum to 1.

        Args:
            query: [N, W].
            keys: :attr:`keys` of the places, [N, P, W / 2]; they are the same at every word.
            valid: bool [N, P], places that may get weight.
        """
        scores = self.score(torch.tanh(keys + self.query(query)[:, None])).squeeze(2)
        if valid is not None:
            scores = scores.masked_fill(~valid, -torch.inf)
        return scores.softmax(1)


def weighted(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return sums [N, W] of values [N, P, W] under weights [N, P]."""
    return torch.bmm(weights[:, None].to(values.dtype), values)[:, 0]


class ShowAttendTell(Captioner):
    """Show, Attend and Tell with soft attention (Xu et al. 2015, sections 3.1 and 4.2).

    Features are projected to the LSTM's width first, which lets one decoder serve encoders of any width.
    """

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__(context, encoder, width)
        self.project = projection(encoder.widths[-1], width)
        self.first = nn.Linear(width, 2 * width)
        self.attention = AdditiveAttention(width)
        self.lstm = nn.LSTMCell(2 * width, width)
        self.output = nn.Linear(2 * width, width)

    def regions(self, images: Images) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what is attended to, [I, P, D], and which of it there is, bool [I, P] or ``None`` for all."""
        return places(self.encoder(images)[-1], GRID), None

    def read(self, weights: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, State]:
        """Return what is seen [N, W] under weights [N, P], and what of it a loss needs."""
        return weighted(weights, values), {"weights": weights}

    def start(self, images: Images) -> State:
        """Return values and keys of all places, and an LSTM opened by their mean."""
        features, valid = self.regions(images)
        values = self.project(features)
        if valid is None:
            mean = values.mean(1)
        else:
            mean = weighted(valid / valid.sum(1, keepdim=True), values)
        h, c = torch.tanh(self.first(mean)).chunk(2, 1)
        state = {"values": values, "keys": self.attention.keys(values), "h": h, "c": c}
        return state if valid is None else state | {"valid": valid}

    def advance(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Look where the last state says, then take the word (Xu et al. 2015, eq. 1-7)."""
        weights = self.attention(state["h"], state["keys"], state.get("valid"))
        seen, facts = self.read(weights, state["values"])
        h, c = self.lstm(torch.cat([words, seen], 1), (state["h"], state["c"]))
        return words + self.output(torch.cat([h, seen], 1)), state | facts | {"h": h, "c": c}
