"""Greedy, beam and sampled search against exhaustive search over a small Markov chain."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from rsbench_captioners.beam_search import Search, generate
from torch import nn

from rsbench.engine.input.loader import map_state
from rsbench.tasks.text import END, PAD, START

WORDS = 8  # four special ones and four more


class Chain(nn.Module):
    """The next word depends on the last one and, through its mean, on the image."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.table = torch.randn(WORDS, WORDS, generator=torch.Generator().manual_seed(seed)) * 1.5
        self.calls = 0

    def start(self, images: torch.Tensor) -> Any:
        return {"tilt": images.mean((1, 2, 3))[:, None], "unused": [(images[:, 0, 0, 0],)]}

    def step(self, tokens: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        self.calls += 1
        return self.table[tokens] + state["tilt"] * self.table.T[tokens], state


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 2, 2, generator=torch.Generator().manual_seed(1))


def log_probability(model: Chain, image: torch.Tensor, sentence: tuple[int, ...], free_end: bool) -> float:
    """Of a whole sentence; an end that the length forces costs nothing."""
    total, last = 0.0, START
    for place, word in enumerate(sentence):
        logits, _ = model.step(torch.tensor([last]), model.start(image[None]))
        logits[:, [0, 1, 3]] = -torch.inf
        if not (free_end and place == len(sentence) - 1):
            total += float(logits.log_softmax(-1)[0, word])
        last = word
    return total


def exhaustive(model: Chain, image: torch.Tensor, longest: int, alpha: float = 0.0) -> list[int]:
    """The best sentence of at most *longest* words, by trying all."""
    scored = []
    for length in range(longest + 1):
        for said in product((4, 5, 6, 7), repeat=length):
            value = log_probability(model, image, (*said, END), free_end=length == longest)
            scored.append((value / ((5 + length + 1) / 6) ** alpha, [*said, END]))
    return max(scored)[1]


def said(row: torch.Tensor) -> list[int]:
    return [t for t in row.tolist() if t != PAD]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("alpha", [0.0, 0.8])
def test_a_wide_beam_is_exhaustive_search(seed: int, alpha: float) -> None:
    model, batch = Chain(seed), images(3)
    rows = generate(model, batch, Search(max_words=3, beam=64, length_penalty=alpha))
    assert [said(r) for r in rows] == [exhaustive(model, image, 3, alpha) for image in batch]


def test_greedy_takes_the_largest_logit_each_time() -> None:
    model, batch = Chain(3), images(4)
    rows = generate(model, batch, Search(max_words=5))
    for row, image in zip(rows, batch, strict=True):
        last, expected = START, []
        while len(expected) < 5 and END not in expected:
            logits, _ = model.step(torch.tensor([last]), model.start(image[None]))
            logits[:, [0, 1, 3]] = -torch.inf
            last = int(logits.argmax())
            expected.append(last)
        assert said(row) == expected if END in expected else said(row) == [*expected, END]


def test_a_wider_beam_never_finds_a_less_likely_sentence_here() -> None:
    batch = images(8)
    for seed in range(4):
        model = Chain(seed)
        narrow, wide = (generate(model, batch, Search(max_words=4, beam=b)) for b in (1, 50))
        for a, b, image in zip(narrow, wide, batch, strict=True):
            p, q = (log_probability(model, image, tuple(said(r)), len(said(r)) == 5) for r in (a, b))
            assert q >= p - 1e-6


@pytest.mark.parametrize(
    "search", [Search(6), Search(6, beam=3), Search(6, beam=3, length_penalty=1.0), Search(6, temperature=1.0)]
)
def test_a_sentence_does_not_depend_on_its_batch(search: Search) -> None:
    model, batch = Chain(5), images(7)
    uniforms = torch.rand(7, 6, generator=torch.Generator().manual_seed(2))
    together = generate(model, batch, search, uniforms)
    alone = torch.cat([generate(model, batch[i : i + 1], search, uniforms[i : i + 1]) for i in range(7)])
    assert torch.equal(together, alone)


def test_sampling_follows_the_distribution() -> None:
    model = Chain(2)
    batch = torch.zeros(1, 1, 2, 2).expand(20_000, -1, -1, -1)
    uniforms = torch.rand(20_000, 1, generator=torch.Generator().manual_seed(0))
    first = generate(model, batch, Search(max_words=1, temperature=0.7), uniforms)[:, 0]
    logits = model.table[START].clone()
    logits[[0, 1, 3]] = -torch.inf
    expected = (logits / 0.7).softmax(-1)
    shares = torch.bincount(first, minlength=WORDS) / 20_000
    assert (shares - expected).abs().max() < 4 * 0.5 / 20_000**0.5


def test_search_stops_when_all_have_ended() -> None:
    model = Chain(0)
    model.table[:, END] = 50.0
    rows = generate(model, images(3), Search(max_words=20))
    assert model.calls == 1
    assert rows[:, 0].tolist() == [END] * 3


def test_state_of_any_nesting_is_mapped() -> None:
    state = {"a": (torch.ones(2), [torch.zeros(3)])}
    found = map_state(state, lambda t: t + 1)
    assert isinstance(found["a"], tuple)
    assert found["a"][1][0].tolist() == [1, 1, 1]
