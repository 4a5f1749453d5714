"""Word vectors from the captions themselves, and sentences as their means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

DIMENSIONS: Final = 300
WINDOW: Final = 5  # words to either side


def word_vectors(sentences: Iterable[Sequence[str]], dimensions: int = DIMENSIONS) -> dict[str, np.ndarray]:
    """Return vectors float64 [<= dimensions]: the truncated SVD of positive pointwise mutual information.

    Rows are U sqrt(S) (Levy and Goldberg 2014).  Words count as together within five words of a sentence.
    """
    texts = [list(s) for s in sentences]
    vocabulary = {word: i for i, word in enumerate(sorted({w for text in texts for w in text}))}
    together = np.zeros((len(vocabulary), len(vocabulary)))
    for text in texts:
        numbers = [vocabulary[w] for w in text]
        for i, word in enumerate(numbers):
            np.add.at(together[word], numbers[max(0, i - WINDOW) : i] + numbers[i + 1 : i + 1 + WINDOW], 1)
    total = together.sum(1)
    expected = np.outer(total, total) / max(total.sum(), 1)
    ratio = np.divide(together, expected, out=np.ones_like(together), where=expected > 0)
    ppmi = np.log(np.maximum(ratio, 1))
    left, strengths, _ = np.linalg.svd(ppmi)
    vectors = (left * np.sqrt(strengths))[:, :dimensions]
    return {word: vectors[i] for word, i in vocabulary.items()}


def mean_vector(words: Iterable[str], vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the mean of the words' vectors, float64; words without one do not count."""
    known = [vectors[w] for w in words if w in vectors]
    return np.mean(known, axis=0) if known else np.zeros_like(next(iter(vectors.values())))
