"""Small cases whose scores were worked out by hand, one for each task."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, sqrt
from typing import Final

import numpy as np

from rsbench.metrics.contract import Golden, MetricContext
from rsbench.specs import MetricSpec
from rsbench.tasks.answers import ANSWERS_LR, TYPES_LR
from rsbench.tasks.captioning import Captions
from rsbench.tasks.classification import Predictions
from rsbench.tasks.vqa import AnswerReferences, Answers

# Three of four are right; confidences of .7, .62, .5 (the wrong one) and .82 lie in four bins.
PROBABILITIES: Final = ((0.7, 0.2, 0.1), (0.1, 0.62, 0.28), (0.2, 0.5, 0.3), (0.1, 0.08, 0.82))
CLASSIFICATION: Final = {
    "overall_accuracy": 3 / 4,
    "average_accuracy": (1 + 1 + 1 / 2) / 3,
    "macro_f1": (1 + 2 / 3 + 2 / 3) / 3,
    "weighted_f1": (1 + 2 / 3 + 2 * 2 / 3) / 4,
    "cohen_kappa": (12 - 5) / (16 - 5),
    "mcc": 7 / 10,
    "top3_accuracy": 1.0,
    "top5_accuracy": 1.0,
    "nll": -(log(0.7) + log(0.62) + log(0.3) + log(0.82)) / 4,
    "ece": (0.3 + 0.38 + 0.5 + 0.18) / 4,
    "mce": 0.5,
    "brier": (0.14 + 0.2328 + 0.78 + 0.0488) / 4,
    "overconfidence": 0.66 - 0.75,
    "confidence_gap": 2.14 / 3 - 0.5,
}
# The first is its reference; of the second, two of four words, one of three pairs and nothing longer are right.
CAPTIONS: Final = (
    ("green river beside fields", "green river beside fields"),
    ("two white tall houses", "two white boats sail"),
)
CAPTIONING: Final = {
    "BLEU-1": 6 / 8,
    "BLEU-2": sqrt(6 / 8 * 4 / 6),
    "BLEU-3": (6 / 8 * 4 / 6 * 2 / 4) ** (1 / 3),
    "BLEU-4": (6 / 8 * 4 / 6 * 2 / 4 * 1 / 2) ** (1 / 4),
    "ROUGE-L": (1 + 1 / 2) / 2,
    "CIDEr-D": (10 + 10 * (1 / 2 + 1 / 3) / 4) / 2,
}
# One of two presence questions has an answer that is none of the list; counts are off by 3 and by 1.
VQA: Final = {
    "OA": 5 / 6,
    "AA": (1 + 1 / 2 + 1 + 1) / 4,
    "AA_present_types": (1 + 1 / 2 + 1 + 1) / 4,
    "accuracy_rural_urban": 1.0,
    "accuracy_presence": 1 / 2,
    "accuracy_count": 1.0,
    "accuracy_comp": 1.0,
    "OA_without_count": 3 / 4,
    "AA_without_count": (1 + 1 / 2 + 1) / 3,
    "unparsable_rate": 1 / 6,
    "count_mae": 2.0,
    "count_rmse": sqrt(5),
}


def classification(spec: MetricSpec) -> Iterator[Golden]:
    """Four samples of three classes."""
    made = np.array(PROBABILITIES)
    predictions = Predictions(list("abcd"), made.argmax(1), made)
    context = MetricContext("classification", ("x", "y", "z"))
    yield Golden(predictions, np.array([0, 1, 2, 2]), CLASSIFICATION[spec.name], context)


def captioning(spec: MetricSpec) -> Iterator[Golden]:
    """Two captions with one reference each; for METEOR, which has no simple formula, two that are their references."""
    said, true = zip(*CAPTIONS, strict=True)
    value = CAPTIONING.get(spec.name, 1.0)
    captions = Captions(["a", "b"], said if spec.name in CAPTIONING else true)
    yield Golden(captions, [[text] for text in true], value, MetricContext("captioning"), tolerance=1e-6)


def vqa(spec: MetricSpec) -> Iterator[Golden]:
    """Six questions of four types about two images."""
    true = np.array([2, 0, 0, 5, 5, 1])
    said = np.array([2, 0, -1, 5, 5, 1])
    question_types = np.array([0, 1, 1, 2, 2, 3])
    counts = np.array([np.nan, np.nan, np.nan, 7, 10, np.nan])
    guessed = np.array([np.nan, np.nan, np.nan, 4, 9, np.nan])
    predictions = Answers(list("abcdef"), said, question_types, ["p"] * 3 + ["q"] * 3, guessed)
    yield Golden(
        predictions, AnswerReferences(true, counts), VQA[spec.name], MetricContext("vqa", ANSWERS_LR, TYPES_LR)
    )
