"""RSVQA of Lobry et al. 2020: features of image and question, multiplied."""

from __future__ import annotations

import torch
from rsbench_timm.encoders import Encoding, grid_encoder
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions
from rsbench_vqa.words import QuestionGRU

JOINT, SQUEEZED, HIDDEN, EMBEDDING = 1200, 32, 256, 620


class Lobry2020(Encoding):
    """Product of a ResNet's map, squeezed to 32 channels, and a question's state, both brought to 1200 numbers.

    Differs from the published system: a word GRU that is trained stands in for frozen skip-thoughts, and the frozen
    backbone's batch normalization keeps its ImageNet averages, which drift in the authors' code.

    Args:
        context: bands, size, answers, vocabulary and types of questions.
        backbone, weights, freeze, input_size: see :func:`rsbench_timm.encoders.grid_encoder`.
        question_width: numbers in a question's state.
    """

    def __init__(
        self, context: ModelContext, backbone: str, weights: str, freeze: bool, input_size: int, question_width: int
    ) -> None:
        super().__init__()
        self.encoder = grid_encoder(context, backbone, weights, freeze, input_size)
        features, height, width = self.encoder.shape(context)
        self.squeeze = nn.Conv2d(features, SQUEEZED, 1)
        self.image_to_joint = nn.Sequential(nn.Dropout(0.5), nn.Linear(SQUEEZED * height * width, JOINT))
        self.words = QuestionGRU(context, question_width, EMBEDDING)
        self.words_to_joint = nn.Sequential(nn.Dropout(0.5), nn.Linear(question_width, JOINT))
        self.after_product: nn.Module = nn.Tanh()
        self.answer = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(JOINT, HIDDEN),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, context.num_classes),
        )

    def forward(self, images: torch.Tensor, questions: Questions) -> torch.Tensor:
        """Map images [I, C, S, S] and B questions to logits [B, A]."""
        asked = self.words_to_joint(self.words(questions.tokens))
        seen = self.look(self.encoder(images)[-1], asked, questions.image)
        return self.answer(self.after_product(seen * torch.tanh(asked)))

    def look(self, maps: torch.Tensor, asked: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return what is seen, [B, 1200].

        Args:
            maps: of the images, [I, F, h, w].
            asked: questions, brought to the joint width, [B, 1200].
            image: number of the image that each question is about, int64 [B].
        """
        del asked
        return torch.tanh(self.image_to_joint(self.squeeze(maps).flatten(1)[image]))
