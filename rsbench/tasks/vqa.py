"""Visual question answering with a closed list of answers; many questions may be about one image.

Network contract, with I images, B questions about them and A answers:

- ``forward(images: float32 [I, C, H, W], questions: Questions) -> logits float [B, A]``, or
  ``(logits, counts float [B])`` from a model that regresses counts: numbers >= 0, of use for count questions alone.
  Each image comes once, however many questions are about it.
- ``training_loss(images, questions, answers: int64 [B], counts: float32 [B], loss) -> scalar`` (optional): where the
  loss is more than ``loss(logits, answers)``, and the run then takes one device; ``counts`` is NaN where the answer is
  no number.
- ``encode`` and ``frozen`` (optional): as in :mod:`rsbench.tasks.captioning`.

Estimator contract (``kind="estimator"``): see :class:`QuestionEstimator`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rsbench import renamed


@renamed.attributes(renamed.QUESTIONS)
@dataclass
class Questions:
    """Questions of one batch, or of a split.

    Attributes:
        tokens: int64 [B, L], token numbers of ``ModelContext.vocabulary``, padded with 0 to the right, at least one
            that is not 0.
        image: int64 [B], the row of ``images`` that each question is about.
        question_type: int64 [B], number of the question's type in ``ModelContext.question_types``.

    They are tensors on the device for networks and arrays for estimators.
    """

    tokens: Any
    image: Any
    question_type: Any

    def __len__(self) -> int:
        return len(self.question_type)


@renamed.attributes(renamed.ANSWERS)
@dataclass(frozen=True)
class Answers:
    """What a model answered.

    Attributes:
        ids: question ids, N of them, unique.
        answers: int64 [N], number of the answer, or -1 where what it said is none of them.
        question_types: int64 [N], number of the question's type.
        images: image id of each question, N of them.
        counts: float64 [N], predicted counts, NaN where there is none; ``None`` where the model gives none.
    """

    ids: Sequence[str]
    answers: np.ndarray
    question_types: np.ndarray
    images: Sequence[str]
    counts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.answers)


@dataclass(frozen=True)
class AnswerReferences:
    """What is true: ``answers`` int64 [N] and ``counts`` float64 [N], NaN where the answer is no number or it is not
    known exactly."""

    answers: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.answers)


class QuestionEstimator(Protocol):
    """A model that is fitted in one go.  Images come as stored (uint8 [I, C, H, W])."""

    def fit(self, blocks: Iterable[np.ndarray], questions: Questions, answers: np.ndarray) -> None:
        """Fit to blocks of consecutive images, the questions about them (``image`` counts over all blocks) and their
        answers int64 [B]."""

    def answer(self, images: np.ndarray, questions: Questions) -> np.ndarray:
        """Return answer numbers int64 [B]."""
