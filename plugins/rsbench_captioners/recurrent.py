"""What the encoder-decoders share: words go in one by one, and a state of tensors goes along."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import torch
import torch.nn.functional as F
from rsbench_timm.encoders import Encoder, Encoding
from torch import nn

from rsbench.tasks.captioning import PAD
from rsbench.tasks.context import ModelContext

GRID: Final = 8  # places a side where several maps are attended to: a ResNet's C5 has as many at 256 pixels

State = dict[str, torch.Tensor]
Images = torch.Tensor | list[torch.Tensor]  # images, or features of them


class Captioner(Encoding, ABC):
    """A decoder that is driven word by word, in training as in search.

    A system says how an image becomes a state (:meth:`start`) and how a word changes it (:meth:`advance`); ``forward``
    and ``step`` of the contract follow, and agree because they run the same code.
    """

    def __init__(self, context: ModelContext, encoder: Encoder, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        words = len(context.vocabulary)
        self.embedding = nn.Embedding(words, width, padding_idx=PAD)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(width, words)

    @abstractmethod
    def start(self, images: Images) -> State:
        """Return the state before the first word, tensors [I, ...], of images [I, C, H, W] or what ``encode`` gave."""

    @abstractmethod
    def advance(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Take embedded words [N, W] and return outputs [N, W], which the classifier turns into logits, and the state.

        What a loss needs of a step, such as its attention weights, is in the state returned.
        """

    def step(self, tokens: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """Take one token of each of N sentences, int64 [N]; return logits [N, V] and the state."""
        output, state = self.advance(self.embedding(tokens), state)
        return self.classify(output), state

    def forward(self, images: Images, tokens: torch.Tensor) -> torch.Tensor:
        """Return logits [B, T, V] for images, as :meth:`start` takes them, and tokens int64 [B, T]."""
        return self.classify(self.unroll(images, tokens)[0])

    def unroll(self, images: Images, tokens: torch.Tensor) -> tuple[torch.Tensor, list[State]]:
        """Return outputs [B, T, W] and the T states after each token."""
        of_images = self.start(images)
        sentences = len(tokens) // len(next(iter(of_images.values())))
        state = {name: tensor.repeat_interleave(sentences, 0) for name, tensor in of_images.items()}
        outputs, states = [], []
        for words in self.embedding(tokens).unbind(1):
            output, state = self.advance(words, state)
            outputs.append(output)
            states.append(state)
        return torch.stack(outputs, 1), states

    def classify(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return logits [..., V] of outputs [..., W]."""
        return self.classifier(self.dropout(outputs))


def traced(states: list[State], name: str) -> torch.Tensor:
    """Return what a tensor of the state was at each token, [B, T, ...]."""
    return torch.stack([state[name] for state in states], 1)


def places(features: torch.Tensor, at_most: int) -> torch.Tensor:
    """Return a map [I, D, h, w] as places [I, P, D], pooled to *at_most* places a side where it is larger."""
    height, width = features.shape[2:]
    return F.adaptive_avg_pool2d(features, (min(height, at_most), min(width, at_most))).flatten(2).transpose(1, 2)


def projection(inputs: int, width: int) -> nn.Sequential:
    """Return a linear map of normalized features: backbones differ in scale by orders of magnitude."""
    return nn.Sequential(nn.LayerNorm(inputs, elementwise_affine=False), nn.Linear(inputs, width))
