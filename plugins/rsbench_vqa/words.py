"""Question encoders."""

from __future__ import annotations

import torch
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import PAD


class QuestionGRU(nn.Module):
    """Tokens int64 [B, L] to the state float [B, width] of a GRU after the last word of each question.

    Args:
        context: its vocabulary is embedded.
        width: numbers in the state.
        embedding: numbers in a word's vector.
    """

    def __init__(self, context: ModelContext, width: int, embedding: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(context.vocabulary), embedding, padding_idx=PAD)
        self.gru = nn.GRU(embedding, width, batch_first=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return states [B, width]; padding comes after the last word and changes nothing."""
        # On a GPU autocast takes recurrent layers in float16, where gradients vanish unless the loss is scaled.
        with torch.autocast(tokens.device.type, enabled=False):
            states, _ = self.gru(self.embed(tokens))
        last = (tokens != PAD).sum(1) - 1
        return states[torch.arange(len(tokens), device=tokens.device), last]
