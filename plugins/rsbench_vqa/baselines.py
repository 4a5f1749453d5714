"""Baselines: what can be answered without the image, without the words, or without both."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from rsbench_timm.encoders import Encoding, grid_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions
from rsbench_vqa.words import QuestionGRU


class QuestionOnly(nn.Module):
    """A GRU of 256 numbers over the words; the images are not looked at."""

    def __init__(self, context: ModelContext) -> None:
        super().__init__()
        self.words = QuestionGRU(context, width=256, embedding=128)
        self.answer = nn.Linear(256, context.num_classes)

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor:
        """Return logits [B, A]."""
        del images
        return self.answer(self.words(questions.tokens))


class ImageOnly(Encoding):
    """Mean of the map and the question's type, through one hidden layer; the words are not looked at.

    Args:
        context: bands, size, answers, vocabulary and types of questions.
        backbone, weights, freeze, input_size: see :func:`rsbench_timm.encoders.grid_encoder`.
    """

    def __init__(self, context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int) -> None:
        super().__init__()
        self.encoder = grid_encoder(context, backbone, weights, freeze, input_size)
        self.image = nn.Linear(self.encoder.widths[-1], 256)
        self.kind = nn.Embedding(len(context.question_types), 256)
        self.answer = nn.Linear(256, context.num_classes)

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor:
        """Return logits [B, A]."""
        seen = self.image(self.encoder(images)[-1].mean((2, 3)))[questions.image]
        return self.answer(torch.relu(seen + self.kind(questions.question_type)))


class MostFrequentAnswer:
    """The most frequent training answer of a question's type; of all questions where its type has none."""

    def __init__(self, context: ModelContext) -> None:
        self.shape = (len(context.question_types), context.num_classes)

    def fit(self, blocks: Iterable[np.ndarray], questions: Questions, answers: np.ndarray) -> None:
        """Count answers; the images are not looked at."""
        del blocks
        counts = np.zeros(self.shape, dtype=np.int64)
        np.add.at(counts, (questions.question_type, answers), 1)
        self.most_frequent = np.where(counts.any(1), counts.argmax(1), counts.sum(0).argmax())

    def answer(self, images: np.ndarray, questions: Questions) -> np.ndarray:
        """Return answer numbers int64 [B]."""
        del images
        return self.most_frequent[questions.question_type]
