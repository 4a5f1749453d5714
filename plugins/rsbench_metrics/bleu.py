"""BLEU (Papineni et al. 2002, BLEU: a Method for Automatic Evaluation of Machine Translation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rsbench.metrics.contract import MetricContext
from rsbench.tasks.captioning import Captions
from rsbench_metrics.captioning import CaptionMetric
from rsbench_metrics.ngrams import Corpus, NGrams, corpus

# What the COCO caption evaluation adds to numerators and to denominators.
TINY: Final = 1e-15
SMALL: Final = 1e-9


class Bleu(CaptionMetric):
    """Geometric mean of the clipped precisions of 1- to n-grams times the brevity penalty, of the whole corpus.

    Statistics [N, 2 + 2 n]: length of the hypothesis, length of the reference that is closest to it (of two, the
    shorter), n-grams of order 1 .. n in the hypothesis, and how many of these are in a reference.
    """

    def __init__(self, context: MetricContext, n: int) -> None:
        super().__init__(context)
        self.n = n

    def statistics(self, predictions: Captions, references: Sequence[Sequence[str]]) -> np.ndarray:
        """Return float64 [N, 2 + 2 n]."""
        found = corpus(predictions, references)
        length = np.array([len(h) for h in found.hypotheses], dtype=np.float64)
        guesses = [np.maximum(length - k, 0) for k in range(self.n)]
        matches = [_matches(grams, found) for grams in found.orders[: self.n]]
        return np.stack([length, _closest(length, found), *guesses, *matches], axis=1)

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Return BLEU of summed counts."""
        del n
        length, reference = totals[..., 0], totals[..., 1]
        guesses, matches = totals[..., 2 : 2 + self.n], totals[..., 2 + self.n :]
        precision = np.prod((matches + TINY) / (guesses + SMALL), axis=-1) ** (1 / self.n)
        ratio = (length + TINY) / (reference + SMALL)
        with np.errstate(over="ignore"):
            return precision * np.exp(np.minimum(0.0, 1 - 1 / ratio))

    def gradient(self, totals: np.ndarray, n: float) -> np.ndarray:
        """Return those of the score as :meth:`from_totals` has it [2 + 2 n]."""
        score = float(self.from_totals(totals, n))
        length, reference = totals[0] + TINY, totals[1] + SMALL
        brevity = np.array([reference / length**2, -1 / length]) if length < reference else np.zeros(2)
        guesses, matches = totals[2 : 2 + self.n] + SMALL, totals[2 + self.n :] + TINY
        return score * np.concatenate([brevity, -1 / guesses / self.n, 1 / matches / self.n])


def _matches(grams: NGrams, found: Corpus) -> np.ndarray:
    """Return float64 [N]: over the n-grams of a hypothesis, the most that one reference shares."""
    some = grams.shared > 0
    image = found.image[grams.references.sentence[some]]
    pairs, inverse = np.unique(image * grams.different + grams.references.gram[some], return_inverse=True)
    most = np.zeros(len(pairs))
    np.maximum.at(most, inverse, grams.shared[some])
    return np.bincount(pairs // max(grams.different, 1), most, len(found))


def _closest(length: np.ndarray, found: Corpus) -> np.ndarray:
    """Return float64 [N], the reference length nearest to each hypothesis length."""
    lengths = np.array([len(r) for r in found.references], dtype=np.float64)
    order = np.lexsort((lengths, np.abs(lengths - length[found.image]), found.image))
    return lengths[order][np.searchsorted(found.image, np.arange(len(found)))]
