"""Attributes of images: frequent words of their captions, and a graph of which occur together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import nn

from rsbench.tasks.captioning import UNKNOWN
from rsbench_captioners.recurrent import projection

COUNT: Final = 64
# No tagger is available to find nouns, so words without content are left out by name.
_WITHOUT_CONTENT: Final = """
a all also an and another are around as at be been beside besides both but by each few for from has have here in into is
it its many much near next of on one or other others over several so some that the their them there these they this
those three to two under very was were which while with
"""
STOP_WORDS: Final = frozenset(_WITHOUT_CONTENT.split())


def frequent_words(sentences: np.ndarray, vocabulary: Sequence[str], count: int = COUNT) -> np.ndarray:
    """Return the *count* words, less stop words, that occur in captions of most images: token numbers int64 [A].

    Args:
        sentences: token numbers of training captions, int [M, R, T].
    """
    images = np.zeros(len(vocabulary), dtype=np.int64)
    for of_image in sentences:
        images[np.unique(of_image)] += 1
    images[: UNKNOWN + 1] = 0
    images[[i for i, word in enumerate(vocabulary) if word in STOP_WORDS]] = 0
    order = np.argsort(-images, kind="stable")[:count]
    return order[images[order] > 0]


def adjacency(sentences: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return D^-1/2 (S + I) D^-1/2, float32 [A, A] (Kipf and Welling 2017), of the words' similarity S.

    S is the cosine of the images that two words occur for, their count over the geometric mean of the words' own.
    """
    present = np.stack([np.isin(words, of_image) for of_image in sentences]).astype(np.float64)
    norms = np.sqrt(present.sum(0))
    similarity = present.T @ present / np.outer(norms, norms)  # its diagonal is 1, the I above
    scale = similarity.sum(1) ** -0.5
    return (scale[:, None] * similarity * scale).astype(np.float32)


class AttributeGraph(nn.Module):
    """Finds attributes in an image vector and lets them inform each other in a two-layer graph convolution.

    Args:
        words: token numbers of the attributes, int64 [A].
        edges: their adjacency [A, A].
        inputs: width of image vectors.
        width: of word embeddings and of the result.
    """

    words: torch.Tensor
    edges: torch.Tensor

    def __init__(self, words: np.ndarray, edges: np.ndarray, inputs: int, width: int) -> None:
        super().__init__()
        self.register_buffer("words", torch.from_numpy(words))
        self.register_buffer("edges", torch.from_numpy(edges))
        self.detect = projection(inputs, len(words))
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, vectors: torch.Tensor, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return attribute vectors [I, W] and logits of attributes [I, A].

        Args:
            vectors: of images, [I, inputs].
            embeddings: of all words, [V, W]; a node is its word's, times the attribute's probability.
        """
        logits = self.detect(vectors)
        share = torch.sigmoid(logits)[..., None]
        nodes = torch.relu(self.inner(self.edges @ (share * embeddings[self.words])))
        nodes = self.outer(self.edges @ nodes)
        return (share * nodes).sum(1) / share.sum(1), logits

    def present(self, tokens: torch.Tensor, sentences: int) -> torch.Tensor:
        """Return which attributes the sentences of each image, rows of tokens int64 [B, T], name: float32 [I, A]."""
        of_image = tokens.reshape(len(tokens) // sentences, -1)
        return (of_image[:, None] == self.words[:, None]).any(2).float()
