"""What each metric of visual question answering is, without importing NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rsbench.specs import MetricSpec

_LOBRY: Final = "Lobry et al. 2020, RSVQA"
_GEOCHAT: Final = "the questions of GeoChat's table 8; a paper's 'Avg' may be either"


def _share(name: str, summary: str, factory: str, citation: str, options: Mapping[str, Any]) -> MetricSpec:
    return MetricSpec(
        name=name,
        summary=summary,
        factory=f"rsbench_metrics.answers:{factory}",
        tasks=("vqa",),
        options=options,
        citation=citation,
    )


def _count(name: str, summary: str, factory: str) -> MetricSpec:
    return MetricSpec(
        name=name,
        summary=f"{summary}; of count questions whose true and predicted numbers are known.",
        factory=f"rsbench_metrics.answers:{factory}",
        tasks=("vqa",),
        higher_is_better=False,
        range=(0.0, None),
        unit="objects",
        needs=("counts",),
    )


_KINDS: Final = {"rural_urban": "rural-or-urban", "presence": "presence", "count": "count", "comp": "comparison"}

_METRICS: Final = (
    _share("OA", "Share of correct answers, over all questions.", "PooledAccuracy", _LOBRY, {}),
    _share("AA", "Mean accuracy of the types, all of which have to occur.", "MeanAccuracy", _LOBRY, {}),
    _share("AA_present_types", "Mean accuracy of the types that occur.", "MeanAccuracy", "", {"present_only": True}),
    *(
        _share(
            f"accuracy_{kind}",
            f"Share of correct answers to {words} questions.",
            "PooledAccuracy",
            _LOBRY,
            {"only": kind},
        )
        for kind, words in _KINDS.items()
    ),
    _share("OA_without_count", "OA of all but count questions.", "PooledAccuracy", _GEOCHAT, {"without": "count"}),
    _share("AA_without_count", "AA of all types but count.", "MeanAccuracy", _GEOCHAT, {"without": "count"}),
    MetricSpec(
        name="unparsable_rate",
        summary="Share of answers that are none of the closed list.",
        factory="rsbench_metrics.answers:UnparsableRate",
        proportion=True,
        tasks=("vqa",),
        higher_is_better=False,
    ),
    _count("count_mae", "Mean absolute error of counts", "CountMeanAbsoluteError"),
    _count("count_rmse", "Root of the mean squared error of counts", "CountRootMeanSquaredError"),
)

VQA_METRICS: Final = tuple(replace(spec, golden="rsbench_metrics.golden:vqa") for spec in _METRICS)
