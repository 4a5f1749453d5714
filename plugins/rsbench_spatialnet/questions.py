"""The question head: an encoder of words, fused with the class token, and one classifier for each type."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from rsbench_spatialnet.encoder import transformer

NEVER: Final = -1e4  # logit of an answer that a type of question cannot have
SPREAD: Final = 0.25  # standard deviation about a regressed count, in log1p


class QuestionEncoder(nn.Module):
    """Word embedding, learned positions, transformer layers, mean over words.

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
        self.words = nn.Embedding(words, dim, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(max_length, dim))
        self.layers = transformer(dim, heads, mlp, depth, activation, "post", dropout)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.words.weight, std=dim**-0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens [B, L], padded with 0, to [B, D]."""
        empty = tokens == 0
        x = self.layers(self.words(tokens) + self.positions[: tokens.shape[1]], src_key_padding_mask=empty)
        kept = (~empty)[..., None].to(x.dtype)
        return (x * kept).sum(1) / kept.sum(1)


class QuestionHead(nn.Module):
    """Answers by type: each type chooses among its own answers; counts are regressed and put in buckets.

    Args:
        dim: width of what is fused.
        answers: all answers, in label order.
        types: names of the question types; the one called ``count`` may be regressed.
        count: ``regression`` of log1p, ``mse`` (of counts themselves), or ``buckets``: one classifier over all answers
            serves all types.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, dim: int, answers: Sequence[str], types: Sequence[str], *, count: str) -> None:
        super().__init__()
        regression, self.log = count != "buckets", count == "regression"
        self.answers = len(answers)
        self.count_type = types.index("count") if regression and "count" in types else -1
        own = [own_answers(kind, answers) for kind in types]
        for k, numbers in enumerate(own):
            self.register_buffer(f"own{k}", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        sizes = [len(a) for a in own] if regression else [self.answers]
        self.heads = nn.ModuleList(nn.Linear(dim, 1 if k == self.count_type else size) for k, size in enumerate(sizes))
        edges = [bucket_edges(answers[a]) for a in own[self.count_type]] if self.count_type >= 0 else []
        self.register_buffer("low", torch.tensor([a for a, _ in edges]), persistent=False)
        self.register_buffer("high", torch.tensor([b for _, b in edges]), persistent=False)

    def forward(self, fused: torch.Tensor, question_type: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits [B, A] and regressed counts [B], or their log1p (0 where nothing is regressed)."""
        regressed = fused.new_zeros(len(fused))
        if len(self.heads) == 1:
            return self.heads[0](fused), regressed
        logits = fused.new_full((len(fused), self.answers), NEVER)
        for k, head in enumerate(self.heads):
            values = head(fused)
            if k == self.count_type:
                regressed = values[:, 0]
                values = self.bucket_logits(regressed)
            mine = torch.full_like(logits, NEVER)
            mine = mine.index_copy(1, self.get_buffer(f"own{k}"), values.to(mine.dtype))
            logits = torch.where((question_type == k)[:, None], mine, logits)
        return logits, regressed

    def target(self, counts: torch.Tensor) -> torch.Tensor:
        """Return what is regressed of counts, float [B]."""
        return counts.log1p() if self.log else counts

    def counts(self, regressed: torch.Tensor) -> torch.Tensor:
        """Return the counts that were regressed, float [B], at least 0."""
        return regressed.clamp(0, 12).expm1() if self.log else regressed.clamp(min=0)

    def bucket_logits(self, regressed: torch.Tensor) -> torch.Tensor:
        """Log-probability of each bucket for a normal variable about the regressed count in log1p."""
        x = regressed.float()[:, None]
        x = x if self.log else x.clamp(min=0).log1p()
        inside = _normal_cdf((self.high - x) / SPREAD) - _normal_cdf((self.low - x) / SPREAD)
        return inside.clamp_min(1e-12).log()


def _normal_cdf(x: torch.Tensor) -> torch.Tensor:
    """As ``torch.distributions.Normal(0, 1).cdf``, which keeps numbers on the CPU and looks at *x* first."""
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def own_answers(kind: str, answers: Sequence[str]) -> list[int]:
    """Numbers of the answers that a type of question can have."""
    words = {"rural_urban": ("rural", "urban"), "presence": ("yes", "no"), "comp": ("yes", "no")}.get(kind)
    if words is None:
        return [k for k, a in enumerate(answers) if re.search(r"\d", a)]
    return [k for k, a in enumerate(answers) if a in words]


def bucket_edges(answer: str) -> tuple[float, float]:
    """Return lower and upper edge, in log1p, of ``0``, ``between a and b`` or ``more than b``; counts are whole."""
    numbers = [int(n) for n in re.findall(r"\d+", answer)]
    if answer.startswith("more"):
        return math.log1p(numbers[0] + 0.5), math.inf
    if len(numbers) == 1:
        low = math.log1p(numbers[0] - 0.5) if numbers[0] else -math.inf
        return low, math.log1p(numbers[0] + 0.5)
    return math.log1p(numbers[0] + 0.5), math.log1p(numbers[1] + 0.5)
