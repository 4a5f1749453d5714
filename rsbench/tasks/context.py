"""What factories are told about the run that they build a model or a loss for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelContext:
    """What a model's factory is told.

    Attributes:
        task: its name.
        channels, size: shape of the images it will get, [channels, size, size].
        classes: class names in label order (VQA: the answers); ``len(classes)`` logits are expected, except in
            captioning, where they are the labels that come with the captions, if any.
        class_counts: training samples per class, in the same order.
        seed: seed of the run (already set on torch's and NumPy's global generators).
        weights_dir: folder in which downloaded weights are cached.
        vocabulary: words of captions or questions by token number; the first four are padding, start, end, unknown.
        max_length: tokens in the longest text, start and end included.
        question_types: names of the kinds of questions, by number.
        bands, units: names of the channels and the units of their stored values, in order.
        outputs: numbers expected of a network for an image, a word or a question; 0 where the task does not say.
        extra: more that a task has to tell; see its module.
    """

    task: str
    channels: int
    size: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...] = ()
    seed: int = 0
    weights_dir: str | None = None
    vocabulary: tuple[str, ...] = ()
    max_length: int = 0
    question_types: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    outputs: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """Number of classes, K."""
        return len(self.classes)


@dataclass(frozen=True)
class LossContext:
    """What a loss's factory is told: what is predicted, in label order, and training samples of each."""

    num_classes: int
    class_counts: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
