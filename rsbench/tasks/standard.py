"""The metrics that a protocol of each task should name, so that boards of different datasets look alike."""

from __future__ import annotations

from typing import Final

CLASSIFICATION: Final = (
    "overall_accuracy",
    "average_accuracy",
    "macro_f1",
    "weighted_f1",
    "cohen_kappa",
    "mcc",
    "top3_accuracy",
    "top5_accuracy",
    "nll",
    "ece",
    "mce",
    "brier",
    "overconfidence",
    "confidence_gap",
)
CAPTIONING: Final = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")
VQA: Final = (
    "OA",
    "AA",
    "accuracy_rural_urban",
    "accuracy_presence",
    "accuracy_count",
    "accuracy_comp",
    "OA_without_count",
    "AA_without_count",
    "unparsable_rate",
    "count_mae",
    "count_rmse",
)
