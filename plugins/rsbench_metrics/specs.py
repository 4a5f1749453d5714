"""What each metric is, without importing NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rsbench.specs import MetricSpec

_GOLDEN: Final = "rsbench_metrics.golden"
_CONFUSION: Final = "rsbench_metrics.confusion"
_PROBABILITY: Final = "rsbench_metrics.probability"
_ANY: Final = (None, None)
_GUO: Final = "Guo et al. 2017, On Calibration of Modern Neural Networks"
# Version of the implementation and of the tokenizer, which is part of every score of captions.
_PTB: Final = "1+ptb1"

_CLASSIFICATION: Final = (
    MetricSpec(
        name="overall_accuracy",
        summary="Share of correct samples.",
        factory=f"{_CONFUSION}:OverallAccuracy",
        proportion=True,
    ),
    MetricSpec(
        name="average_accuracy",
        summary="Mean recall over the classes that have references.",
        factory=f"{_CONFUSION}:AverageAccuracy",
    ),
    MetricSpec(
        name="macro_f1",
        summary="Mean F1 over the classes that have references or predictions.",
        factory=f"{_CONFUSION}:MacroF1",
    ),
    MetricSpec(name="weighted_f1", summary="F1 weighted by class support.", factory=f"{_CONFUSION}:WeightedF1"),
    MetricSpec(
        name="cohen_kappa",
        summary="Agreement beyond chance.",
        factory=f"{_CONFUSION}:CohenKappa",
        range=(-1.0, 1.0),
        unit="coefficient",
        citation="Cohen 1960",
    ),
    MetricSpec(
        name="mcc",
        summary="Matthews correlation coefficient for many classes.",
        factory=f"{_CONFUSION}:MatthewsCorrelation",
        range=(-1.0, 1.0),
        unit="coefficient",
        citation="Gorodkin 2004",
    ),
    MetricSpec(
        name="top3_accuracy",
        summary="Share of samples whose class is among the three most probable.",
        factory=f"{_PROBABILITY}:TopK",
        options={"k": 3},
        proportion=True,
        needs=("probabilities",),
    ),
    MetricSpec(
        name="top5_accuracy",
        summary="Share of samples whose class is among the five most probable.",
        factory=f"{_PROBABILITY}:TopK",
        options={"k": 5},
        proportion=True,
        needs=("probabilities",),
    ),
    MetricSpec(
        name="nll",
        summary="Mean negative log-likelihood of the true class.",
        factory=f"{_PROBABILITY}:NegativeLogLikelihood",
        higher_is_better=False,
        range=(0.0, None),
        unit="nats",
        needs=("probabilities",),
    ),
    MetricSpec(
        name="ece",
        summary="Expected calibration error, 15 equal-width bins.",
        factory=f"{_PROBABILITY}:ExpectedCalibrationError",
        higher_is_better=False,
        needs=("probabilities",),
        citation=_GUO,
    ),
    MetricSpec(
        name="mce",
        summary="Largest calibration error of a bin, 15 equal-width bins.",
        factory=f"{_PROBABILITY}:MaximumCalibrationError",
        higher_is_better=False,
        needs=("probabilities",),
        citation=_GUO,
    ),
    MetricSpec(
        name="brier",
        summary="Mean squared distance of the probabilities to the one-hot reference, summed over classes.",
        factory=f"{_PROBABILITY}:Brier",
        higher_is_better=False,
        range=(0.0, 2.0),
        unit="score",
        needs=("probabilities",),
        citation="Brier 1950",
    ),
    MetricSpec(
        name="overconfidence",
        summary="Mean top-1 probability minus overall accuracy.",
        factory=f"{_PROBABILITY}:Overconfidence",
        higher_is_better=None,
        range=(-1.0, 1.0),
        needs=("probabilities",),
    ),
    MetricSpec(
        name="confidence_gap",
        summary="Mean top-1 probability of the correct minus that of the incorrect predictions.",
        factory=f"{_PROBABILITY}:ConfidenceGap",
        higher_is_better=None,
        range=(-1.0, 1.0),
        needs=("probabilities",),
        citation="BMTA, arXiv 2510.15527; not a calibration measure",
    ),
)

METRICS: Final = tuple(replace(spec, golden=f"{_GOLDEN}:classification") for spec in _CLASSIFICATION)

_CAPTIONING: Final = (
    *(
        MetricSpec(
            name=f"BLEU-{n}",
            summary=f"Clipped precision of n-grams up to n = {n}, with brevity penalty.",
            factory="rsbench_metrics.bleu:Bleu",
            tasks=("captioning",),
            options={"n": n},
            needs=("caption",),
            version=_PTB,
            citation="Papineni et al. 2002",
        )
        for n in (1, 2, 3, 4)
    ),
    MetricSpec(
        name="ROUGE-L",
        summary="F-measure of the longest common subsequence, beta 1.2.",
        factory="rsbench_metrics.rouge:RougeL",
        tasks=("captioning",),
        needs=("caption",),
        version=_PTB,
        citation="Lin 2004",
    ),
    MetricSpec(
        name="CIDEr-D",
        summary="Similarity of tf-idf vectors of 1- to 4-grams; 0 for a single image.",
        factory="rsbench_metrics.cider:CiderD",
        tasks=("captioning",),
        range=(0.0, 10.0),
        unit="CIDEr (0-10)",
        needs=("caption",),
        version=_PTB,
        citation="Vedantam et al. 2015",
    ),
    MetricSpec(
        name="METEOR",
        summary="Aligned words with stems, synonyms and paraphrases; needs Java and rsbench[meteor].",
        factory="rsbench_metrics.meteor:Meteor",
        tasks=("captioning",),
        needs=("caption",),
        version=f"{_PTB}+jar1.5",
        citation="Denkowski & Lavie 2014",
    ),
)

CAPTION_METRICS: Final = tuple(replace(spec, golden=f"{_GOLDEN}:captioning") for spec in _CAPTIONING)

EXPECTED_FAILURES: Final = {
    "metric/CIDEr-D/two-stage": "n-grams are weighted by how rare they are in the whole test set, and draws keep that",
}
