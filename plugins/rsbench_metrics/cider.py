"""CIDEr-D (Vedantam et al. 2015, CIDEr: Consensus-based Image Description Evaluation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rsbench.tasks.captioning import Captions
from rsbench_metrics.captioning import MeanCaptionMetric
from rsbench_metrics.ngrams import Corpus, NGrams, corpus

SIGMA: Final = 6.0
SCALE: Final = 10.0


class CiderD(MeanCaptionMetric):
    """Mean over references and orders 1 to 4 of the similarity of tf-idf vectors of n-grams, times ten.

    Document frequencies are those of the references given, one document an image, so that a single image scores 0.
    Counts are clipped to the reference's; a Gaussian of the difference in length, in bigrams, damps the similarity.
    Statistics [N, 1].
    """

    def statistics(self, predictions: Captions, references: Sequence[Sequence[str]]) -> np.ndarray:
        """Return float64 [N, 1]."""
        found = corpus(predictions, references)
        bigrams = found.orders[1]
        ours = np.bincount(bigrams.hypotheses.sentence, bigrams.hypotheses.count, len(found))
        theirs = np.bincount(bigrams.references.sentence, bigrams.references.count, len(found.references))
        damping = np.exp(-((ours[found.image] - theirs) ** 2) / (2 * SIGMA**2))
        similarity = np.mean([_cosine(grams, found) for grams in found.orders], axis=0) * damping
        number = np.bincount(found.image, minlength=len(found))
        return (SCALE * np.bincount(found.image, similarity, len(found)) / number)[:, None]


def _cosine(grams: NGrams, found: Corpus) -> np.ndarray:
    """Return float64 [R], the clipped product of tf-idf vectors over their norms; 0 where one is 0."""
    hypotheses, references = grams.hypotheses, grams.references
    documents = np.unique(found.image[references.sentence] * grams.different + references.gram)
    frequency = np.bincount(documents % max(grams.different, 1), minlength=grams.different)
    weight = (np.log(len(found)) - np.log(np.maximum(frequency, 1))) ** 2
    product = np.bincount(
        references.sentence, grams.shared * references.count * weight[references.gram], len(found.references)
    )
    ours = np.bincount(hypotheses.sentence, hypotheses.count**2 * weight[hypotheses.gram], len(found))
    theirs = np.bincount(references.sentence, references.count**2 * weight[references.gram], len(found.references))
    norms = np.sqrt(ours[found.image] * theirs)
    return np.divide(product, norms, out=np.zeros(len(norms)), where=norms > 0)
