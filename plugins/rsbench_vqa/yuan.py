"""From easy to hard (Yuan et al. 2022): attention led by the question, and a curriculum."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import PAD
from rsbench.tasks.vqa import Questions
from rsbench_vqa.lobry import JOINT, Lobry2020

ATTENDED = 256
POOLED = 4  # places, and channels, that are averaged into one number
SMALL = 1e-5  # added to norms
TYPE_WEIGHTS = {"rural_urban": 1.0, "presence": 1.0, "count": 4.0, "comp": 3.0}


class Curriculum(nn.Module):
    """Chooses questions by difficulty: the weight of their type times their characters over 50.

    A question is learned from once its difficulty is below ``low + share * (high - low)`` of all difficulties met so
    far.  The share is .6 at first, as in the authors' code, and grows by equal steps to 1, when all are learned from;
    how it grows is not in their code.

    Args:
        types: names of the types in the order of their numbers; those that are not RSVQA-LR's weigh 1.
        vocabulary: words by token, of which a question's characters are counted.
        growth: steps after which every question is learned from.
    """

    START = 0.6

    weights: torch.Tensor
    characters: torch.Tensor
    step: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, types: Sequence[str], vocabulary: Sequence[str], growth: int) -> None:
        super().__init__()
        self.growth = growth
        lengths = [0 if token == PAD else len(word) + 1 for token, word in enumerate(vocabulary)]  # a space or "?" each
        self.register_buffer("characters", torch.tensor(lengths), persistent=False)
        self.register_buffer("weights", torch.tensor([TYPE_WEIGHTS.get(t, 1.0) for t in types]), persistent=False)
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("low", torch.tensor(float("inf")))
        self.register_buffer("high", torch.tensor(0.0))

    def difficulty(self, questions: Questions) -> torch.Tensor:
        """Return float [B]."""
        return self.weights[questions.question_type] * self.characters[questions.tokens].sum(1) / 50

    def share(self) -> torch.Tensor:
        """Share of the range of difficulties that is open at this step, in [.6, 1]."""
        return self.START + (1 - self.START) * (self.step / self.growth).clamp(max=1)

    def choose(self, questions: Questions) -> torch.Tensor:
        """Return whether each question is learned from, bool [B], at least one, and count one step."""
        difficulty = self.difficulty(questions)
        self.low.copy_(torch.minimum(self.low, difficulty.min()))
        self.high.copy_(torch.maximum(self.high, difficulty.max()))
        share = self.share()
        threshold = self.low + share * (self.high - self.low)
        self.step += 1
        return (difficulty < threshold) | (difficulty == difficulty.min()) | (share >= 1)


class Yuan2022(Lobry2020):
    """Lobry's network with attention over places, led by the question, learned from easy questions to hard ones.

    As in the authors' code but for what :class:`rsbench_vqa.lobry.Lobry2020` replaces, and for the growth of the
    curriculum, which is not public.

    Args:
        context: bands, size, answers, vocabulary and types of questions.
        backbone, weights, freeze, input_size, question_width: as in :class:`rsbench_vqa.lobry.Lobry2020`.
        growth: steps after which all questions are learned from.
    """

    def __init__(
        self,
        context: ModelContext,
        backbone: str,
        weights: str,
        freeze: bool,
        input_size: int,
        question_width: int,
        growth: int,
    ) -> None:
        super().__init__(context, backbone, weights, freeze, input_size, question_width)
        features, height, width = self.encoder.shape(context)
        self.window = min(POOLED, height * width), POOLED
        pooled = (height * width // self.window[0]) * (ATTENDED // POOLED)
        self.after_product = nn.Identity()
        self.places = nn.Conv2d(features, ATTENDED, 1)
        self.scale = nn.Conv2d(ATTENDED, ATTENDED, 1, bias=False)
        self.lead = nn.Linear(JOINT, ATTENDED)
        self.mix = nn.Conv2d(ATTENDED, ATTENDED, 1)
        self.attended_to_joint = nn.Linear(pooled, JOINT)
        self.curriculum = Curriculum(context.question_types, context.vocabulary, growth)

    def look(self, maps: torch.Tensor, asked: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Add what is attended to, [B, 1200]; parameters as in the base class.

        Map and question are brought to about unit length in each place and added; each place of the sum looks, over
        the places of the map, for what the sum holds there.  The map's length is that of its projection, as in the
        authors' code.
        """
        own = self.places(maps)
        own = own / (self.scale(own).norm(dim=1, keepdim=True) + SMALL)
        lead = self.lead(asked)
        lead = lead / (lead.norm(dim=1, keepdim=True) + SMALL)
        mixed = self.mix(torch.relu(own[image] + lead[:, :, None, None])).flatten(2).transpose(1, 2)
        keys = own.flatten(2).transpose(1, 2)[image]
        attended = F.scaled_dot_product_attention(mixed, keys, mixed)
        pooled = F.avg_pool2d(attended, self.window).flatten(1)
        return super().look(maps, asked, image) + self.attended_to_joint(pooled)

    def training_loss(
        self,
        images: torch.Tensor,
        questions: Questions,
        answers: torch.Tensor,
        counts: torch.Tensor,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Return the loss of the questions that the curriculum has reached.

        Args:
            images: float32 [I, C, S, S].
            questions: B of them.
            answers: int64 [B].
            counts: not used.
            loss: ``(logits [B, K], answers [B]) -> scalar``.
        """
        del counts
        chosen = self.curriculum.choose(questions).nonzero().squeeze(1)
        reached = Questions(questions.tokens[chosen], questions.image[chosen], questions.question_type[chosen])
        return loss(self(images, reached), answers[chosen])
