"""Captions per second of SpatialNet-ViT with its key-value cache, against reading all words so far at each word."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ratios import paired
from rsbench_captioners.beam_search import Search, generate
from torch import nn

from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.context import ModelContext

IMAGES, WORDS, VOCABULARY = 8, 20, 300


class Uncached(nn.Module):
    """Steps whose state is the words said, each of which reads them all again."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def start(self, seen: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"seen": seen, "said": torch.zeros(len(seen), 0, dtype=torch.int64)}

    def step(self, tokens: torch.Tensor, state: dict[str, torch.Tensor]) -> tuple[torch.Tensor, Any]:
        said = torch.cat([state["said"], tokens[:, None]], 1)
        return self.network(state["seen"], said)[:, -1], {"seen": state["seen"], "said": said}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """The paper's sizes, for images of 64 pixels; it never ends a sentence, so that all are of equal length."""
    spec = registry().get("model", "spatialnet-vit")
    words = tuple(map(str, range(VOCABULARY)))
    context = ModelContext("captioning", 3, 64, (), vocabulary=words, max_length=WORDS + 2)
    torch.manual_seed(0)
    network = load_attribute(spec.factory)(context, **{k: o.default for k, o in spec.options.items()}).eval()
    with torch.no_grad():
        network.decoder.out.bias[2] = -1e3
    return network


@pytest.mark.parametrize("beam", [1, 3], ids=["greedy", "beam3"])
@pytest.mark.parametrize("part", ["head", "whole"])
def test_against_reading_all_words_again(benchmark, model: nn.Module, part: str, beam: int) -> None:
    """The head alone, given the encoder's tokens; or the whole network, where the image too is read at each word."""
    images = torch.randn(IMAGES, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        seen = model.encoder(images) if part == "head" else images
    network, search = model.decoder if part == "head" else model, Search(WORDS, beam)
    ours = lambda: generate(network, seen, search)  # noqa: E731
    theirs = lambda: generate(Uncached(network), seen, search)  # noqa: E731
    assert torch.equal(ours(), theirs())
    assert len(ours().unique(dim=0)) > IMAGES // 2
    result = paired(ours, theirs, rounds=3 if part == "whole" else 11)
    benchmark.extra_info.update(result)
    benchmark.extra_info["captions_per_s"] = IMAGES / result["ours"]
    benchmark.extra_info["uncached_captions_per_s"] = IMAGES / result["peer"]
    benchmark.pedantic(ours, rounds=1)
    assert result["ratio"] <= (0.5 if part == "head" else 0.2)
