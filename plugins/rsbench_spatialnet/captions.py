"""The caption head: a causal transformer decoder over image tokens, with key-value caching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

State = dict[str, Any]


class CaptionDecoder(nn.Module):
    """Words [B, T] given image tokens [I, N, D]; learned positions, post-norm layers, its own word embedding.

    Args:
        words: of the vocabulary.
        max_length: most words of a sentence.
        dim: numbers in a token, a multiple of *heads*.
        heads, mlp, depth: heads of attention, width of the feed-forward, and number of layers.
        activation: ``relu`` or ``gelu``.
        dropout: in training, in [0, 1).
    """

    def __init__(
        self, words: int, max_length: int, dim: int, heads: int, mlp: int, depth: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.words = nn.Embedding(words, dim, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(max_length, dim))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(DecoderLayer(dim, heads, mlp, activation, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, words)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.words.weight, std=dim**-0.5)

    def forward(self, memory: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits [B, T, V]; row b of ``tokens`` is about image ``b // (B / I)``."""
        rows = len(tokens) // len(memory)
        x = self.dropout(self.words(tokens) + self.positions[: tokens.shape[1]])
        for layer in self.stack():
            keys = tuple(t.repeat_interleave(rows, 0) for t in layer.image_keys(memory))
            x = layer(x, keys)
        return self.out(self.norm(x))

    def start(self, memory: torch.Tensor) -> State:
        """Return the state before the first token: keys and values of the image, none of words yet."""
        empty = memory.new_zeros(len(memory), self.heads, 0, memory.shape[-1] // self.heads)
        return {
            "image": [layer.image_keys(memory) for layer in self.stack()],
            "said": [(empty, empty) for _ in self.layers],
        }

    def stack(self) -> Iterator[DecoderLayer]:
        """The layers, in order."""
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            yield layer

    def step(self, tokens: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Take one token [N] each; return logits [N, V] and the state with its keys and values."""
        place = state["said"][0][0].shape[2]
        x = (self.words(tokens) + self.positions[place])[:, None]
        said = []
        for layer, image, before in zip(self.stack(), state["image"], state["said"], strict=True):
            x, kept = layer.step(x, image, before)
            said.append(kept)
        return self.out(self.norm(x))[:, 0], {"image": state["image"], "said": said}


class DecoderLayer(nn.Module):
    """Self-attention to earlier words, attention to the image, feed-forward; LayerNorm after each residual sum.

    Args:
        dim, heads: numbers in a token, and heads that share them.
        mlp: width of the feed-forward.
        activation: ``relu`` or ``gelu``.
        dropout: in training, in [0, 1).
    """

    def __init__(self, dim: int, heads: int, mlp: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.heads, self.width, self.drop = heads, dim // heads, dropout
        self.self_in, self.self_out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.query, self.image_in, self.image_out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, mlp), nn.Linear(mlp, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.activation = F.gelu if activation == "gelu" else F.relu

    def image_keys(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [I, heads, N, width] of image tokens; computed once for a whole sentence."""
        key, value = self.image_in(memory).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, x: torch.Tensor, image: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """Map words [B, T, D] and image keys and values [B, ...] to [B, T, D]."""
        query, key, value = (self._split(t) for t in self.self_in(x).chunk(3, dim=-1))
        x = self.norms[0](x + self.dropout(self.self_out(self._attend(query, key, value, causal=True))))
        return self._rest(x, image)

    def step(
        self, x: torch.Tensor, image: tuple[torch.Tensor, ...], before: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """The same for one more word [N, 1, D] after those whose keys and values are given."""
        query, key, value = (self._split(t) for t in self.self_in(x).chunk(3, dim=-1))
        key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        x = self.norms[0](x + self.dropout(self.self_out(self._attend(query, key, value))))
        return self._rest(x, image), (key, value)

    def _rest(self, x: torch.Tensor, image: tuple[torch.Tensor, ...]) -> torch.Tensor:
        key, value = image
        seen = self._attend(self._split(self.query(x)), key, value)
        x = self.norms[1](x + self.dropout(self.image_out(seen)))
        hidden = self.dropout(self.activation(self.wide(x)))
        return self.norms[2](x + self.dropout(self.narrow(hidden)))

    def _split(self, t: torch.Tensor) -> torch.Tensor:
        return t.unflatten(-1, (self.heads, self.width)).transpose(1, 2)

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, causal: bool = False
    ) -> torch.Tensor:
        drop = self.drop if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=drop, is_causal=causal)
        return mixed.transpose(1, 2).flatten(2)
