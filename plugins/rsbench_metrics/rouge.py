"""ROUGE-L (Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries) as the COCO caption evaluation has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rsbench.tasks.captioning import Captions
from rsbench_metrics.captioning import MeanCaptionMetric
from rsbench_metrics.ngrams import corpus

BETA: Final = 1.2


class RougeL(MeanCaptionMetric):
    """F-measure of the longest common subsequence; its precision and its recall are each the best over references.

    Statistics [N, 1].  A sentence without words counts as one empty word, so that two of them agree.
    """

    def statistics(self, predictions: Captions, references: Sequence[Sequence[str]]) -> np.ndarray:
        """Return float64 [N, 1]."""
        found = corpus(predictions, references)
        bits = [_bits(h or [""]) for h in found.hypotheses]
        lengths = [max(len(h), 1) for h in found.hypotheses]
        precision, recall = np.zeros(len(found)), np.zeros(len(found))
        for image, words in zip(found.image.tolist(), found.references, strict=True):
            common = _common(bits[image], lengths[image], words or [""])
            precision[image] = max(precision[image], common / lengths[image])
            recall[image] = max(recall[image], common / max(len(words), 1))
        above = (1 + BETA**2) * precision * recall
        return np.divide(above, recall + BETA**2 * precision, out=np.zeros(len(found)), where=above > 0)[:, None]


def _bits(words: Sequence[str]) -> dict[str, int]:
    """Return for each word the places at which it stands, as the bits of a number."""
    places: dict[str, int] = {}
    for place, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << place
    return places


def _common(bits: dict[str, int], length: int, words: Sequence[str]) -> int:
    """Return the length of the longest common subsequence (Hyyrö 2004, the bit-parallel recurrence)."""
    rest = (1 << length) - 1
    for word in words:
        if hit := rest & bits.get(word, 0):
            rest = (rest + hit) | (rest - hit)
    return length - (rest & (1 << length) - 1).bit_count()
