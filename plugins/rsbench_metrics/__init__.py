"""Metrics of scene classification as a plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rsbench import hookimpl

if TYPE_CHECKING:
    from rsbench.specs import MetricSpec


@hookimpl
def rsbench_metrics() -> Iterator[MetricSpec]:
    """The metrics of this plugin."""
    from rsbench_metrics.declared import METRICS

    yield from METRICS
