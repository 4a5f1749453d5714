"""What a recipe may say about a task (``task_options``), with the defaults; plugins' tasks check their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CLASSIFICATION: Final[Mapping[str, Any]] = {}
CAPTIONING: Final[Mapping[str, Any]] = {
    "min_count": 5,  # words that occur less often in training become <unk>
    "max_words": 20,  # of a sentence
    "sentences": 1,  # learnt of an image in a step
    "beam": 1,
    "length_penalty": 0.0,
    "temperature": 0.0,  # above 0: words are sampled
}
VQA: Final[Mapping[str, Any]] = {"min_count": 1, "max_words": 20, "questions_per_image": 16}
TASK_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "classification": CLASSIFICATION,
    "captioning": CAPTIONING,
    "vqa": VQA,
}
