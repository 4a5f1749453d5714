"""From easy to hard (Yuan et al. 2022): attention led by the question, and a curriculum."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import PAD
from rsbench.tasks.vqa import Questions
from rsbench_vqa.lobry import JOINT, Lobry2020

ATTENDED = 256
TYPE_WEIGHTS = {"rural_urban": 1.0, "presence": 1.0, "count": 4.0, "comp": 3.0}


class Curriculum(nn.Module):
    """Chooses questions by difficulty: the weight of their type times their words over 50.

    A question is learnt from once its difficulty is at most ``low + share * (high - low)`` of all difficulties met so
    far.  The share is .6 at first and grows by equal steps to 1.

    Args:
        types: names of the types in the order of their numbers; those that are not RSVQA-LR's weigh 1.
        growth: steps after which every question is learnt from.
    """

    START = 0.6

    weights: torch.Tensor
    step: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, types: tuple[str, ...], growth: int) -> None:
        super().__init__()
        self.growth = growth
        self.register_buffer("weights", torch.tensor([TYPE_WEIGHTS.get(t, 1.0) for t in types]), persistent=False)
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("low", torch.tensor(float("inf")))
        self.register_buffer("high", torch.tensor(0.0))

    def difficulty(self, questions: Questions) -> torch.Tensor:
        """Return float [B]."""
        return self.weights[questions.kind] * (questions.tokens != PAD).sum(1) / 50

    def share(self) -> torch.Tensor:
        """Share of the range of difficulties that is open at this step, in [.6, 1]."""
        return self.START + (1 - self.START) * (self.step / self.growth).clamp(max=1)

    def choose(self, questions: Questions) -> torch.Tensor:
        """Return whether each question is learnt from, bool [B], at least one, and count one step."""
        difficulty = self.difficulty(questions)
        self.low.copy_(torch.minimum(self.low, difficulty.min()))
        self.high.copy_(torch.maximum(self.high, difficulty.max()))
        threshold = self.low + self.share() * (self.high - self.low)
        self.step += 1
        return difficulty <= torch.maximum(threshold, difficulty.min())


class Yuan2022(Lobry2020):
    """Lobry's network with attention over places, led by the question, learnt from easy questions to hard ones.

    The question is added to a map of 256 channels; every place attends to all; poolings to 2 x 2 are brought to 1200
    numbers and added to what Lobry's network sees.  The authors' growth of the curriculum is not public: here the
    range of difficulties opens linearly.

    Args:
        backbone, weights, freeze, input_size, question_width: as in :class:`rsbench_vqa.lobry.Lobry2020`.
        growth: steps after which all questions are learnt from.
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
        self.places = nn.Conv2d(self.encoder.widths[-1], ATTENDED, 1)
        self.lead = nn.Linear(question_width, ATTENDED)
        self.attended_to_joint = nn.Linear(4 * ATTENDED, JOINT)
        self.curriculum = Curriculum(context.question_types, growth)

    def look(self, maps: torch.Tensor, words: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Add what is attended to, [B, 1200]."""
        led = self.places(maps)[image] + self.lead(words)[:, :, None, None]
        places = led.flatten(2).transpose(1, 2)
        attended = F.scaled_dot_product_attention(places, places, places).transpose(1, 2).unflatten(2, led.shape[2:])
        pooled = F.adaptive_avg_pool2d(attended, 2).flatten(1)
        return super().look(maps, words, image) + self.attended_to_joint(pooled)

    def training_loss(
        self,
        images: torch.Tensor,
        questions: Questions,
        answers: torch.Tensor,
        counts: torch.Tensor,
        loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """Return the loss of the questions that the curriculum has reached."""
        del counts
        chosen = self.curriculum.choose(questions).nonzero().squeeze(1)
        reached = Questions(questions.tokens[chosen], questions.image[chosen], questions.kind[chosen])
        return loss(self(images, reached), answers[chosen])
