"""Captioning: sentences learned word by word, searched for in evaluation, scored against all references."""

from __future__ import annotations

import math
import time
from collections import Counter
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.engine.input.loader import ArrayLoader, Batch
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.tasks.base import Evaluated, Fitted, Loss, TrainingTask
from rsbench.errors import RunError
from rsbench.tasks.captioning import Captions, CaptionTargets, token_loss
from rsbench.tasks.context import LossContext, ModelContext
from rsbench.tasks.task import Outcome
from rsbench.tasks.text import END, PAD, SPECIAL, START, Vocabulary
from rsbench_captioners.beam_search import Search, generate
from rsbench_captioners.task import above_most_frequent, several_captions

EVALUATION_BATCH: Final = 32


class SentenceTargets:
    """Token rows of the sentences of each sample; training takes some of them, evaluation all.

    Args:
        labels: int64 [M], classes of the samples; ``None`` where there are none.
        seed: of the draws of sentences.
        tokens: int64 [M, R, T], R sentences a sample.
        sentences: how many of each sample are learned in a step, drawn from (seed, epoch) without repetition.
    """

    def __init__(self, tokens: np.ndarray, labels: np.ndarray | None, sentences: int, seed: int) -> None:
        self.tokens = torch.from_numpy(tokens)
        self.labels = None if labels is None else torch.from_numpy(labels)
        self.sentences, self.seed = min(sentences, tokens.shape[1]), seed
        self._drawn: tuple[int, np.ndarray] | None = None

    def select(self, items: np.ndarray, epoch: int | None, device: torch.device) -> CaptionTargets:
        """Return tokens [len(items) * R, T], those of one image after another, cut to the longest among them."""
        index = torch.from_numpy(items)
        rows = self.tokens[index]
        if epoch is not None and self.sentences < rows.shape[1]:
            chosen = torch.from_numpy(self._order(epoch)[items, : self.sentences])
            rows = rows.gather(1, chosen[..., None].expand(-1, -1, rows.shape[2]))
        sentences = rows.shape[1]
        rows = rows.flatten(0, 1)
        rows = rows[:, : int((rows != PAD).sum(1).max())]
        labels = None if self.labels is None else self.labels[index].to(device, non_blocking=True)
        return CaptionTargets(rows.to(device, non_blocking=True), labels, sentences)

    def _order(self, epoch: int) -> np.ndarray:
        if self._drawn is None or self._drawn[0] != epoch:
            stream = np.random.Philox(key=[self.seed & (2**64 - 1), epoch + 2**33])
            keys = np.random.Generator(stream).random(self.tokens.shape[:2])
            self._drawn = (epoch, keys.argsort(1))
        return self._drawn[1]

    def count(self, items: np.ndarray) -> int:
        """One sample an image."""
        return len(items)


def _own(batch: Batch) -> CaptionTargets:
    """Return what is to be learned from the images of a batch, of which other ranks may have more."""
    return batch.targets if batch.share is None else batch.targets.about(batch.share)


class CaptioningTraining(TrainingTask):
    """See the contract in :mod:`rsbench.tasks.captioning`."""

    @cached_property
    def sentences(self) -> list[list[str]]:
        """References of all samples."""
        found = self.data.store.columns.get("sentences")
        if found is None:
            raise RunError(f"Dataset '{self.plan.dataset['name']}' has no sentences.", "data")
        return found

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Words of the training split alone."""
        texts = (text for i in self.data.train for text in self.sentences[i])
        return Vocabulary.of(texts, self.options["min_count"])

    @cached_property
    def tokens(self) -> np.ndarray:
        """Tokens int64 [M, R, T]; a sample with fewer than R sentences repeats them."""
        most = max(len(s) for s in self.sentences)
        texts = [s[k % len(s)] for s in self.sentences for k in range(most)]
        rows = self.vocabulary.encode(texts, self.options["max_words"], marks=True)
        return rows.reshape(len(self.sentences), most, -1)

    def restore(self, context: ModelContext) -> None:
        """The vocabulary."""
        self.vocabulary = Vocabulary(context.vocabulary)

    @property
    def _labels(self) -> np.ndarray | None:
        return self.data.store.labels if self.data.classes else None

    def outputs(self) -> int:
        """Words."""
        return len(self.vocabulary)

    def model_context(self) -> ModelContext:
        """The vocabulary, and the training sentences in ``extra["sentences"]``, int64 [M, R, T]."""
        return self.common_context(
            vocabulary=self.vocabulary.words,
            max_length=self.options["max_words"] + 2,
            extra={"sentences": self.tokens[self.data.train]},
        )

    def loss_context(self) -> LossContext:
        """Words and how often they are to be said in training."""
        counts = np.bincount(self.tokens[self.data.train].ravel(), minlength=self.outputs())
        counts[[PAD, START]] = 0
        return LossContext(self.outputs(), tuple(counts.tolist()), self.vocabulary.words)

    def make_loader(
        self, samples: np.ndarray, device: torch.device, norm: Normalization, *, training: bool
    ) -> ArrayLoader:
        """Batches of images with their sentences."""
        targets = SentenceTargets(self.tokens, self._labels, self.options["sentences"], self.plan.seed)
        batch = int(self.plan.recipe["batch"]) if training else EVALUATION_BATCH
        index = self.data.store.image_index
        return self.loader(index, targets, samples, device, norm, batch=batch, training=training)

    def forward(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return logits [B, T, V]."""
        return model(batch.images, _own(batch).tokens)

    def loss(self, model: Any, batch: Batch, loss: Loss) -> torch.Tensor:
        """Return the model's own loss, or that of the words."""
        targets = _own(batch)
        if hasattr(model, "training_loss"):
            return model.training_loss(batch.images, targets, loss)
        return token_loss(loss, model(batch.images, targets.tokens), targets.tokens)

    def expected_shape(self, batch: Batch) -> tuple[int, ...]:
        """[B, T, V]."""
        return (*_own(batch).tokens.shape, self.outputs())

    def probe(self, device: torch.device) -> tuple[Any, ...]:
        """One image and one sentence of full length."""
        tokens = torch.full((1, self.options["max_words"] + 2), START, device=device)
        return (*super().probe(device), tokens)

    @torch.inference_mode()
    def validate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> dict[str, float]:
        """Return the loss in nats a word, and the primary metric of greedy sentences."""
        training = model.training
        model.eval()
        total, words = 0.0, 0
        for batch in loader.in_order():
            tokens = batch.targets.tokens
            with fabric.autocast():
                logits = model(batch.images, tokens)
            kept = tokens[:, 1:] != PAD
            total += float(nn.functional.cross_entropy(logits[:, :-1][kept].float(), tokens[:, 1:][kept])) * int(
                kept.sum()
            )
            words += int(kept.sum())
        search = Search(max_words=self.options["max_words"])
        captions = self._say(model, loader, fabric, search)
        model.train(training)
        total, words = map(sum, zip(*loader.ranks.all_gather_object((total, words)), strict=True))
        score = self.primary(self._outcome(captions, loader.samples))
        return {"val_loss": total / max(words, 1)} | ({} if math.isnan(score) else {"val_score": score})

    def _ids(self, samples: np.ndarray) -> list[str]:
        return [self.data.store.ids[i] for i in samples]

    def _say(self, model: nn.Module, loader: ArrayLoader, fabric: Any, search: Search) -> list[str]:
        captions: list[str] = []
        for batch in loader.in_order():
            uniforms = self._uniforms(batch.index, search).to(loader.device)
            with fabric.autocast():
                rows = generate(model, batch.images, search, uniforms)
            captions += [self.vocabulary.decode(row) for row in rows.tolist()]
        return [caption for said in loader.ranks.all_gather_object(captions) for caption in said]

    def _uniforms(self, index: np.ndarray, search: Search) -> torch.Tensor:
        """Numbers for sampling that depend on (seed, sample) alone."""
        if not search.temperature:
            return torch.zeros(len(index), 1)
        streams = (np.random.Generator(np.random.Philox(key=[self.plan.seed & (2**64 - 1), int(i)])) for i in index)
        return torch.from_numpy(np.stack([stream.random(search.max_words) for stream in streams]))

    @property
    def search(self) -> Search:
        """How the recipe searches for sentences."""
        o = self.options
        return Search(o["max_words"], int(o["beam"]), float(o["length_penalty"]), float(o["temperature"]))

    def predict(self, model: nn.Module, batch: Batch) -> Any:
        """Search for the sentences of a batch."""
        return generate(model, batch.images, self.search)

    def made_up(self, samples: int, generator: torch.Generator, device: torch.device) -> tuple[int, Any]:
        """One sentence of full length for each image."""
        length = self.options["max_words"] + 2
        tokens = torch.randint(len(SPECIAL), self.outputs(), (samples, length), generator=generator)
        tokens[:, 0], tokens[:, -1] = START, END
        labels = torch.randint(len(self.data.classes), (samples,), generator=generator) if self.data.classes else None
        return samples, CaptionTargets(tokens.to(device), None if labels is None else labels.to(device))

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, loader: ArrayLoader, fabric: Any) -> Evaluated:
        """Search for one sentence an image as the recipe says."""
        model.eval()
        begin = time.perf_counter()
        captions = self._say(model, loader, fabric, self.search)
        return Evaluated(self._outcome(captions, loader.samples), loader.samples, time.perf_counter() - begin)

    def _outcome(self, captions: list[str], samples: np.ndarray) -> Outcome:
        return Outcome(Captions(self._ids(samples), captions), [self.sentences[i] for i in samples])

    def fit(self, estimator: Any) -> Fitted:
        """Fit to images and sentences; one sentence an image comes back."""
        data, store = self.data, self.data.store
        begin = time.perf_counter()
        labels = None if self._labels is None else self._labels[data.train]
        references = [self.sentences[i] for i in data.train]
        estimator.fit(data.blocks(store.image_index[data.train]), references, labels)
        fitted = time.perf_counter()
        captions = [c for block in data.blocks(store.image_index[data.test]) for c in estimator.caption(block)]
        if len(captions) != len(data.test):
            raise RunError(f"'{self.name}' gave {len(captions)} captions for {len(data.test)} images.", "evaluate")
        seconds = time.perf_counter() - fitted
        return Fitted(Evaluated(self._outcome(captions, data.test), data.test, seconds), fitted - begin)

    def sanity_checks(self, outcome: Outcome) -> list[dict[str, Any]]:
        """Better than saying the most frequent training sentence of every image; more than one sentence said."""
        counts = Counter(text for i in self.data.train for text in self.sentences[i])
        constant = max(counts, key=lambda text: (counts[text], text))
        floor = self.primary(self._outcome([constant] * len(self.data.test), self.data.test))
        value = self.primary(outcome)
        above = above_most_frequent(self.plan.protocol["primary"], value, floor)
        return [above, several_captions(outcome.predictions.captions)]
