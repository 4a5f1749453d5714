"""Search for sentences: greedy, beam and sampled, batched, over a captioner's ``start`` and ``step``.

Rows never look at one another, so that a sentence does not depend on the batch it is in (up to the rounding of the
network itself).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from rsbench.engine.input.loader import map_state
from rsbench.tasks.text import END, PAD, START, UNKNOWN

BANNED_TOKENS: Final = (PAD, START, UNKNOWN)


@dataclass(frozen=True)
class Search:
    """How sentences are searched for.

    Attributes:
        max_words: longest sentence, without its end.
        beam: hypotheses kept for each image; 1 is greedy.
        length_penalty: alpha of Wu et al. 2016 (GNMT, eq. 14), with which finished hypotheses are compared; 0 is none.
        temperature: above 0, words are drawn from the softmax of logits over it, and ``beam`` is not used.
    """

    max_words: int = 20
    beam: int = 1
    length_penalty: float = 0.0
    temperature: float = 0.0


@torch.inference_mode()
def generate(model: nn.Module, images: Any, search: Search, uniforms: torch.Tensor | None = None) -> torch.Tensor:
    """Return int64 [I, T]: words, :data:`END`, and padding; without the start token.

    Args:
        model: has ``start`` and ``step``; see :mod:`rsbench.tasks.captioning`.
        search: lengths, width of the beam, temperature.
        images: float32 [I, C, H, W], or what the model takes in place of it.
        uniforms: float [I, max_words], one number in [0, 1) a word, needed for sampling alone.
    """
    state = model.start(images)  # type: ignore[operator]
    first = _first(state)
    if search.temperature > 0:
        assert uniforms is not None, "sampling needs uniform numbers"
        choose = _Sampling(search.temperature, uniforms)
        return _one_by_one(model, state, len(first), first.device, search.max_words, choose)
    if search.beam == 1:
        return _one_by_one(model, state, len(first), first.device, search.max_words, _largest)
    return _beam(model, state, len(first), first.device, search)


def _first(state: Any) -> torch.Tensor:
    """A tensor of a state, which tells how many images there are, and where."""
    while not isinstance(state, torch.Tensor):
        state = next(iter(state.values() if isinstance(state, dict) else state))
    return state


def _log_probabilities(model: nn.Module, tokens: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
    logits, state = model.step(tokens, state)  # type: ignore[operator]
    logits = logits.float()
    logits[:, list(BANNED_TOKENS)] = -torch.inf
    return logits.log_softmax(-1), state


def _largest(log_p: torch.Tensor, place: int) -> torch.Tensor:
    del place
    return log_p.argmax(-1)


class _Sampling:
    """Draws by inverting the cumulative distribution at given uniform numbers."""

    def __init__(self, temperature: float, uniforms: torch.Tensor) -> None:
        self.temperature, self.uniforms = temperature, uniforms

    def __call__(self, log_p: torch.Tensor, place: int) -> torch.Tensor:
        sums = (log_p / self.temperature).softmax(-1).double().cumsum(-1)
        drawn = torch.searchsorted(sums, self.uniforms[:, place : place + 1].double() * sums[:, -1:], right=True)
        return drawn.squeeze(1).clamp(max=log_p.shape[1] - 1)


def _one_by_one(
    model: nn.Module,
    state: Any,
    images: int,
    device: torch.device,
    max_words: int,
    choose: Callable[[torch.Tensor, int], torch.Tensor],
) -> torch.Tensor:
    said = torch.full((images, max_words + 1), PAD, dtype=torch.int64, device=device)
    tokens = torch.full((images,), START, dtype=torch.int64, device=device)
    ended = torch.zeros(images, dtype=torch.bool, device=device)
    for place in range(max_words):
        log_p, state = _log_probabilities(model, tokens, state)
        tokens = torch.where(ended, PAD, choose(log_p, place))
        said[:, place] = tokens
        ended |= tokens == END
        if ended.all():
            return said
    said[:, max_words] = torch.where(ended, PAD, END)
    return said


def _beam(model: nn.Module, state: Any, images: int, device: torch.device, search: Search) -> torch.Tensor:
    """Beam search: a hypothesis that has ended keeps its score and its place among the ``beam`` best."""
    width = search.beam
    state = map_state(state, lambda t: t.repeat_interleave(width, 0))
    rows = torch.arange(images, device=device)[:, None] * width
    said = torch.full((images, width, search.max_words + 1), PAD, dtype=torch.int64, device=device)
    scores = torch.full((images, width), -torch.inf, device=device)
    scores[:, 0] = 0  # at the start all hypotheses are the same one
    tokens = torch.full((images * width,), START, dtype=torch.int64, device=device)
    ended = torch.zeros(images, width, dtype=torch.bool, device=device)
    for place in range(search.max_words):
        log_p, state = _log_probabilities(model, tokens, state)
        log_p = log_p.view(images, width, -1)
        log_p[ended] = -torch.inf
        log_p[..., PAD] = torch.where(ended, 0.0, -torch.inf)
        scores, best = (scores[..., None] + log_p).flatten(1).topk(width, dim=1)
        parent, word = best // log_p.shape[-1], best % log_p.shape[-1]
        state = map_state(state, _taking((rows + parent).flatten()))
        said = said.gather(1, parent[..., None].expand_as(said))
        said[:, :, place] = word
        ended = ended.gather(1, parent) | (word == END)
        tokens = word.flatten()
        if ended.all():
            break
    said[:, :, search.max_words] = torch.where(ended, PAD, END)
    lengths = (said != PAD).sum(-1)
    chosen = (scores / ((5 + lengths) / 6) ** search.length_penalty).argmax(1)
    return said[torch.arange(images, device=device), chosen]


def _taking(index: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda tensor: tensor.index_select(0, index)
