"""Collective semantic metric learning (CSMLF, Wang et al. 2019): captions are retrieved, not generated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import torch
from rsbench_timm.encoders import grid_encoder
from rsbench_timm.vectors import image_vectors
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import words
from rsbench_captioners.word_vectors import mean_vector, word_vectors

WIDTH: Final = 256
MARGIN: Final = 0.2
EPOCHS: Final = 100
BATCH: Final = 128
LEARNING_RATE: Final = 1e-3


class CSMLF:
    """Two linear maps bring images and their collective sentences together, by cosine.

    The collective sentence of an image is the mean vector of all words of its captions.  A new image gets the most
    central sentence of the training image whose collective sentence is nearest to it.

    Args:
        context: bands, size and seed.
        backbone, weights, input_size: as in :func:`rsbench_timm.encoders.grid_encoder`.
    """

    def __init__(self, context: ModelContext, backbone: str, weights: str, input_size: int) -> None:
        self.encoder = grid_encoder(context, backbone, weights, True, input_size)
        self.seed = context.seed

    def fit(self, blocks: Iterable[np.ndarray], sentences: Sequence[Sequence[str]], labels: np.ndarray | None) -> None:
        """Learn the two maps from images uint8 [n, 3, H, W] and their sentences; labels are not looked at."""
        del labels
        vectors = word_vectors(words(s) for of_image in sentences for s in of_image)
        collective = np.stack([mean_vector(words(" ".join(s)), vectors) for s in sentences])
        self.answers = [central(s, c, vectors) for s, c in zip(sentences, collective, strict=True)]
        images = torch.cat([image_vectors(self.encoder, block) for block in blocks])
        texts = torch.from_numpy(collective).float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.image_map, text_map = learn(images, texts)
        with torch.no_grad():
            self.known = text_map(texts)

    @torch.no_grad()
    def caption(self, images: np.ndarray) -> list[str]:
        """Return a training sentence for each image uint8 [N, 3, H, W]."""
        nearest = similarity(self.image_map(image_vectors(self.encoder, images)), self.known).argmax(1)
        return [self.answers[i] for i in nearest.tolist()]


class Standardized(nn.Module):
    """A linear map of features less their training mean, over their training standard deviation."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: torch.Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("std", features.std(0, correction=0).clamp(min=1e-6))
        self.linear = nn.Linear(features.shape[1], width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [N, D] to [N, width]."""
        return self.linear((features - self.mean) / self.std)


def similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return cosines [N, M] of the rows of [N, W] and [M, W]."""
    return nn.functional.normalize(a, dim=1) @ nn.functional.normalize(b, dim=1).T


def metric_loss(images: torch.Tensor, texts: torch.Tensor, same: torch.Tensor) -> torch.Tensor:
    """Return the triplet loss in both directions: another pair's cosine should be lower by a margin.

    Args:
        images, texts: embedded pairs [N, W].
        same: bool [N, N], pairs whose collective sentences are equal, which are no counter-examples.
    """
    cosines = similarity(images, texts)
    own = cosines.diagonal()
    wrong = (cosines - own[:, None] + MARGIN).relu() + (cosines - own[None] + MARGIN).relu()
    return wrong.masked_fill(same, 0).sum(1).mean()


def learn(images: torch.Tensor, texts: torch.Tensor) -> tuple[Standardized, Standardized]:
    """Return the maps of image features [N, D] and of collective sentences [N, E], trained by Adam."""
    image_map, text_map = Standardized(images, WIDTH), Standardized(texts, WIDTH)
    optimizer = torch.optim.Adam([*image_map.parameters(), *text_map.parameters()], lr=LEARNING_RATE)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            same = (texts[rows, None] == texts[None, rows]).all(2)
            loss = metric_loss(image_map(images[rows]), text_map(texts[rows]), same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return image_map, text_map


def central(sentences: Sequence[str], collective: np.ndarray, vectors: dict[str, np.ndarray]) -> str:
    """Return the sentence whose mean vector has the largest cosine with the collective one; the first of equals."""
    means = np.stack([mean_vector(words(s), vectors) for s in sentences])
    lengths = np.linalg.norm(means, axis=1)
    return sentences[int(np.argmax(means @ collective / np.where(lengths > 0, lengths, 1)))]
