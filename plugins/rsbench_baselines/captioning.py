"""Captioners that write nothing of their own: sentences of the training split, chosen in ways of growing sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from rsbench.tasks.context import ModelContext
from rsbench.tasks.text import words
from rsbench_baselines.classification import PixelStatistics, statistics


class MostFrequentCaption:
    """The sentence that occurs most often in the training split, whatever the image."""

    def __init__(self, context: ModelContext) -> None:
        del context

    def fit(self, blocks: Iterable[np.ndarray], sentences: Sequence[Sequence[str]], labels: np.ndarray | None) -> None:
        """Count sentences; the images are not looked at."""
        del blocks, labels
        self.sentence = most_frequent(text for texts in sentences for text in texts)

    def caption(self, images: np.ndarray) -> list[str]:
        """Return the same sentence for each image."""
        return [self.sentence] * len(images)


class ClassTemplateCaption:
    """The most frequent sentence of the class that logistic regression on pixel statistics predicts."""

    def __init__(self, context: ModelContext, l2: float = 1e-3) -> None:
        self.classes = context.num_classes
        self.classifier = PixelStatistics(context, l2)

    def fit(self, blocks: Iterable[np.ndarray], sentences: Sequence[Sequence[str]], labels: np.ndarray | None) -> None:
        """Fit the classifier; find the most frequent sentence of each class.

        Raises:
            ValueError: the images have no class labels.
        """
        if labels is None or not self.classes:
            raise ValueError("class-template-caption needs a dataset whose images have class labels")
        self.classifier.fit(blocks, labels)
        everything = most_frequent(text for texts in sentences for text in texts)
        self.templates = [
            most_frequent((t for i in np.flatnonzero(labels == k).tolist() for t in sentences[i]), everything)
            for k in range(self.classes)
        ]

    def caption(self, images: np.ndarray) -> list[str]:
        """Return the sentence of each image's predicted class."""
        return [self.templates[k] for k in self.classifier.predict(images).argmax(1)]


class NearestImage:
    """The most central sentence of the training image whose features are nearest in Euclidean distance.

    Args:
        features: images as stored [n, C, H, W] -> float64 [n, F].
        standardize: give each feature mean 0 and deviation 1 over the training images.
    """

    def __init__(self, features: Callable[[np.ndarray], np.ndarray], *, standardize: bool) -> None:
        self.features, self.standardize = features, standardize

    def fit(self, blocks: Iterable[np.ndarray], sentences: Sequence[Sequence[str]], labels: np.ndarray | None) -> None:
        """Keep the features of each training image, and its most central sentence."""
        del labels
        known = np.concatenate([self.features(block) for block in blocks])
        self.mean, self.scale = np.zeros(known.shape[1]), np.ones(known.shape[1])
        if self.standardize:
            self.mean, spread = known.mean(0), known.std(0)
            self.scale = np.where(spread > 0, spread, 1.0)
        self.known = (known - self.mean) / self.scale
        self.sentences = [central(texts) for texts in sentences]

    def caption(self, images: np.ndarray) -> list[str]:
        """Return the sentence of each image's nearest neighbor, the first of equals."""
        asked = (self.features(images) - self.mean) / self.scale
        distances = (asked**2).sum(1)[:, None] - 2 * asked @ self.known.T + (self.known**2).sum(1)
        return [self.sentences[k] for k in distances.argmin(1)]


class NearestImageCaption(NearestImage):
    """Nearest by pixels: band means and deviations on a grid of cells."""

    def __init__(self, context: ModelContext, cells: int = 4) -> None:
        del context
        super().__init__(partial(cell_statistics, cells=cells), standardize=True)


def cell_statistics(images: np.ndarray, cells: int) -> np.ndarray:
    """Statistics of each of cells x cells parts of the images, float64 [N, cells^2 2 C]."""
    rows = np.array_split(np.arange(images.shape[2]), cells)
    columns = np.array_split(np.arange(images.shape[3]), cells)
    parts = [
        statistics(np.ascontiguousarray(images[:, :, r[0] : r[-1] + 1, c[0] : c[-1] + 1]))
        for r in rows
        for c in columns
    ]
    return np.concatenate(parts, axis=1)


def most_frequent(texts: Iterable[str], otherwise: str = "") -> str:
    """Return the text that occurs most often, the first in alphabetical order among equals."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text)) if counts else otherwise


def central(texts: Sequence[str]) -> str:
    """Return the sentence that shares most words with the others: highest mean Dice overlap, the first of equals."""
    bags = [set(words(text)) for text in texts]

    def overlap(k: int) -> float:
        others = [bag for j, bag in enumerate(bags) if j != k]
        return sum(2 * len(bags[k] & bag) / max(len(bags[k]) + len(bag), 1) for bag in others)

    return texts[max(range(len(texts)), key=overlap)]
