"""Made-up inputs and outcomes of each task, on which models and metrics are tried; a task's spec names its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F

from rsbench.metrics.contract import MetricContext
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.answers import ANSWERS_LR
from rsbench.tasks.arrays import Arrays
from rsbench.tasks.captioning import Captions, CaptionTargets, token_loss
from rsbench.tasks.classification import Predictions
from rsbench.tasks.context import ModelContext
from rsbench.tasks.task import Outcome
from rsbench.tasks.text import PAD, Vocabulary
from rsbench.tasks.vqa import AnswerReferences, Answers, Questions
from rsbench.testing.contract import NotApplicable, require

CLASSES: Final = tuple(f"class {k}" for k in range(10))
TYPES: Final = ("rural_urban", "presence", "count", "comp")
SENTENCES: Final = (
    "a river runs through a green field",
    "two planes stand beside a long white building",
    "many houses and some trees are on both sides of a road",
    "a lake lies beside a forest",
    "there is a large field of yellow crops",
)


class TaskTrial(ABC):
    """What the kit has to know of a task to try its models and metrics.

    Attributes:
        checks: names :class:`rsbench.testing.contract.Checks` of networks beyond those of all tasks.
    """

    checks: str | None = None

    @abstractmethod
    def context(self, channels: int, size: int, seed: int) -> ModelContext:
        """What a model's factory is told."""

    @abstractmethod
    def arguments(self, images: torch.Tensor) -> tuple[Any, ...]:
        """Arguments of ``forward`` for images [B, C, S, S], these first; the same for the same number of images."""

    @abstractmethod
    def shape(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        """Shape that the outputs must have."""

    @abstractmethod
    def loss(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """A loss over all that the model learns from in training, for made-up targets."""

    def outputs(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """The outputs of ``forward`` that are checked."""
        return model(*arguments)

    @abstractmethod
    def outcome(self, samples: int, seed: int, *, right: bool = False) -> Outcome:
        """Made-up predictions and references of *samples*: at random, or all *right*."""

    @abstractmethod
    def metric_context(self) -> MetricContext:
        """What metrics are told."""

    @abstractmethod
    def take(self, outcome: Outcome, index: np.ndarray) -> Outcome:
        """Return the samples *index* int64 [n] of an outcome, repeats included, under ids of their own."""

    def fitted(self, estimator: Any, images: np.ndarray) -> Callable[[np.ndarray], Any]:
        """Fit an estimator to stored images [N, C, S, S], and return what predicts for others.

        Raises:
            NotApplicable: the task does not say how its estimators are called.
        """
        raise NotApplicable("the trial of the task does not fit estimators")

    def well_formed(self, found: Any, images: int) -> None:
        """Require that an estimator's predictions for so many images have the form that the task asks for."""
        raise NotApplicable("the trial of the task does not say what its estimators predict")


class ClassificationTrial(TaskTrial):
    """Ten classes."""

    def context(self, channels: int, size: int, seed: int) -> ModelContext:
        """Ten classes of eight samples."""
        return ModelContext("classification", channels, size, CLASSES, class_counts=(8,) * len(CLASSES), seed=seed)

    def arguments(self, images: torch.Tensor) -> tuple[Any, ...]:
        """The images alone."""
        return (images,)

    def shape(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        """[B, K]."""
        return len(arguments[0]), len(CLASSES)

    def loss(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """Cross entropy."""
        logits = model(*arguments).float()
        return F.cross_entropy(logits, torch.arange(len(logits)) % len(CLASSES))

    def outcome(self, samples: int, seed: int, *, right: bool = False) -> Outcome:
        """Probabilities from a softmax of normal numbers, drawn towards the truth; certain where all are right."""
        rng = np.random.default_rng(seed)
        references = rng.integers(0, len(CLASSES), samples)
        scores = rng.normal(size=(samples, len(CLASSES)))
        scores[np.arange(samples), references] += 1
        scale = 1.0
        if right:
            scores, scale = np.eye(len(CLASSES))[references], 30.0
        probabilities = np.exp(scale * scores)
        probabilities /= probabilities.sum(1, keepdims=True)
        made = Predictions(_ids(samples), probabilities.argmax(1).astype(np.int64), probabilities)
        return Outcome(made, references)

    def metric_context(self) -> MetricContext:
        """Ten classes."""
        return MetricContext("classification", CLASSES)

    def take(self, outcome: Outcome, index: np.ndarray) -> Outcome:
        """Labels, probabilities and references."""
        made = outcome.predictions
        return Outcome(
            Predictions(_ids(len(index)), made.labels[index], made.probabilities[index]), outcome.references[index]
        )

    def fitted(self, estimator: Any, images: np.ndarray) -> Callable[[np.ndarray], Any]:
        """Fit to labels."""
        estimator.fit(_blocks(images), np.arange(len(images)) % len(CLASSES))
        return estimator.predict

    def well_formed(self, found: Any, images: int) -> None:
        """Probabilities."""
        values, shape = np.asarray(found), (images, len(CLASSES))
        require(values.shape == shape, f"shape {list(values.shape)}, not {list(shape)}")
        require(np.isfinite(values).all() and (values >= 0).all(), "a probability is negative or not finite")
        require(np.allclose(values.sum(1), 1, atol=1e-6), "the probabilities of an image do not sum to 1")


class CaptioningTrial(TaskTrial):
    """Two sentences an image, in a vocabulary of some thirty words."""

    checks = "rsbench_captioners.conformance:CHECKS"

    def __init__(self) -> None:
        self.vocabulary = Vocabulary.of(SENTENCES, 1)
        self.length = 16

    def tokens(self, images: int) -> torch.Tensor:
        """Token rows int64 [2 * images, T]."""
        return _tokens(self.vocabulary, 2 * images, self.length, marks=True)

    def context(self, channels: int, size: int, seed: int) -> ModelContext:
        """The vocabulary, classes, and the training sentences."""
        sentences = self.tokens(8).numpy().reshape(8, 2, -1)
        return ModelContext(
            "captioning",
            channels,
            size,
            CLASSES,
            class_counts=(1,) * len(CLASSES),
            seed=seed,
            vocabulary=self.vocabulary.words,
            max_length=self.length,
            extra={"sentences": sentences},
        )

    def arguments(self, images: torch.Tensor) -> tuple[Any, ...]:
        """Images and two sentences of each."""
        return images, self.tokens(len(images))

    def shape(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        """[B, T, V]."""
        return (*arguments[1].shape, len(self.vocabulary))

    def loss(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """The model's own training loss, or that of the words."""
        images, tokens = arguments
        if hasattr(model, "training_loss"):
            labels = torch.arange(len(images)) % len(CLASSES)
            return model.training_loss(images, CaptionTargets(tokens, labels, 2), F.cross_entropy)
        return token_loss(F.cross_entropy, model(images, tokens), tokens)

    def outcome(self, samples: int, seed: int, *, right: bool = False) -> Outcome:
        """Sentences with some words taken out."""
        rng = np.random.default_rng(seed)
        references = [[SENTENCES[rng.integers(len(SENTENCES))] for _ in range(2)] for _ in range(samples)]
        said = [r[0] if right else " ".join(w for w in r[1].split() if rng.random() < 0.7) for r in references]
        return Outcome(Captions(_ids(samples), said), references)

    def metric_context(self) -> MetricContext:
        """Nothing more than the task."""
        return MetricContext("captioning")

    def take(self, outcome: Outcome, index: np.ndarray) -> Outcome:
        """Captions and references."""
        said = [outcome.predictions.captions[i] for i in index]
        return Outcome(Captions(_ids(len(index)), said), [outcome.references[i] for i in index])

    def fitted(self, estimator: Any, images: np.ndarray) -> Callable[[np.ndarray], Any]:
        """Fit to two sentences of each image, and labels."""
        labels = np.arange(len(images)) % len(CLASSES)
        sentences = [[SENTENCES[k % len(SENTENCES)], SENTENCES[(k + 1) % len(SENTENCES)]] for k in labels]
        estimator.fit(_blocks(images), sentences, labels)
        return estimator.caption

    def well_formed(self, found: Any, images: int) -> None:
        """Texts."""
        require(len(found) == images, f"{len(found)} captions for {images} images")
        require(all(isinstance(text, str) for text in found), "a caption is not text")


class QuestionTrial(TaskTrial):
    """Four questions an image, one of each type, with RSVQA-LR's answers."""

    def __init__(self) -> None:
        self.vocabulary = Vocabulary.of(SENTENCES, 1)

    def context(self, channels: int, size: int, seed: int) -> ModelContext:
        """Answers, words and types of questions."""
        return ModelContext(
            "vqa",
            channels,
            size,
            ANSWERS_LR,
            class_counts=(4,) * len(ANSWERS_LR),
            seed=seed,
            vocabulary=self.vocabulary.words,
            max_length=16,
            question_types=TYPES,
        )

    def arguments(self, images: torch.Tensor) -> tuple[Any, ...]:
        """Images and four questions about each."""
        number = torch.arange(len(TYPES) * len(images))
        tokens = _tokens(self.vocabulary, len(number), 16, marks=False)
        return images, Questions(tokens, number // len(TYPES), number % len(TYPES))

    def shape(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        """[B, A]."""
        return len(arguments[1]), len(ANSWERS_LR)

    def outputs(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """The logits, without the counts that some models give beside them."""
        found = model(*arguments)
        return found[0] if isinstance(found, tuple) else found

    def loss(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """The model's own training loss, or cross entropy of the answers."""
        images, questions = arguments
        counting = questions.question_type == TYPES.index("count")
        answers = torch.where(counting, len(ANSWERS_LR) - 1, torch.arange(len(questions)) % 2)
        counts = torch.where(counting, 3.0, torch.nan)
        if hasattr(model, "training_loss"):
            return model.training_loss(images, questions, answers, counts, F.cross_entropy)
        return F.cross_entropy(self.outputs(model, arguments).float(), answers)

    def outcome(self, samples: int, seed: int, *, right: bool = False) -> Outcome:
        """Answers, half of them right, with counts of the count questions."""
        rng = np.random.default_rng(seed)
        question_types = np.arange(samples) % len(TYPES)
        true = rng.integers(0, len(ANSWERS_LR), samples)
        said = np.where(rng.random(samples) < (1.0 if right else 0.5), true, rng.integers(0, len(ANSWERS_LR), samples))
        counting = question_types == TYPES.index("count")
        counts = np.where(counting, rng.integers(0, 50, samples), np.nan)
        guessed = counts if right else counts + rng.integers(0, 5, samples)
        images = [f"image {i // 4}" for i in range(samples)]
        return Outcome(Answers(_ids(samples), said, question_types, images, guessed), AnswerReferences(true, counts))

    def metric_context(self) -> MetricContext:
        """Answers and types of questions."""
        return MetricContext("vqa", ANSWERS_LR, TYPES)

    def take(self, outcome: Outcome, index: np.ndarray) -> Outcome:
        """Answers, counts and references."""
        made, true = outcome.predictions, outcome.references
        images = [made.images[i] for i in index]
        answers = Answers(_ids(len(index)), made.answers[index], made.question_types[index], images, made.counts[index])
        return Outcome(answers, AnswerReferences(true.answers[index], true.counts[index]))

    def fitted(self, estimator: Any, images: np.ndarray) -> Callable[[np.ndarray], Any]:
        """Fit to questions and their answers."""
        asked = self._questions(len(images))
        estimator.fit(_blocks(images), asked, np.arange(len(asked)) % len(ANSWERS_LR))
        return lambda part: estimator.answer(part, self._questions(len(part)))

    def well_formed(self, found: Any, images: int) -> None:
        """Numbers of answers."""
        values, asked = np.asarray(found), images * len(TYPES)
        require(values.shape == (asked,), f"answers have shape {list(values.shape)}, not [{asked}]")
        listed = values.dtype.kind == "i" and (values >= 0).all() and (values < len(ANSWERS_LR)).all()
        require(listed, "an answer is no number of the list")

    def _questions(self, images: int) -> Questions:
        asked = self.arguments(torch.zeros(images, 1, 1, 1))[1]
        return Questions(asked.tokens.numpy(), asked.image.numpy(), asked.question_type.numpy())


class ArrayTrial(TaskTrial):
    """Numbers, as many an image as *width* says; without one, a number alone.

    Args:
        task: its name.
        width: numbers an image.
    """

    def __init__(self, task: str, width: int | None = None) -> None:
        self.task, self.width = task, width

    def context(self, channels: int, size: int, seed: int) -> ModelContext:
        """Bands and size."""
        return ModelContext(self.task, channels, size, (), seed=seed, outputs=self.width or 1)

    def arguments(self, images: torch.Tensor) -> tuple[Any, ...]:
        """The images alone."""
        return (images,)

    def shape(self, arguments: tuple[Any, ...]) -> tuple[int, ...]:
        """[B, K]."""
        return len(arguments[0]), self.width or 1

    def loss(self, model: Any, arguments: tuple[Any, ...]) -> torch.Tensor:
        """Squared error against 1."""
        return ((model(*arguments).float() - 1) ** 2).mean()

    def outcome(self, samples: int, seed: int, *, right: bool = False) -> Outcome:
        """Normal references, and predictions that are off by normal numbers unless *right*."""
        rng = np.random.default_rng(seed)
        shape = (samples,) if self.width is None else (samples, self.width)
        references = rng.normal(size=shape)
        values = references if right else references + rng.normal(size=shape)
        return Outcome(Arrays(_ids(samples), values), references)

    def metric_context(self) -> MetricContext:
        """Nothing more than the task."""
        return MetricContext(self.task)

    def take(self, outcome: Outcome, index: np.ndarray) -> Outcome:
        """Predictions and references."""
        return Outcome(Arrays(_ids(len(index)), outcome.predictions.values[index]), outcome.references[index])

    def fitted(self, estimator: Any, images: np.ndarray) -> Callable[[np.ndarray], Any]:
        """Fit to numbers."""
        estimator.fit(_blocks(images), self.outcome(len(images), 0).references)
        return estimator.predict

    def well_formed(self, found: Any, images: int) -> None:
        """Finite numbers."""
        values, shape = np.asarray(found), (images, self.width or 1)
        require(values.shape == shape, f"shape {list(values.shape)}, not {list(shape)}")
        require(np.isfinite(values).all(), "a prediction is not finite")


def _blocks(images: np.ndarray) -> list[np.ndarray]:
    return [images[:10], images[10:]]


def _tokens(vocabulary: Vocabulary, rows: int, length: int, *, marks: bool) -> torch.Tensor:
    """Return int64 [rows, length]: the sentences in turn, padded."""
    texts = [SENTENCES[i % len(SENTENCES)] for i in range(rows)]
    encoded = torch.from_numpy(vocabulary.encode(texts, length - 2, marks=marks))
    return F.pad(encoded, (0, length - encoded.shape[1]), value=PAD)


def _ids(samples: int) -> list[str]:
    return [f"sample {i}" for i in range(samples)]


CLASSIFICATION: Final = ClassificationTrial()
CAPTIONING: Final = CaptioningTrial()
VQA: Final = QuestionTrial()


def trial_of(task: str) -> TaskTrial:
    """Return the trial of a task.

    Raises:
        NotApplicable: its spec names none.
    """
    path = registry().get("task", task).test_inputs
    if path is None:
        raise NotApplicable(f"the spec of task '{task}' names no trial, so nothing can be made up for it")
    trial: TaskTrial = load_attribute(path)
    return trial
