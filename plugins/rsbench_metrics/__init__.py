"""Metrics of classification, captioning and VQA as a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import MetricSpec


@hookimpl
def rsbench_metrics() -> Iterator[MetricSpec]:
    """The metrics of this plugin."""
    from rsbench_metrics.specs import CAPTION_METRICS, METRICS
    from rsbench_metrics.specs_vqa import VQA_METRICS

    yield from (*METRICS, *CAPTION_METRICS, *VQA_METRICS)


@hookimpl
def rsbench_expected_failures() -> Mapping[str, str]:
    """What the conformance kit finds by the nature of a spec."""
    from rsbench_metrics.specs import EXPECTED_FAILURES

    return EXPECTED_FAILURES
