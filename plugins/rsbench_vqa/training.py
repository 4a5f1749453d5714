"""VQA: many questions about each image; an image is read, augmented and encoded once for all of its questions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.tasks.base import Evaluated, Fitted, Loss, TrainingTask
from rsbench.engine.tasks.evaluate import of_all
from rsbench.errors import RunError
from rsbench.tasks.context import LossContext, ModelContext
from rsbench.tasks.sanity_checks import above_chance
from rsbench.tasks.task import Outcome
from rsbench.tasks.text import PAD, SPECIAL, Vocabulary
from rsbench.tasks.vqa import AnswerReferences, Answers, Questions
from rsbench_vqa.task import several_answers

EVALUATION_IMAGES: Final = 16


@dataclass
class VqaTargets:
    """Questions of a batch with their answers int64 [B], counts float32 [B] and sample numbers int64 [B].

    They are about one image after another; ``starts`` int64 [I + 1], where they come from a store: the first question
    of each.
    """

    questions: Questions
    answers: torch.Tensor
    counts: torch.Tensor
    index: np.ndarray
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def weight(self) -> int:
        """What a plain mean over them divides by."""
        return len(self.answers)

    def about(self, images: slice) -> VqaTargets:
        """Return the questions about some consecutive images."""
        asked, ends = self.questions, [images.start, images.stop]
        if self.starts is None:  # the device has to be waited for
            rows = slice(*np.searchsorted(asked.image.cpu().numpy(), ends).tolist())
        else:
            rows = slice(*self.starts[ends].tolist())
        own = Questions(asked.tokens[rows], asked.image[rows] - images.start, asked.question_type[rows])
        return VqaTargets(own, self.answers[rows], self.counts[rows], self.index[rows])


def _own(batch: Batch) -> VqaTargets:
    """Return the questions about the images of a batch, of which other ranks may have more."""
    return batch.targets if batch.share is None else batch.targets.about(batch.share)


class QuestionTargets:
    """Groups questions into items of one image each, so that one read of an image serves a whole item.

    In training an item is a draw of up to ``together`` of an image's questions: each epoch shuffles them anew from
    (seed, epoch) and takes every question once.  In evaluation an item is all questions of an image.

    Args:
        seed: of the draws of training.
        tokens, question_types, answers, counts: int64 [M, L], int64 [M], int64 [M], float32 [M], of all samples.
        image_index: int64 [M].
        samples: int64 [n], the questions to ask.
        together: most questions in an item, or ``None`` for all of an image.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        question_types: np.ndarray,
        answers: np.ndarray,
        counts: np.ndarray,
        image_index: np.ndarray,
        samples: np.ndarray,
        together: int | None,
        seed: int,
    ) -> None:
        self.tokens, self.question_types = torch.from_numpy(tokens), torch.from_numpy(question_types)
        self.answers, self.counts = torch.from_numpy(answers), torch.from_numpy(counts)
        self.lengths = (tokens != PAD).sum(1)
        self.samples, self.seed = samples, seed
        self.group = image_index[samples]
        images, sizes = np.unique(self.group, return_counts=True)
        parts = np.ones_like(sizes) if together is None else -(-sizes // together)
        self.image = np.repeat(images, parts)
        self.starts = self._boundaries(sizes, parts)
        self._drawn: tuple[int | None, np.ndarray] | None = None

    @staticmethod
    def _boundaries(sizes: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Return int64 [items + 1]: each image's questions cut into parts whose sizes differ by one at most."""
        first = np.repeat(np.cumsum(sizes) - sizes, parts)
        number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
        starts = first + number * np.repeat(sizes, parts) // np.repeat(parts, parts)
        return np.append(starts, sizes.sum())

    def __len__(self) -> int:
        return len(self.image)

    def count(self, items: np.ndarray) -> int:
        """Questions in these items."""
        return int((self.starts[items + 1] - self.starts[items]).sum())

    def _order(self, epoch: int | None) -> np.ndarray:
        """Sample numbers, image by image; shuffled within an image in training."""
        if self._drawn is None or self._drawn[0] != epoch:
            if epoch is None:
                order = np.argsort(self.group, kind="stable")
            else:
                stream = np.random.Philox(key=[self.seed & (2**64 - 1), epoch + 2**34])
                order = np.lexsort((np.random.Generator(stream).random(len(self.samples)), self.group))
            self._drawn = (epoch, self.samples[order])
        return self._drawn[1]

    def select(self, items: np.ndarray, epoch: int | None, device: torch.device) -> VqaTargets:
        """Return the questions of items, cut to the longest among them."""
        sizes = self.starts[items + 1] - self.starts[items]
        row = np.repeat(np.arange(len(items)), sizes)
        within = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        index = self._order(epoch)[self.starts[items][row] + within]
        chosen = torch.from_numpy(index)
        longest = int(self.lengths[index].max())

        def put(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, non_blocking=True)

        questions = Questions(
            tokens=put(self.tokens[chosen, :longest]),
            image=put(torch.from_numpy(row)),
            question_type=put(self.question_types[chosen]),
        )
        starts = np.append(0, np.cumsum(sizes))
        return VqaTargets(questions, put(self.answers[chosen]), put(self.counts[chosen]), index, starts)


class VQATraining(TrainingTask):
    """See the contract in :mod:`rsbench.tasks.vqa`."""

    score = "val_accuracy"

    @property
    def together(self) -> int:  # type: ignore[override]
        """Questions about one image in a step of training."""
        return int(self.options["questions_per_image"])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of the training questions alone."""
        texts = self.data.store.columns.get("question")
        if texts is None:
            raise RunError(f"Dataset '{self.plan.dataset['name']}' has no questions.", "data")
        return Vocabulary.of((texts[i] for i in self.data.train), self.options["min_count"])

    @cached_property
    def tokens(self) -> np.ndarray:
        """Tokens int64 [M, L] of all questions."""
        texts = self.data.store.columns["question"]
        return self.vocabulary.encode(texts, self.options["max_words"], marks=False)

    def restore(self, context: ModelContext) -> None:
        """The vocabulary; a question longer than the network has seen loses its end."""
        self.vocabulary = Vocabulary(context.vocabulary)
        self.tokens = self.tokens[:, : context.max_length]

    @cached_property
    def question_types(self) -> tuple[str, ...]:
        """Names of the types, as the dataset orders them."""
        return tuple(self.plan.dataset.get("question_types", ()))

    @cached_property
    def type_numbers(self) -> np.ndarray:
        """Type number int64 [M] of each question."""
        number = {name: k for k, name in enumerate(self.question_types)}
        return np.array([number[kind] for kind in self.data.store.columns["kind"]], dtype=np.int64)

    @cached_property
    def counts(self) -> np.ndarray:
        """True counts float32 [M], NaN where there is none."""
        values = self.data.store.columns.get("count", [None] * len(self.data.store.ids))
        return np.array([np.nan if v is None else v for v in values], dtype=np.float32)

    def outputs(self) -> int:
        """Answers."""
        return len(self.data.classes)

    def model_context(self) -> ModelContext:
        """Answers, words and types of questions."""
        return self.common_context(
            vocabulary=self.vocabulary.words,
            max_length=int(self.tokens.shape[1]),
            question_types=self.question_types,
        )

    def loss_context(self) -> LossContext:
        """Answers and how often they are right in training."""
        return LossContext(self.outputs(), self.data.class_counts, self.data.classes)

    def make_loader(
        self, samples: np.ndarray, device: torch.device, norm: Normalization, *, training: bool
    ) -> ArrayLoader:
        """Batches of images with questions; the recipe's batch is a number of questions."""
        together = int(self.options["questions_per_image"]) if training else None
        targets = self._targets(samples, together)
        batch = max(1, int(self.plan.recipe["batch"]) // (together or 1)) if training else EVALUATION_IMAGES
        items = np.arange(len(targets))
        return self.loader(targets.image, targets, items, device, norm, batch=batch, training=training)

    def _targets(self, samples: np.ndarray, together: int | None) -> QuestionTargets:
        store = self.data.store
        return QuestionTargets(
            self.tokens,
            self.type_numbers,
            store.labels,
            self.counts,
            store.image_index,
            samples,
            together,
            self.plan.seed,
        )

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits [B, A]."""
        return self._answer(model, batch)[0]

    @staticmethod
    def _answer(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        given = model(batch.images, _own(batch).questions)
        return given if isinstance(given, tuple) else (given, None)

    def loss(self, model: Any, batch: Batch, loss: Loss) -> torch.Tensor:
        """Return the model's own loss, or that of the answers."""
        targets = _own(batch)
        if hasattr(model, "training_loss"):
            return model.training_loss(batch.images, targets.questions, targets.answers, targets.counts, loss)
        return loss(self._answer(model, batch)[0].float(), targets.answers)

    def expected_shape(self, batch: Batch) -> tuple[int, ...]:
        """[B, A]."""
        return len(_own(batch)), self.outputs()

    def probe(self, device: torch.device) -> tuple[Any, ...]:
        """One image and one question of full length."""
        one = torch.zeros(1, dtype=torch.int64, device=device)
        return (*super().probe(device), Questions(torch.ones_like(one).expand(1, self.tokens.shape[1]), one, one))

    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return loss in nats and overall accuracy."""
        logits, _, index = self._pass(model, loader, fabric)
        answers = torch.from_numpy(self.data.store.labels[index])
        loss = nn.functional.cross_entropy(torch.from_numpy(logits).double(), answers)
        return {"val_loss": float(loss), "val_accuracy": float((logits.argmax(1) == answers.numpy()).mean())}

    @torch.inference_mode()
    def _pass(
        self, model: nn.Module, loader: ArrayLoader, fabric: Any
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return logits [n, A], counts [n] or ``None``, and sample numbers [n], in the order of the loader."""
        training = model.training
        model.eval()
        logits, counts, index = [], [], []
        for batch in loader.in_order():
            with fabric.autocast():
                answer, count = self._answer(model, batch)
            logits.append(answer.float())
            if count is not None:
                counts.append(count.float())
            index.append(batch.targets.index)
        model.train(training)
        counted = any(loader.ranks.all_gather_object(bool(counts)))
        given = of_all(loader, counts).cpu().numpy() if counted else None
        numbers = np.concatenate([part for parts in loader.ranks.all_gather_object(index) for part in parts])
        return of_all(loader, logits).cpu().numpy(), given, numbers

    def evaluate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluated:
        """Answer every question of the split."""
        begin = time.perf_counter()
        logits, counts, index = self._pass(model, loader, fabric)
        seconds = time.perf_counter() - begin
        self.check_logits(torch.from_numpy(logits), (len(index), self.outputs()))
        place = np.argsort(index)[np.argsort(np.argsort(self.data.test))]  # in the order of the split
        answers = logits.argmax(1)[place]
        outcome = self._outcome(answers, self.data.test, None if counts is None else counts[place])
        return Evaluated(outcome, index[place], seconds)

    def _outcome(self, answers: np.ndarray, samples: np.ndarray, counts: np.ndarray | None) -> Outcome:
        store = self.data.store
        images = [store.image_ids[i] for i in store.image_index[samples]]
        if counts is not None:
            counts = np.where(np.isnan(self.counts[samples]), np.nan, counts).astype(np.float64)
        made = Answers(
            [store.ids[i] for i in samples], answers.astype(np.int64), self.type_numbers[samples], images, counts
        )
        true = AnswerReferences(store.labels[samples], self.counts[samples].astype(np.float64))
        return Outcome(made, true, clusters=np.unique(np.array(images), return_inverse=True)[1])

    def made_up(self, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, Any]:
        """Questions of full length, as many about each image as in a step of training."""
        shape = (samples, self.options["max_words"])
        tokens = torch.randint(len(SPECIAL), len(self.vocabulary), shape, generator=generator)
        number = torch.arange(samples)
        asked = Questions(
            tokens.to(device), (number // self.together).to(device), (number % len(self.question_types)).to(device)
        )
        answers = torch.randint(len(self.data.classes), (samples,), generator=generator).to(device)
        counts = torch.full((samples,), torch.nan, device=device)
        return -(-samples // self.together), VqaTargets(asked, answers, counts, np.arange(samples))

    def fit(self, estimator: Any) -> Fitted:
        """Fit to images, questions and answers."""
        begin = time.perf_counter()
        targets = self._targets(self.data.train, None)
        asked = targets.select(np.arange(len(targets)), None, torch.device("cpu"))
        estimator.fit(self.data.blocks(targets.image), _arrays(asked.questions), asked.answers.numpy())
        fitted = time.perf_counter()
        answers = np.empty(len(self.data.store.ids), dtype=np.int64)
        for images, part in self._parts(self._targets(self.data.test, None)):
            answers[part.index] = estimator.answer(images, _arrays(part.questions))
        outcome = self._outcome(answers[self.data.test], self.data.test, None)
        return Fitted(Evaluated(outcome, self.data.test, time.perf_counter() - fitted), fitted - begin)

    def _parts(self, targets: QuestionTargets, length: int = 128) -> Iterator[tuple[np.ndarray, VqaTargets]]:
        items = np.arange(len(targets))
        starts = range(0, len(items), length)
        for start, images in zip(starts, self.data.blocks(targets.image, length), strict=True):
            yield images, targets.select(items[start : start + length], None, torch.device("cpu"))

    def sanity_checks(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Above the most frequent answer; more than one answer given."""
        made, true = outcome.predictions, outcome.references
        correct = int((made.answers == true.answers).sum())
        return [above_chance(correct, true.answers), several_answers(made.answers)]


def _arrays(questions: Questions) -> Questions:
    return Questions(questions.tokens.numpy(), questions.image.numpy(), questions.question_type.numpy())
