"""Tokens of captions and their references and how often each n-gram occurs, counted once for all metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from rsbench.tasks.captioning import Captions
from rsbench_metrics.ptb import tokenize

ORDERS: Final = (1, 2, 3, 4)


@dataclass(frozen=True)
class Counts:
    """How often n-grams of one order occur: one row for each sentence and n-gram in it.

    Attributes:
        sentence: int64 [M], ascending: the hypothesis or the reference.
        gram: int64 [M], number of the n-gram.
        count: float64 [M].
    """

    sentence: np.ndarray
    gram: np.ndarray
    count: np.ndarray


@dataclass(frozen=True)
class NGrams:
    """n-grams of one order.

    Attributes:
        different: number of different n-grams.
        hypotheses, references: their counts.
        shared: float64, for each row of ``references``: the least of its count and that in the image's hypothesis.
    """

    different: int
    hypotheses: Counts
    references: Counts
    shared: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """N hypotheses and R references, those of one image after those of another.

    Attributes:
        hypotheses, references: their tokens.
        image: int64 [R], the image that each reference is of.
        orders: n-grams of order 1, 2, 3 and 4.
    """

    hypotheses: Sequence[Sequence[str]]
    references: Sequence[Sequence[str]]
    image: np.ndarray
    orders: tuple[NGrams, ...]

    def __len__(self) -> int:
        return len(self.hypotheses)


def corpus(predictions: Captions, references: Sequence[Sequence[str]]) -> Corpus:
    """Return tokens and n-gram counts of captions and of the references of each; the last corpus is kept."""
    return _corpus(tuple(predictions.captions), tuple(map(tuple, references)))


@lru_cache(maxsize=1)
def _corpus(captions: tuple[str, ...], references: tuple[tuple[str, ...], ...]) -> Corpus:
    hypotheses = [tokenize(c) for c in captions]
    tokens = [tokenize(s) for sentences in references for s in sentences]
    image = np.repeat(np.arange(len(references)), [len(r) for r in references])
    orders = (_ngrams(*numbered, image, len(captions)) for numbered in _numbered(hypotheses + tokens))
    return Corpus(hypotheses, tokens, image, tuple(orders))


def _numbered(sentences: list[list[str]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each order the sentence and the number of every n-gram, int64 [M] both."""
    vocabulary: dict[str, int] = {}
    words = np.array([vocabulary.setdefault(t, len(vocabulary)) for s in sentences for t in s], dtype=np.int64)
    sentence = np.repeat(np.arange(len(sentences)), [len(s) for s in sentences])
    start, gram = np.arange(len(words)), words
    found = [(sentence, gram)]
    for order in ORDERS[1:]:
        last = start + order - 1
        inside = last < len(words)
        inside[inside] = sentence[start[inside]] == sentence[last[inside]]
        start, gram = start[inside], gram[inside]
        gram = np.unique(gram * len(vocabulary) + words[start + order - 1], return_inverse=True)[1]
        found.append((sentence[start], gram))
    return found


def _ngrams(sentence: np.ndarray, gram: np.ndarray, image: np.ndarray, hypotheses: int) -> NGrams:
    different = int(gram.max(initial=-1)) + 1
    pairs, count = np.unique(sentence * different + gram, return_counts=True)
    sentence, gram = np.divmod(pairs, max(different, 1))
    first = int(np.searchsorted(sentence, hypotheses))
    ours = Counts(sentence[:first], gram[:first], count[:first].astype(np.float64))
    theirs = Counts(sentence[first:] - hypotheses, gram[first:], count[first:].astype(np.float64))
    wanted = image[theirs.sentence] * different + theirs.gram
    at = np.searchsorted(pairs[:first], wanted)
    held = np.append(pairs[:first], -1)[at] == wanted
    return NGrams(
        different, ours, theirs, np.where(held, np.minimum(np.append(ours.count, 0.0)[at], theirs.count), 0.0)
    )
