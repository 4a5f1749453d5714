"""Metrics of classification, captioning and VQA as a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import MetricSpec


@hookimpl
def rsbench_metrics() -> Iterator[MetricSpec]:
    """The metrics of this plugin."""
    from rsbench_metrics.declared import CAPTION_METRICS, METRICS
    from rsbench_metrics.declared_vqa import VQA_METRICS

    yield from (*METRICS, *CAPTION_METRICS, *VQA_METRICS)
